"""The lab: a household's year through real processes and sockets, and a judge that trusts none of them."""

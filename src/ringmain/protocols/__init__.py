"""Ground floor of the wire: sans-IO machines. Bytes and `now` go in, events and bytes come out."""

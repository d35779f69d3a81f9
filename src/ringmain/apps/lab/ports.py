"""Ports that a box can come back to: free ones below those that the kernel gives to outgoing connections.

A port that the kernel picked may be somebody's outgoing connection while its box is down; the box could not come back.
"""

import socket
from random import Random

FIRST, LAST = 20_000, 31_999
"""Linux gives 32768 and up to outgoing connections; below 20000 live known services."""

TRIES_MAX = 200


def free_ports(count: int, rng: Random) -> tuple[int, ...]:
    """Different ports of the loopback that nobody uses now. OSError where none are found."""
    found: list[int] = []
    for _ in range(TRIES_MAX):
        port = rng.randint(FIRST, LAST)
        if port not in found and _is_free(port):
            found.append(port)
        if len(found) == count:
            return tuple(found)
    raise OSError(f"found no {count} free ports between {FIRST} and {LAST} in {TRIES_MAX} tries")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

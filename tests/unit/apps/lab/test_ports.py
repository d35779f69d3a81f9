"""Ports to come back to."""

import socket
from random import Random

import pytest

from ringmain.apps.lab import ports
from ringmain.apps.lab.ports import free_ports


def test_none_is_found_where_all_are_taken(monkeypatch):
    monkeypatch.setattr(ports, "_is_free", lambda _: False)
    with pytest.raises(OSError, match="found no 2 free ports"):
        free_ports(2, Random(1))


def test_they_differ_and_lie_below_those_of_outgoing_connections():
    found = free_ports(20, Random(1))
    assert len(set(found)) == 20
    assert all(20_000 <= port < 32_768 for port in found)


def test_a_port_in_use_is_passed_over():
    (first,) = free_ports(1, Random(5))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        assert first not in free_ports(3, Random(5))

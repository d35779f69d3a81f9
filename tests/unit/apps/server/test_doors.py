"""Doors: a taken port is said in words and leaves nothing open."""

import socket

import msgspec
import pytest

from ringmain.apps.config import Config
from ringmain.apps.server.doors import Sockets
from ringmain.model.errors import Failed

FREE = msgspec.convert({"mqtt": {"port": 0, "tls_port": 0}, "http": {"port": 0}}, Config)


@pytest.fixture
def taken():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.mark.parametrize(
    ("before", "section", "key"), [(0, "mqtt", "port"), (1, "mqtt", "tls_port"), (2, "http", "port")]
)
def test_a_taken_port(taken, before, section, key, monkeypatch):
    opened = []
    plain = Sockets._bind

    def bind(self, *args):
        try:
            return plain(self, *args)
        finally:
            opened[:] = self._opened

    monkeypatch.setattr(Sockets, "_bind", bind)
    part = msgspec.structs.replace(getattr(FREE, section), **{key: taken})
    with pytest.raises(Failed, match=f"port {taken} on 127.0.0.1 is already taken") as refused:
        Sockets(msgspec.structs.replace(FREE, **{section: part}))
    assert f"RINGMAIN_{section.upper()}__{key.upper()}=0" in refused.value.hint
    assert len(opened) == before
    assert all(it.fileno() == -1 for it in opened)


def test_a_foreign_address():
    mqtt = msgspec.structs.replace(FREE.mqtt, host="192.0.2.1")
    with pytest.raises(Failed, match="no address of this machine"):
        Sockets(msgspec.structs.replace(FREE, mqtt=mqtt))


def test_free_ports_are_bound_and_known_before_anybody_listens():
    sockets = Sockets(FREE)
    ports = sockets.ports()
    assert len(set(ports.values())) == 3
    assert set(ports) == {"mqtt", "mqtts", "http"}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports["mqtt"]), timeout=1)
    sockets.close()


def has_ipv6_loopback():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_ipv6_where_the_machine_has_it_and_words_where_not():
    mqtt = msgspec.structs.replace(FREE.mqtt, host="::1")
    config = msgspec.structs.replace(FREE, mqtt=mqtt)
    if has_ipv6_loopback():
        sockets = Sockets(config)
        assert sockets.mqtt.family is socket.AF_INET6
        sockets.close()
    else:
        with pytest.raises((Failed, OSError)):
            Sockets(config)

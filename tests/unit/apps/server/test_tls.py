"""The listener's TLS while its files change, over real sockets of both event loops."""

import asyncio
import logging
import ssl
import time
from datetime import UTC, datetime

import pytest
import uvloop
from tests.unit.apps.server.pki import DAY, Authority
from tests.unit.transports.test_ssl_context import Client

from ringmain.adapters.embedded.clock import EmbeddedClock
from ringmain.apps.config_error import ConfigError
from ringmain.apps.server import tls
from ringmain.apps.server.identity import load_or_create
from ringmain.apps.server.tls import ServerTls
from ringmain.apps.server.tls_files import TlsFiles
from ringmain.model.errors import Refused
from ringmain.transports.ssl_context import client_context
from ringmain.transports.stream import StreamDriver


class Echo:
    """A machine that answers with what it hears."""

    def __init__(self):
        self.out = b""

    def receive(self, data, now):
        self.out += data
        return []

    def data_to_send(self):
        data, self.out = self.out, b""
        return data

    def deadline(self):
        return None

    def wake(self, now):
        return []

    def lost(self):
        return []


class Place:
    """An operator's CA, a server certificate of it, a list, and the TLS that uses them."""

    def __init__(self, folder):
        self.identity = load_or_create(folder / "own", time.time_ns() // 1_000_000)
        self.operator = Authority(folder)
        server = self.operator.server("front-1")
        self.cert, self.key, self.crl = folder / "tls.pem", folder / "tls.key", folder / "crl.pem"
        self.bring(server)
        self.crl.write_bytes(self.operator.crl())
        self.files = TlsFiles(self.cert, self.key, self.operator.cert, self.crl)

    def bring(self, server):
        self.cert.write_bytes(server.pem + self.operator.pem)
        self.key.write_bytes(server.key.read_bytes())

    def tls(self, files=None, *, required=False):
        return ServerTls(files or self.files, self.identity.ca, EmbeddedClock(), required=required)

    async def connect(self, port, client=None):
        context = client_context(self.operator.cert)
        if client:
            context.load_cert_chain(client.cert, client.key)
        async with asyncio.timeout(5):
            streams = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
            try:
                streams[1].write(b"hello")
                assert await streams[0].read(5) == b"hello"
            except BaseException:  # with TLS 1.3 the refusal comes after the handshake
                streams[1].close()
                raise
        return streams

    async def serve(self, held):
        loop = asyncio.get_running_loop()
        factory = held.watched(lambda: StreamDriver(Echo(), lambda *_: None))
        server = await loop.create_server(factory, "127.0.0.1", 0, ssl=held.context)
        return server, server.sockets[0].getsockname()[1]


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def subject(writer):
    return dict(part[0] for part in writer.get_extra_info("peercert")["subject"])["commonName"]


async def echoes(streams):
    streams[1].write(b"still")
    async with asyncio.timeout(5):
        return await streams[0].read(5) == b"still"


async def replaced(place):
    held = place.tls()
    server, port = await place.serve(held)
    before = await place.connect(port)
    place.bring(place.operator.server("front-2"))
    held.reload()
    after = await place.connect(port)
    assert (subject(before[1]), subject(after[1])) == ("front-1", "front-2")
    assert await echoes(before)
    assert held.in_force.subject == "CN=front-2"
    place.key.write_bytes(b"nonsense")
    with pytest.raises(Refused):
        held.reload()
    third = await place.connect(port)
    assert subject(third[1]) == "front-2"
    assert await echoes(before)
    for streams in (before, after, third):
        streams[1].close()
    server.close()
    await asyncio.sleep(0.05)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_new_connections_meet_the_new_certificate_and_open_ones_stay(place, run):
    run(replaced(place))


async def revoked(place):
    held = place.tls()
    server, port = await place.serve(held)
    good, bad = place.operator.client("good"), place.operator.client("bad")
    stays, goes, nobody = await place.connect(port, good), await place.connect(port, bad), await place.connect(port)
    place.crl.write_bytes(place.operator.crl([bad]))
    assert not held.is_revoked(bad.der)
    held.reload()
    assert held.is_revoked(bad.der)
    assert not held.is_revoked(good.der)
    async with asyncio.timeout(1):
        assert await goes[0].read() == b""
    assert await echoes(stays)
    assert await echoes(nobody)
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        await place.connect(port, bad)
    again = await place.connect(port, good)
    for streams in (stays, goes, nobody, again):
        streams[1].close()
    server.close()
    await asyncio.sleep(0.05)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_whom_a_new_list_names_is_closed_and_does_not_come_again(place, run):
    run(revoked(place))


async def test_a_session_from_before_is_not_resumed(place):
    """With it a revoked client would pass by the handshake (RFC 8446 §2.2)."""
    held = place.tls()
    bad = place.operator.client("bad")

    def shake(session=None):
        context = client_context(place.operator.cert)
        context.load_cert_chain(bad.cert, bad.key)
        shake.context = context if session is None else shake.context
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        here = shake.context.wrap_bio(to_client, to_server, server_hostname="localhost", session=session)
        there = held.context.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(10):
            for end in (here, there):
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        there.write(b"x")
        here.read()  # the ticket comes with it
        return here

    first = shake()
    assert shake(first.session).session_reused
    place.crl.write_bytes(place.operator.crl([bad]))
    held.reload()
    with pytest.raises(ssl.SSLError):
        shake(first.session)


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
async def running(place, monkeypatch):
    monkeypatch.setattr(tls, "LOOK_S", 0.02)
    held = place.tls()
    task = asyncio.create_task(held.run())
    yield held
    assert not task.done()
    task.cancel()


async def test_changed_files_are_noticed(place, running):
    place.bring(place.operator.server("front-2"))
    await until(lambda: running.in_force.subject == "CN=front-2")
    bad = place.operator.client("bad")
    place.crl.write_bytes(place.operator.crl([bad]))
    await until(lambda: running.is_revoked(bad.der))


@pytest.mark.slow
async def test_a_file_that_is_gone_or_bad_is_said_once_and_a_good_one_taken(place, running, caplog):
    caplog.set_level(logging.INFO)
    whole = place.crl.read_bytes()
    place.crl.unlink()
    await until(lambda: "not taken" in caplog.text)
    place.crl.write_bytes(b"nonsense")
    await until(lambda: "no certificate revocation list" in caplog.text)
    await asyncio.sleep(0.2)
    assert caplog.text.count("not taken") == 2
    assert "those in force stay" in caplog.text
    assert running.in_force.subject == "CN=front-1"
    place.crl.write_bytes(whole + b"\n")
    await until(lambda: "are taken" in caplog.text)


async def test_nothing_is_taken_between_two_writes(place, running, monkeypatch, caplog):
    """A certificate without its key yet: the files are looked at again before they are taken."""
    server = place.operator.server("front-2")
    place.cert.write_bytes(server.pem)
    await asyncio.sleep(0)
    place.key.write_bytes(server.key.read_bytes())
    await until(lambda: running.in_force.subject == "CN=front-2")
    assert "not taken" not in caplog.text


async def test_asked_it_takes_them_although_nothing_changed(place, running, caplog):
    caplog.set_level(logging.INFO)
    running.ask()
    await until(lambda: "are taken" in caplog.text)
    await asyncio.sleep(0.1)
    assert caplog.text.count("are taken") == 1


async def test_a_list_out_of_date_is_refused_while_another_is_in_force_and_said_at_a_start(place, caplog):
    held = place.tls()
    place.crl.write_bytes(place.operator.crl(until=-DAY))
    with pytest.raises(Refused, match="was to be renewed"):
        held.reload()
    assert held.in_force.lists_until_ms > time.time() * 1000
    caplog.clear()
    place.tls()
    assert "no client comes in with a certificate" in caplog.text


async def test_an_issuer_without_a_list_is_said(place, caplog):
    other = Authority(place.operator.folder, "other")
    place.operator.cert.write_bytes(place.operator.pem + other.pem)
    place.tls()
    assert "no list of CN=other" in caplog.text


@pytest.mark.parametrize("which", ["certificate", "key", "client_ca", "crl"])
def test_a_start_with_a_bad_file_is_refused(place, which):
    getattr(place.files, which).write_bytes(b"nonsense")
    with pytest.raises(ConfigError) as refused:
        place.tls()
    assert "[tls]" in refused.value.hint


def test_whom_a_certificate_of_a_further_ca_names(place, tmp_path):
    held, ours = place.tls(), Client(tmp_path, place.identity.ca, datetime.now(UTC))
    client = place.operator.client
    assert held.names(client("m1").der) == ("default", "m1")
    assert held.names(client("m1", "acme").der) == ("acme", "m1")
    assert held.names(client("m1", validity=-DAY / 24).der) is None, "out of date"
    assert held.names(ours.der) is None, "ours are granted one by one"
    assert held.names(b"nonsense") is None
    assert held.is_revoked(ours.der) is False
    alone = place.tls(TlsFiles(place.cert, place.key))
    assert alone.names(client("m1").der) is None
    assert alone.is_revoked(client("m1").der) is False


def test_what_can_not_be_read_counts_as_revoked_where_there_is_a_list(place):
    bad = place.operator.client("bad")
    place.crl.write_bytes(place.operator.crl([bad]))
    assert place.tls().is_revoked(b"nonsense")


def test_what_devices_pin_the_platform_to(place):
    own = place.identity.ca.cert.decode()
    assert place.tls().anchors() == own + place.operator.pem.decode()
    assert place.tls(TlsFiles(place.identity.cert_path, place.identity.key_path)).anchors() == own


def test_where_one_is_required_the_context_asks_for_it(place):
    assert place.tls(required=True).in_force.context.verify_mode is ssl.CERT_REQUIRED
    assert place.tls().in_force.context.verify_mode is ssl.CERT_OPTIONAL

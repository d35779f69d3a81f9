"""Clauses of MQTT 5 that a server has to keep, byte by byte at the open door. The clauses a test holds stand in its
docstring; `docs/protocols/mqtt-conformance.md` is made of them.
"""

import itertools
import socket
import time
from collections.abc import Callable, Iterator
from typing import Self

import pytest
from tests.campaigns.mqtt_peers import packet, packets, text
from tests.e2e.platform_process import PlatformProcess

pytestmark = pytest.mark.slow

ANSWER_S_MAX = 5.0
SILENCE_S = 0.25
CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 0x20, 0x30, 0x40, 0x50, 0x62, 0x70
SUBACK, UNSUBACK, PINGRESP, DISCONNECT = 0x90, 0xB0, 0xD0, 0xE0
_names = itertools.count()


def number(code: int, value: int, octets: int) -> bytes:
    return bytes((code,)) + value.to_bytes(octets, "big")


def expiry(seconds: int) -> bytes:
    return number(0x11, seconds, 4)


def pair(key: str, value: str) -> bytes:
    return b"\x26" + text(key) + text(value)


def counted(found: bytes) -> bytes:
    assert len(found) < 128
    return bytes((len(found),)) + found


class Raw:
    """A client that says what it is told to, at the level of MQTT 5."""

    def __init__(self, port: int, name: str | None = None, *, clean: bool = True, found: bytes = b"", keep: int = 60,
                 will: bytes = b"", will_flags: int = 0) -> None:  # fmt: skip
        self.name = f"raw-{next(_names)}" if name is None else name
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S_MAX)
        self._buffer, self._ready = bytearray(), list[tuple[int, bytes]]()
        flags = (2 if clean else 0) | will_flags
        self.say(
            0x10,
            text("MQTT") + bytes((5, flags)) + keep.to_bytes(2, "big") + counted(found) + text(self.name) + will,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def say(self, first: int, body: bytes = b"") -> None:
        self._socket.sendall(packet(first, body))

    def publish(self, topic: str, payload: bytes = b"", qos: int = 0, identifier: int = 1, *, retain: bool = False,
                dup: bool = False, found: bytes = b"") -> None:  # fmt: skip
        numbered = identifier.to_bytes(2, "big") if qos else b""
        self.say(PUBLISH | dup << 3 | qos << 1 | retain, text(topic) + numbered + counted(found) + payload)

    def answer(self, first: int, identifier: int, more: bytes = b"") -> None:
        self.say(first, identifier.to_bytes(2, "big") + more)

    def subscribe(self, *filters: tuple[str, int], identifier: int = 9, found: bytes = b"") -> list[int]:
        """The codes in SUBACK, which has to come first."""
        body = b"".join(text(pattern) + bytes((options,)) for pattern, options in filters)
        self.say(0x82, identifier.to_bytes(2, "big") + counted(found) + body)
        first, answer = self.next()
        assert (first, answer[:3]) == (SUBACK, identifier.to_bytes(2, "big") + b"\x00")
        return list(answer[3:])

    def next(self, seconds: float = ANSWER_S_MAX) -> tuple[int, bytes]:
        """The next packet; (0, b"") where the connection ended."""
        self._socket.settimeout(seconds)
        while not self._ready:
            try:
                data = self._socket.recv(65536)
            except ConnectionResetError:
                return 0, b""
            if not data:
                return 0, b""
            self._buffer += data
            self._ready += packets(self._buffer)
        return self._ready.pop(0)

    def accepted(self) -> bytes:
        """The CONNACK behind its fixed header, which has to say yes."""
        first, body = self.next()
        assert (first, body[1]) == (CONNACK, 0)
        return body

    def message(self) -> tuple[int, str, int, bytes, bytes]:
        """(first byte, topic, packet identifier, properties, payload) of the next packet, which has to be PUBLISH."""
        first, body = self.next()
        assert first & 0xF0 == PUBLISH, (hex(first), body)
        at = 2 + int.from_bytes(body[:2], "big")
        topic, identifier = body[2:at].decode(), 0
        if first & 6:
            identifier, at = int.from_bytes(body[at : at + 2], "big"), at + 2
        end = at + 1 + body[at]
        return first, topic, identifier, body[at + 1 : end], body[end:]

    def payloads(self, count: int) -> list[bytes]:
        return [self.message()[4] for _ in range(count)]

    def is_silent(self) -> bool:
        """Nothing comes, and it is still there."""
        try:
            return self.next(SILENCE_S) == ()
        except TimeoutError:
            self.say(0xC0)
            return self.next() == (PINGRESP, b"")


Join = Callable[..., Raw]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with PlatformProcess(tmp_path_factory.mktemp("clauses") / "data", open_mqtt=True) as platform:
        yield platform.ports.open_mqtt


@pytest.fixture
def join(port: int) -> Iterator[Join]:
    """Connect and be let in; closed in the end."""
    made: list[Raw] = []

    def joined(name: str | None = None, **options) -> Raw:
        client = Raw(port, name, **options)
        made.append(client)
        client.accepted()
        return client

    yield joined
    for each in made:
        each._socket.close()


# -- sessions -----------------------------------------------------------------------------------------------


def test_a_session_is_resumed_or_begun_anew(port: int) -> None:
    """[MQTT-3.1.2-4] [MQTT-3.1.2-5] [MQTT-3.1.2-6] [MQTT-3.1.3-2] [MQTT-3.1.4-4] [MQTT-3.1.4-5] [MQTT-3.2.0-1]
    [MQTT-3.2.2-1] [MQTT-3.2.2-2] [MQTT-3.2.2-3]
    """
    for clean, present in ((False, 0), (False, 1), (True, 0), (False, 1)):
        with Raw(port, "again", clean=clean, found=expiry(60)) as client:
            assert client.accepted()[:2] == bytes((present, 0))
            if not present:
                assert client.subscribe(("session/kept", 1)) == [1]
    with Raw(port, "another", clean=False, found=expiry(60)) as client:
        assert client.accepted()[0] == 0, "a session is its client's"


def test_a_session_ends_when_its_time_is_over_and_not_before(port: int) -> None:
    """[MQTT-3.1.2-23] [MQTT-4.1.0-1] [MQTT-4.1.0-2]"""
    for wait_s, present in ((0.0, 0), (0.3, 1), (2.0, 0)):
        time.sleep(wait_s)
        with Raw(port, "brief", clean=False, found=expiry(1)) as client:
            assert client.accepted()[0] == present


def test_who_brings_no_client_id_is_given_one_of_its_own(port: int) -> None:
    """[MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]"""
    names = set()
    for _ in range(3):
        with Raw(port, "") as client:
            found = client.accepted()
            at = found.index(b"\x12")
            names.add(found[at + 3 : at + 3 + int.from_bytes(found[at + 1 : at + 3], "big")])
    assert len(names) == 3
    with Raw(port, "brought") as client:
        assert b"\x12\x00" not in client.accepted()


def test_the_same_client_id_again_takes_over(join: Join) -> None:
    """[MQTT-3.1.4-3]"""
    first = join("twice")
    second = join("twice")
    assert first.next() == (DISCONNECT, b"\x8e")
    assert first.next() == (0, b"")
    assert second.is_silent()


def test_client_ids_of_23_letters_and_digits_are_let_in(join: Join) -> None:
    """[MQTT-3.1.3-5]"""
    assert join("0123456789abcdefghijXYZ").is_silent()


def test_silence_ends_a_connection_after_one_and_a_half_keep_alives(join: Join) -> None:
    """[MQTT-3.1.2-22] [MQTT-3.2.2-22]"""
    client = join(keep=1)
    began = time.monotonic()
    assert client.next()[0] == DISCONNECT
    assert time.monotonic() - began >= 1.4
    assert client.next() == (0, b"")


def test_a_keep_alive_is_lowered_by_the_server_alone(port: int) -> None:
    """[MQTT-3.2.2-21]"""
    with Raw(port, keep=600) as long, Raw(port, keep=30) as short:
        assert number(0x13, 60, 2) in long.accepted()
        assert b"\x13" not in short.accepted()[2:]


def test_response_information_is_for_who_asks_and_methods_nobody_knows_are_refused(port: int) -> None:
    """[MQTT-3.1.2-28] [MQTT-4.12.0-1] [MQTT-4.12.0-6] [MQTT-3.2.2-6] [MQTT-3.2.2-7]"""
    with Raw(port, "asks", found=b"\x19\x01") as asks, Raw(port, "asks-not") as asks_not:
        assert b"apps/asks/" in asks.accepted()
        assert b"apps/" not in (said := asks_not.accepted())
        assert b"\x15" not in said
    with Raw(port, found=b"\x15" + text("SCRAM")) as stranger:
        first, body = stranger.next()
        assert (first, body[:2]) == (CONNACK, b"\x00\x8c")
        assert stranger.next() == (0, b"")


# -- wills --------------------------------------------------------------------------------------------------


def test_a_will_comes_as_it_was_left_and_not_after_a_disconnect(join: Join) -> None:
    """[MQTT-3.1.2-7] [MQTT-3.1.2-8] [MQTT-3.1.2-10] [MQTT-3.1.2-14] [MQTT-3.1.2-15] [MQTT-3.1.3-10] [MQTT-3.14.4-3]"""
    ear = join()
    ear.subscribe(("will/#", 2 | 8))
    user = pair("a", "1") + pair("b", "2") + pair("a", "0")
    will = counted(user) + text("will/1") + text("gone")
    for flags, retain in ((0x04 | 1 << 3, 0), (0x24 | 2 << 3, 1)):
        lost = join(will=will, will_flags=flags)
        lost._socket.close()
        first, topic, identifier, found, payload = ear.message()
        assert (topic, found, payload, first & 1) == ("will/1", user, b"gone", retain)
        ear.answer(PUBREC if first & 4 else PUBACK, identifier)
        if first & 4:
            assert ear.next()[0] == PUBREL
            ear.answer(PUBCOMP, identifier)
    orderly = join(will=will, will_flags=0x0C)
    orderly.say(DISCONNECT)
    orderly._socket.close()
    assert ear.is_silent()
    with_will = join(will=will, will_flags=0x04)
    with_will.say(DISCONNECT, b"\x04")
    assert ear.message()[4] == b"gone"


def test_who_is_back_before_the_delay_is_over_has_left_no_will(port: int, join: Join) -> None:
    """[MQTT-3.1.3-9]"""
    ear = join()
    ear.subscribe(("late/#", 0))
    will = counted(number(0x18, 1, 4)) + text("late/1") + text("gone")
    for back in (True, False):
        with Raw(port, "late", clean=False, found=expiry(30), will=will, will_flags=4) as client:
            client.accepted()
        began = time.monotonic()
        if back:
            time.sleep(0.2)
        else:
            assert ear.message()[4] == b"gone"
            assert time.monotonic() - began >= 0.9


# -- delivery -----------------------------------------------------------------------------------------------


def test_what_is_not_acknowledged_comes_again_in_order_and_marked(port: int, join: Join) -> None:
    """[MQTT-3.3.1-1] [MQTT-3.3.1-2] [MQTT-4.3.1-1] [MQTT-4.3.2-1] [MQTT-4.3.2-2] [MQTT-4.3.3-1] [MQTT-4.3.3-2]
    [MQTT-2.2.1-2] [MQTT-2.2.1-4] [MQTT-4.4.0-1] [MQTT-4.6.0-1] [MQTT-4.6.0-5] [MQTT-4.6.0-6] [MQTT-4.5.0-1]
    """
    says = join()
    with Raw(port, "slow", clean=False, found=expiry(60)) as slow:
        slow.accepted()
        slow.subscribe(("order/#", 2))
        for n in range(6):
            says.publish("order/1", b"%d" % n, n % 3, n + 1)
        came = [slow.message() for _ in range(6)]
    at_once = sorted(came, key=lambda each: each[4])
    assert [first for first, *_ in at_once] == [0x30, 0x32, 0x34, 0x30, 0x32, 0x34]
    identifiers = [identifier for _, _, identifier, _, _ in at_once]
    assert identifiers[0] == identifiers[3] == 0
    assert len({each for each in identifiers if each}) == 4
    kept = [each for each in came if each[2]]
    assert [each[4] for each in kept] == [b"1", b"2", b"4", b"5"]
    with Raw(port, "slow", clean=False, found=expiry(60)) as slow:
        assert slow.accepted()[0] == 1
        again = [slow.message() for _ in range(4)]
        assert [(first ^ 8, *rest) for first, *rest in again] == kept
        assert slow.is_silent(), "nothing comes again on the same connection"


def test_qos_2_is_taken_once_however_often_it_is_said(join: Join) -> None:
    """[MQTT-4.3.3-8] [MQTT-4.3.3-10] [MQTT-4.3.3-11] [MQTT-4.3.3-12] [MQTT-2.2.1-5] [MQTT-3.3.4-1]"""
    ear, says = join(), join()
    ear.subscribe(("once", 0))
    says.publish("once", b"first", 2, 7)
    assert says.next() == (PUBREC, b"\x00\x07")
    says.publish("once", b"first", 2, 7, dup=True)
    assert says.next() == (PUBREC, b"\x00\x07")
    says.answer(PUBREL, 7)
    assert says.next() == (PUBCOMP, b"\x00\x07")
    says.publish("once", b"second", 2, 7)
    assert says.next() == (PUBREC, b"\x00\x07")
    assert ear.payloads(2) == [b"first", b"second"]
    assert ear.is_silent()


def test_behind_a_puback_its_identifier_is_free(join: Join) -> None:
    """[MQTT-4.3.2-4] [MQTT-4.3.2-5]"""
    ear, says = join(), join()
    ear.subscribe(("free", 0))
    for payload in (b"first", b"second"):
        says.publish("free", payload, 1, 5)
        assert says.next() == (PUBACK, b"\x00\x05")
    assert ear.payloads(2) == [b"first", b"second"]


@pytest.mark.parametrize("qos", [1, 2])
def test_what_is_on_its_way_does_not_expire(port: int, join: Join, qos: int) -> None:
    """[MQTT-3.3.2-5] [MQTT-4.3.3-7] [MQTT-4.3.3-13]"""
    says, options = join(), {"clean": False, "found": expiry(60) + number(0x21, 1, 2)}
    with Raw(port, f"expires-{qos}", **options) as late:
        late.accepted()
        late.subscribe((f"expires/{qos}", qos))
        for payload in (b"begun", b"waits"):
            says.publish(f"expires/{qos}", payload, qos, ord(payload[:1]), found=number(0x02, 1, 4))
        first, *sent = late.message()
        assert sent[-1] == b"begun"
    time.sleep(1.3)
    with Raw(port, f"expires-{qos}", **options) as late:
        late.accepted()
        again, _, identifier, _, payload = late.message()
        assert (again, identifier, payload) == (first | 8, sent[1], b"begun")
        late.answer(PUBREC if qos == 2 else PUBACK, identifier)
        if qos == 2:
            assert late.next()[0] == PUBREL
            late.answer(PUBCOMP, identifier)
        assert late.is_silent(), "what waited behind it has expired"


@pytest.mark.parametrize("kept_s", [60, 1])
def test_a_shared_message_is_finished_with_who_has_begun_it_or_with_nobody(port: int, join: Join, kept_s: int) -> None:
    """[MQTT-4.8.2-4] [MQTT-4.8.2-5]"""
    says, topic = join(), f"begun/{kept_s}"
    options = {"clean": False, "found": expiry(kept_s)}
    with Raw(port, topic, **options) as begins:
        begins.accepted()
        begins.subscribe((f"$share/g/{topic}", 2))
        says.publish(topic, b"one", 2, 1)
        first, *sent = begins.message()
        other = join()
        other.subscribe((f"$share/g/{topic}", 2))
    time.sleep(1.6 if kept_s == 1 else 0.1)
    assert other.is_silent()
    with Raw(port, topic, **options) as begins:
        assert begins.accepted()[0] == (kept_s == 60)
        if kept_s == 60:
            again, *same = begins.message()
            assert (again, same) == (first | 8, sent)
        assert begins.is_silent()
    assert other.is_silent()


def test_behind_its_pubrec_a_message_does_not_come_again_and_its_pubrel_does(port: int, join: Join) -> None:
    """[MQTT-4.3.3-3] [MQTT-4.3.3-4] [MQTT-4.3.3-5] [MQTT-4.3.3-6] [MQTT-4.4.0-1]"""
    says = join()
    options = {"clean": False, "found": expiry(60)}
    with Raw(port, "half", **options) as half:
        half.accepted()
        half.subscribe(("half", 2))
        says.publish("half", b"", 2, 3)
        identifier = half.message()[2]
        half.answer(PUBREC, identifier)
        assert half.next() == (PUBREL, identifier.to_bytes(2, "big"))
    with Raw(port, "half", **options) as half:
        half.accepted()
        assert half.next() == (PUBREL, identifier.to_bytes(2, "big"))
        half.answer(PUBCOMP, identifier)
        assert half.is_silent()
    with Raw(port, "half", **options) as half:
        half.accepted()
        assert half.is_silent()


def test_what_a_subscriber_refuses_is_over(port: int, join: Join) -> None:
    """[MQTT-4.4.0-2] [MQTT-4.8.2-6]"""
    says = join()
    options = {"clean": False, "found": expiry(60)}
    with Raw(port, "refuses", **options) as refuses:
        refuses.accepted()
        refuses.subscribe(("refuse/#", 2), ("$share/g/refuse-shared", 2))
        for n, topic in enumerate(("refuse/1", "refuse-shared"), 1):
            for qos, answer in ((1, PUBACK), (2, PUBREC)):
                says.publish(topic, b"", qos, 10 * n + qos)
                refuses.answer(answer, refuses.message()[2], b"\x80\x00")
        assert refuses.is_silent()
    with Raw(port, "refuses", **options) as refuses:
        refuses.accepted()
        assert refuses.is_silent()


def test_no_more_are_on_their_way_than_the_client_takes(join: Join) -> None:
    """[MQTT-3.3.4-9] [MQTT-3.3.4-10] [MQTT-4.3.2-3] [MQTT-4.9.0-1] [MQTT-4.9.0-2] [MQTT-4.9.0-3]"""
    says, slow = join(), join(found=number(0x21, 2, 2))
    slow.subscribe(("window", 1))
    for n in range(5):
        says.publish("window", b"%d" % n, 1, n + 1)
    came = [slow.message() for _ in range(2)]
    assert slow.is_silent(), "and everything else is answered meanwhile"
    for n in range(3):
        slow.answer(PUBACK, came[n][2])
        came.append(slow.message())
        assert slow.is_silent()
    assert [each[4] for each in came] == [b"0", b"1", b"2", b"3", b"4"]


def test_nobody_may_have_more_on_the_way_than_it_was_told(join: Join) -> None:
    """[MQTT-3.3.4-7]"""
    eager = join()
    for n in range(33):
        eager.publish("eager", b"", 2, n + 1)
    said = [eager.next() for _ in range(34)]
    assert [first for first, _ in said].count(PUBREC) <= 32
    assert (DISCONNECT, b"\x93") in said
    assert (0, b"") in said


def test_nothing_larger_comes_than_the_client_takes(join: Join) -> None:
    """[MQTT-3.1.2-24] [MQTT-3.1.2-25]"""
    says, small = join(), join(found=number(0x27, 60, 4))
    small.subscribe(("size", 1))
    for n, octets in enumerate((200, 20, 51, 20), 1):
        says.publish("size", b"%d" % n * octets, 1, n)
    assert small.payloads(2) == [b"2" * 20, b"4" * 20]
    assert small.is_silent()


def test_everything_a_message_carries_comes_unchanged(join: Join) -> None:
    """[MQTT-3.3.2-3] [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]
    [MQTT-4.10.0-1] [MQTT-4.10.0-2] [MQTT-4.10.0-3] [MQTT-4.10.0-4]
    """
    ear, says = join(), join()
    ear.subscribe(("carries/+", 0))
    user = pair("z", "1") + pair("a", "2") + pair("z", "0")
    carried = (b"\x01\x01", b"\x08" + text("to/me"), b"\x09" + text(b"\x00\xff"), b"\x03" + text("text/plain"))
    says.publish("carries/all", b"x", found=b"".join(carried) + user)
    _, topic, _, found, payload = ear.message()
    assert (topic, payload) == ("carries/all", b"x")
    assert all(each in found for each in carried)
    assert user in found
    assert len(found) == len(b"".join(carried) + user)


# -- topics and aliases -------------------------------------------------------------------------------------


def test_an_alias_stands_for_its_topic_on_its_own_connection(join: Join) -> None:
    """[MQTT-3.3.2-7] [MQTT-3.3.2-12] [MQTT-3.1.2-27]"""
    ear, says = join(), join()
    ear.subscribe(("alias/#", 0))
    alias = number(0x23, 1, 2)
    says.publish("alias/one", b"1", found=alias)
    says.publish("", b"2", found=alias)
    says.publish("alias/two", b"3", found=alias)
    says.publish("", b"4", found=alias)
    came = [ear.message() for _ in range(4)]
    assert [(topic, payload) for _, topic, _, _, payload in came] == [
        ("alias/one", b"1"), ("alias/one", b"2"), ("alias/two", b"3"), ("alias/two", b"4"),
    ]  # fmt: skip
    assert not any(found for _, _, _, found, _ in came), "who allows none is sent none"
    other = join()
    other.publish("", b"5", found=alias)
    assert other.next()[0] == DISCONNECT
    assert ear.is_silent()


@pytest.mark.parametrize(("value", "code"), [(0, b"\x82"), (60_000, b"\x94")])
def test_an_alias_that_is_not_allowed_ends_the_connection(join: Join, value: int, code: bytes) -> None:
    """[MQTT-3.3.2-8] [MQTT-3.3.2-9] [MQTT-3.2.2-17]"""
    says = join()
    says.publish("alias/bad", b"", found=number(0x23, value, 2))
    assert says.next() == (DISCONNECT, code)
    assert says.next() == (0, b"")


def test_the_servers_own_aliases_stay_within_what_was_allowed(join: Join) -> None:
    """[MQTT-3.1.2-26] [MQTT-3.3.2-11] [MQTT-3.3.2-8]"""
    ear, says = join(found=number(0x22, 1, 2)), join()
    ear.subscribe(("many/#", 0))
    known: dict[int, str] = {}
    for n in range(6):
        says.publish(f"many/{n % 2}", b"")
        _, topic, _, found, _ = ear.message()
        if found:
            assert found[0] == 0x23
            assert 1 <= int.from_bytes(found[1:], "big") <= 1
            topic = topic or known[1]
            known[1] = topic
        assert topic == f"many/{n % 2}"


def test_wildcards_pass_over_the_servers_own_topics_and_nothing_is_normalized(join: Join) -> None:
    """[MQTT-4.7.2-1] [MQTT-4.7.3-4]"""
    ear, says = join(), join()
    assert ear.subscribe(("#", 0x20), ("+/own", 0), ("Case//x", 0)) == [0, 0, 0]
    says.publish("$own/own", b"hidden")
    for topic in ("Case//x", "case//x", "Case/x", "/Case//x"):
        says.publish(topic, topic.encode())
    assert [ear.message()[1] for _ in range(4)] == ["Case//x", "case//x", "Case/x", "/Case//x"]
    assert ear.is_silent()
    assert ear.subscribe(("$own/#", 0)) == [0]
    says.publish("$own/own", b"")
    assert ear.message()[1] == "$own/own"


@pytest.mark.parametrize("pattern", ["a/#/b", "a#", "a+/b", "+a", "$share/g", "$share//a", "$share/+/a", "$share/#/a"])
def test_filters_that_are_not_well_formed_are_refused(join: Join, pattern: str) -> None:
    """[MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.8.2-1] [MQTT-4.8.2-2]"""
    client = join()
    client.say(0x82, b"\x00\x01\x00" + text(pattern) + b"\x00")
    first, body = client.next()
    assert (first == SUBACK and body[3] >= 0x80) or (first == DISCONNECT and body[0] >= 0x80)


# -- retained messages and subscriptions --------------------------------------------------------------------


def test_retained_messages_and_when_they_come(join: Join) -> None:
    """[MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-7] [MQTT-3.3.1-8] [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
    [MQTT-3.8.4-4]
    """
    says, ear = join(), join()
    says.publish("kept/1", b"old", retain=True)
    says.publish("kept/1", b"new", 1, 1, retain=True)
    says.publish("kept/1", b"passing")
    says.next()
    send, if_new, never = 0x00, 0x10, 0x20
    for handling, comes in ((if_new, True), (if_new, False), (send, True), (send, True), (never, False)):
        assert ear.subscribe(("kept/+", handling)) == [0]
        if comes:
            first, _, _, _, payload = ear.message()
            assert (first, payload) == (0x31, b"new")
        assert ear.is_silent()
    says.publish("kept/1", b"", 1, 2, retain=True)
    assert ear.message()[4] == b""
    assert join().subscribe(("kept/+", 0)) == [0]
    late = join()
    late.subscribe(("kept/+", 0))
    assert late.is_silent()


def test_the_retain_flag_is_kept_for_who_asks(join: Join) -> None:
    """[MQTT-3.3.1-12] [MQTT-3.3.1-13]"""
    says, plain, published = join(), join(), join()
    plain.subscribe(("flag", 0))
    published.subscribe(("flag", 0x08))
    for retain in (True, False):
        says.publish("flag", b"x", retain=retain)
        assert (plain.message()[0] & 1, published.message()[0] & 1) == (0, retain)


def test_no_local(join: Join) -> None:
    """[MQTT-3.8.3-3] [MQTT-3.8.3-4]"""
    both, other = join(), join()
    assert both.subscribe(("local", 0x04)) == [0]
    both.say(0x32, text("local") + b"\0\7" + b"\0mine")
    assert both.next() == (0x40, b"\0\7"), "somebody has subscribed: no 0x10"
    both.publish("local", b"mine")
    other.publish("local", b"other")
    assert both.message()[4] == b"other"
    assert both.is_silent()
    both.say(0x82, b"\x00\x01\x00" + text("$share/g/local") + b"\x04")
    assert both.next() == (DISCONNECT, b"\x82")


def test_one_suback_for_all_filters_in_their_order_and_the_last_of_a_filter_stands(join: Join) -> None:
    """[MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-3] [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.8.4-8]
    [MQTT-3.9.3-1] [MQTT-3.9.3-2] [MQTT-2.2.1-6]
    """
    ear, says = join(), join()
    assert ear.subscribe(("s/2", 2), ("test/nosubscribe", 1), ("s/0", 0), ("s/1", 1), identifier=4711) == [
        2,
        0x80,
        0,
        1,
    ]
    for granted in (0, 1, 2):
        for qos in (0, 1, 2):
            says.publish(f"s/{granted}", b"", qos, 1 + granted * 3 + qos)
            first, _, identifier, _, _ = ear.message()
            assert first >> 1 & 3 == min(granted, qos)
            if identifier:
                ear.answer(PUBACK if first & 2 else PUBREC, identifier)
            if first & 4:
                assert ear.next()[0] == PUBREL
                ear.answer(PUBCOMP, identifier)
    assert ear.subscribe(("s/2", 0)) == [0]
    says.publish("s/2", b"", 2, 60)
    assert ear.message()[0] == 0x30
    assert ear.is_silent(), "one subscription, one copy"


def test_overlapping_subscriptions_bring_the_best_qos_and_all_their_numbers(join: Join) -> None:
    """[MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.3.4-4]"""
    ear, says = join(), join()
    ear.subscribe(("over/#", 0), found=b"\x0b\x07")
    ear.subscribe(("over/+", 1), found=b"\x0b\x08")
    ear.subscribe(("over/x/y", 2))
    says.publish("over/x", b"", 2, 1)
    first, _, _, found, _ = ear.message()
    assert first == 0x32
    assert found in (b"\x0b\x07\x0b\x08", b"\x0b\x08\x0b\x07")
    assert ear.is_silent()


def test_unsubscribe(join: Join) -> None:
    """[MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6] [MQTT-3.11.3-1]
    [MQTT-3.11.3-2]
    """
    ear, says = join(), join()
    ear.subscribe(("un/1", 1), ("un/+", 1), ("un/2", 1))
    ear.say(0xA2, b"\x00\x05\x00" + text("un/1") + text("un/none") + text("un/+"))
    assert ear.next() == (UNSUBACK, b"\x00\x05\x00\x00\x11\x00")
    for n in (1, 2, 3):
        says.publish(f"un/{n}", b"", 1, n)
    assert ear.message()[1] == "un/2"
    assert ear.is_silent()


def test_what_is_on_its_way_at_unsubscribe_is_finished(join: Join) -> None:
    """[MQTT-3.10.4-3]"""
    ear, says = join(), join()
    ear.subscribe(("way", 2))
    says.publish("way", b"", 2, 1)
    identifier = ear.message()[2]
    ear.say(0xA2, b"\x00\x05\x00" + text("way"))
    assert ear.next()[0] == UNSUBACK
    ear.answer(PUBREC, identifier)
    assert ear.next() == (PUBREL, identifier.to_bytes(2, "big"))
    ear.answer(PUBCOMP, identifier)
    assert ear.is_silent()


def test_a_shared_message_comes_to_one_at_the_qos_it_was_granted(join: Join) -> None:
    """[MQTT-4.8.2-3]"""
    members, says = [join(), join()], join()
    for qos, member in enumerate(members):
        assert member.subscribe(("$share/team/task", qos)) == [qos]
    for n in range(6):
        says.publish("task", b"", 2, n + 1)
    for qos, member in enumerate(members):
        assert [member.message()[0] >> 1 & 3 for _ in range(3)] == [qos] * 3
        assert member.is_silent()


# -- errors and ends ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "octets",
    [
        packet(0xA0, b"\x00\x01\x00" + text("a")),
        packet(0xA2, b"\x00\x01\x00"),
        packet(0x60, b"\x00\x01"),
        packet(0xE1, b""),
        packet(0xF1, b""),
        packet(0x82, b"\x00\x00\x00" + text("a") + b"\x00"),
        packet(0x82, b"\x00\x01\x00" + text("a") + b"\xc0"),
        packet(0xA2, b"\x00\x01\x00" + text(b"\xff")),
        packet(0x30, text("") + b"\x00"),
        packet(0x30, text("a") + counted(b"\x08" + text("a/+"))),
        packet(0xF0, b"\x7f\x00"),
        packet(0x62, b"\x00\x01\x7f"),
    ],
    ids=["UNSUBSCRIBE flags", "UNSUBSCRIBE of nothing", "PUBREL flags", "DISCONNECT flags", "AUTH flags",
         "identifier 0", "reserved options", "filter not UTF-8", "no topic",
         "response topic", "AUTH code", "PUBREL code"],
)  # fmt: skip
def test_malformed_packets_end_the_connection_with_a_code(join: Join, octets: bytes) -> None:
    """[MQTT-2.1.3-1] [MQTT-2.2.1-3] [MQTT-3.6.1-1] [MQTT-3.8.3-5] [MQTT-3.10.1-1] [MQTT-3.10.3-1] [MQTT-3.10.3-2]
    [MQTT-3.14.1-1] [MQTT-3.15.1-1] [MQTT-3.15.2-1]
    [MQTT-3.3.2-14] [MQTT-3.6.2-1] [MQTT-4.7.3-1] [MQTT-4.13.1-1] [MQTT-4.13.2-1]
    """
    client = join()
    client._socket.sendall(octets)
    first, body = client.next()
    assert (first, body[0] >= 0x80) == (DISCONNECT, True)
    assert b"\x11" not in body[1:], "a server says no session expiry [MQTT-3.14.2-2]"
    assert client.next() == (0, b"")


def test_behind_a_disconnect_nothing_is_read_or_said(join: Join) -> None:
    """[MQTT-3.14.4-1] [MQTT-3.14.4-2] [MQTT-3.12.4-1]"""
    ear, says = join(), join()
    ear.subscribe(("behind", 0))
    says.say(0xC0)
    assert says.next() == (PINGRESP, b"")
    says._socket.sendall(packet(DISCONNECT, b"") + packet(0x30, text("behind") + b"\x00"))
    assert says.next() == (0, b"")
    assert ear.is_silent()


def test_a_goodbye_for_no_reason_of_a_client_is_one_all_the_same(join: Join) -> None:
    """[MQTT-3.14.2-1]"""
    ear = join()
    ear.subscribe(("odd/#", 0))
    will = counted(b"") + text("odd/will") + text("gone")
    client = join(will=will, will_flags=4)
    client.say(DISCONNECT, b"\x05")
    assert client.next() == (0, b"")
    assert ear.message()[4] == b"gone"


def test_a_refused_connect_hears_nothing_but_its_connack(port: int) -> None:
    """[MQTT-3.1.2-1] [MQTT-3.1.2-2] [MQTT-3.14.0-1] [MQTT-3.2.0-2]"""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S_MAX) as stranger:
        stranger.sendall(packet(0x10, text("MQTT") + b"\x07\x02\x00\x3c" + b"\x00" + text("x")))
        said = bytearray()
        while data := stranger.recv(1024):
            said += data
    heard = list(packets(said))
    assert [first for first, _ in heard] in ([], [CONNACK])
    assert all(body[1] in (0x01, 0x84) for _, body in heard)


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_pubrec_comes_before_what_it_is_for(join: Join, qos: int) -> None:
    """Figure 4.3: a publisher of QoS 2 that listens to itself hears its PUBREC first, then the message."""
    both = join()
    assert both.subscribe(("self", qos)) == [qos]
    both.say(0x34, text("self") + b"\0\7" + b"\0mine")
    assert both.next() == (0x50, b"\0\7")
    assert both.message()[4] == b"mine"
    both.say(0x62, b"\0\7")
    assert both.next()[0] == 0x70


def test_topics_may_be_as_long_and_as_deep_as_those_of_mosquitto(join: Join) -> None:
    ear, says = join(), join()
    for topic in ("x" * 4_096, "/" * 200):
        assert ear.subscribe((topic, 0)) == [0]
        says.publish(topic, b"far")
        assert ear.message()[4] == b"far"
    says.publish("/" * 201, b"too far")
    assert says.next() == (DISCONNECT, b"\x81")

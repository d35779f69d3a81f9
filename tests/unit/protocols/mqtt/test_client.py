"""The client's machine against bytes, and against the server's machine that was written before it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.protocols.mqtt import answers, packets
from ringmain.protocols.mqtt.client import ClientMachine
from ringmain.protocols.mqtt.client_events import (
    IN_FLIGHT_MAX,
    Accepted,
    Acknowledged,
    ClientPhase,
    ClientSettings,
    Ended,
    Granted,
    Received,
)
from ringmain.protocols.mqtt.events import ConnectAsked, Delivered, Limits, Published, SubscribeAsked
from ringmain.protocols.mqtt.flight import UNKEPT_FROM
from ringmain.protocols.mqtt.machine import ServerMachine
from ringmain.protocols.mqtt.properties import Property
from ringmain.protocols.mqtt.reasons import Reason

SETTINGS = ClientSettings("edge", "tenant/edge", b"token", keep_alive_s=20, answer_s=15.0)
CONNACK = answers.write_connack(5, Reason.SUCCESS) or b""


def connected(now: float = 0.0) -> ClientMachine:
    machine = ClientMachine(SETTINGS, now)
    machine.data_to_send()
    assert machine.receive(CONNACK, now) == [Accepted(IN_FLIGHT_MAX, 268_435_455)]
    return machine


def ended(machine: ClientMachine, data: bytes) -> Ended:
    events = machine.receive(data, 1.0)
    assert isinstance(events[-1], Ended)
    assert machine.phase is ClientPhase.CLOSED
    assert machine.receive(CONNACK, 2.0) == []
    return events[-1]


def test_the_bytes_of_its_connect():
    machine = ClientMachine(SETTINGS, 0.0)
    connect = packets.read_connect(machine.data_to_send()[2:])
    assert (connect.level, connect.client_id, connect.clean_start) == (5, "edge", True)
    assert (connect.user_name, connect.password, connect.keep_alive_s) == ("tenant/edge", b"token", 20)
    assert connect.properties[Property.RECEIVE_MAXIMUM] == IN_FLIGHT_MAX
    assert machine.data_to_send() == b""


def test_without_words_for_who_it_is_the_flags_say_so():
    connect = packets.read_connect(ClientMachine(ClientSettings("edge"), 0.0).data_to_send()[2:])
    assert connect.user_name is None
    assert connect.password is None


def conversation() -> tuple[ClientMachine, ServerMachine]:
    client, server = ClientMachine(SETTINGS, 0.0), ServerMachine(Limits(receive_maximum=4), 0.0)
    (asked,) = server.receive(client.data_to_send(), 0.0)
    assert isinstance(asked, ConnectAsked)
    server.accept(0.0)
    (accepted,) = client.receive(server.data_to_send(), 0.0)
    assert accepted == Accepted(4, Limits().packet_bytes_max)
    return client, server


def test_a_conversation_with_the_servers_machine():
    client, server = conversation()
    identifier = client.subscribe(["devices/edge/roster", "devices/edge/settings"], 1.0)
    (asked,) = server.receive(client.data_to_send(), 1.0)
    assert isinstance(asked, SubscribeAsked)
    assert [each.filter for each in asked.subscriptions] == ["devices/edge/roster", "devices/edge/settings"]
    server.grant(asked.identifier, [1, Reason.NOT_AUTHORIZED])
    assert client.receive(server.data_to_send(), 1.0) == [Granted(identifier, (1, Reason.NOT_AUTHORIZED))]

    sent = [client.publish("devices/edge/chunks", bytes([at]) * 300, 2.0) for at in range(4)]
    assert (client.room, client.in_flight) == (0, 4)
    with pytest.raises(ValueError, match="no room"):
        client.publish("devices/edge/chunks", b"", 2.0)
    (published,) = server.receive(client.data_to_send(), 2.0)
    assert isinstance(published, Published)
    assert published.payloads == [bytes([at]) * 300 for at in range(4)]
    server.acknowledge(published.identifiers[:3])
    server.acknowledge(published.identifiers[3:], Reason.QUOTA_EXCEEDED)
    assert client.receive(server.data_to_send(), 2.0) == [
        *(Acknowledged(each, Reason.SUCCESS, "") for each in sent[:3]),
        Acknowledged(sent[3], Reason.QUOTA_EXCEEDED, ""),
    ]
    assert client.room == 4

    server.publish("devices/edge/roster", b"{}", 1)
    assert client.receive(server.data_to_send(), 3.0) == [Received("devices/edge/roster", b"{}")]
    assert server.receive(client.data_to_send(), 3.0) == [Delivered(UNKEPT_FROM)]

    client.close()
    (closed,) = server.receive(client.data_to_send(), 4.0)
    assert (closed.reason, closed.publish_will) == (Reason.SUCCESS, False)


@given(st.data())
def test_it_does_not_matter_where_a_stream_is_split(data):
    stream = CONNACK + answers.write_suback(5, 1, [1]) + b"\xd0\x00" + answers.write_publish(5, "a/b", b"x" * 200, 1, 7)
    stream += answers.write_publish(5, "a/b", b"y", 0, 0) + answers.write_disconnect(Reason.SERVER_SHUTTING_DOWN, "bye")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    machine = ClientMachine(SETTINGS, 0.0)
    events = [
        event
        for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for event in machine.receive(stream[start:stop], 0.0)
    ]
    assert events == [
        Accepted(IN_FLIGHT_MAX, 268_435_455),
        Granted(1, (1,)),
        Received("a/b", b"x" * 200),
        Received("a/b", b"y"),
        Ended(Reason.SERVER_SHUTTING_DOWN, "bye"),
    ]


@given(st.binary(max_size=200), st.booleans())
def test_noise_ends_it_and_nothing_else(noise, greeted):
    machine = connected() if greeted else ClientMachine(SETTINGS, 0.0)
    machine.receive(noise, 1.0)
    machine.data_to_send()
    machine.deadline()


def test_a_refusal_says_why():
    refusal = answers.write_connack(5, Reason.BAD_USER_NAME_OR_PASSWORD, {Property.REASON_STRING: "unknown"}) or b""
    assert ended(ClientMachine(SETTINGS, 0.0), refusal) == Ended(Reason.BAD_USER_NAME_OR_PASSWORD, "unknown")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x40\x02\x00\x07", Reason.PROTOCOL_ERROR),  # PUBACK of nothing in flight
        (CONNACK, Reason.PROTOCOL_ERROR),  # a second one
        (b"\x34\x07\x00\x01a\x00\x01\x00x", Reason.QOS_NOT_SUPPORTED),  # PUBLISH of QoS 2
        (b"\x32\x07\x00\x01a\x00\x00\x00x", Reason.PROTOCOL_ERROR),  # packet identifier 0
        (b"\x30\x05\x00\x01+\x00x", Reason.MALFORMED_PACKET),
        (b"\x82\x00", Reason.MALFORMED_PACKET),  # flags
        (b"\x10\x00", Reason.PROTOCOL_ERROR),  # CONNECT from a server
        (b"\x30\xff\xff\xff\x7f", Reason.PACKET_TOO_LARGE),
        (b"\x30\xff\xff\xff\xff\x01", Reason.MALFORMED_PACKET),
    ],
)
def test_a_server_that_breaks_the_standard(data, reason):
    assert ended(connected(), data).reason is reason


def test_nothing_may_come_before_the_connack():
    assert ended(ClientMachine(SETTINGS, 0.0), b"\xd0\x00").reason is Reason.PROTOCOL_ERROR


def test_a_server_that_never_answers():
    machine = ClientMachine(SETTINGS, 100.0)
    assert machine.deadline() == 115.0
    assert machine.wake(114.9) == []
    (event,) = machine.wake(115.0)
    assert event == Ended(Reason.KEEP_ALIVE_TIMEOUT, "no answer for 15 s")


def test_the_time_of_the_handshake_is_not_the_servers():
    machine = ClientMachine(SETTINGS, 100.0)
    machine.opened(120.0)
    assert machine.wake(120.0) == []
    assert machine.deadline() == 135.0
    assert isinstance(machine.wake(135.0)[0], Ended)


def test_a_ping_when_nothing_was_said_and_the_end_when_it_is_not_answered():
    machine = connected()
    assert machine.deadline() == 20.0
    assert machine.wake(20.0) == []
    assert machine.data_to_send() == b"\xc0\x00"
    assert machine.deadline() == 35.0
    assert machine.receive(b"\xd0\x00", 21.0) == []
    assert machine.deadline() == 40.0
    machine.wake(40.0)
    assert isinstance(machine.wake(55.0)[0], Ended)


def test_a_puback_that_is_overdue_ends_a_link_that_still_answers_pings():
    machine = connected()
    machine.publish("t", b"", 1.0)
    machine.publish("t", b"", 9.0)
    assert machine.deadline() == 16.0
    machine.receive(b"\xd0\x00", 15.0)
    assert isinstance(machine.wake(16.0)[0], Ended)


class Slow:
    """A line that carries `bytes_s` of what was put on it; the time is the test's."""

    def __init__(self, bytes_s: float) -> None:
        self.bytes_s, self.written, self.left, self.now = bytes_s, 0, 0.0, 0.0
        self.machine = ClientMachine(SETTINGS, 0.0, lambda: (int(self.left), self.written - int(self.left)))
        self.write()
        self.machine.receive(CONNACK, 0.0)

    def write(self) -> None:
        self.written += len(self.machine.data_to_send())

    def publish(self, size: int) -> tuple[int, int]:
        identifier = self.machine.publish("t", bytes(size), self.now)
        self.write()
        self.machine.sending(self.now)
        return self.written, identifier

    def until(self, end: float) -> list:
        """Whatever the machine says until then; it is woken when it wants to be."""
        events = []
        while self.now < end and not events:
            at = min(end, max(self.machine.deadline() or end, self.now))
            self.left = min(self.written, self.left + self.bytes_s * (at - self.now))
            self.now = at
            events = self.machine.wake(at)
            self.write()
        return events


@pytest.mark.parametrize("size", [24_000, 128_000])
def test_a_slow_line_is_no_dead_one(size):
    """Four chunks at once at 2.4 kB/s: the first is answered after 10 s, or 53, the others later and later."""
    line = Slow(2400)
    for end, identifier in [line.publish(size) for _ in range(4)]:
        assert line.until(end / 2400 + 0.5) == []
        (event,) = line.machine.receive(b"\x40\x02" + identifier.to_bytes(2, "big"), line.now)
        assert event == Acknowledged(identifier, Reason.SUCCESS, "")


def test_a_line_that_dies_with_half_of_it_is_noticed():
    line = Slow(2400)
    line.publish(96_000)
    assert line.until(20.0) == []
    line.bytes_s = 0
    (event,) = line.until(100.0)
    assert event == Ended(Reason.KEEP_ALIVE_TIMEOUT, "no answer for 15 s")
    assert 34.0 <= line.now <= 36.0


def test_a_server_that_takes_all_and_answers_nothing_is_noticed_whatever_pings_it_gets():
    """Its kernel acknowledges all bytes, those of pings too."""
    line = Slow(1e9)
    line.machine._keep_alive_s = 1.0  # as often as it is looked
    line.publish(24_000)
    (event,) = line.until(100.0)
    assert isinstance(event, Ended)
    assert line.now <= 18.0


def test_each_message_has_its_time_from_the_answer_to_the_one_before():
    machine = connected()
    first, second = machine.publish("t", b"", 1.0), machine.publish("t", b"", 1.0)
    machine.receive(b"\x40\x02" + first.to_bytes(2, "big"), 14.0)
    assert machine.wake(28.9) == []
    assert machine.deadline() in (29.0, 34.0, 35.0)
    machine.receive(b"\xd0\x00", 28.9)
    assert isinstance(machine.wake(29.0)[0], Ended), second


def test_an_answer_to_a_later_message_gives_one_that_was_passed_over_no_time():
    machine = connected()
    machine.publish("t", b"", 1.0)
    later = machine.publish("t", b"", 2.0)
    machine.receive(b"\x40\x02" + later.to_bytes(2, "big"), 15.0)
    assert isinstance(machine.wake(16.0)[0], Ended)


def test_the_servers_keep_alive_wins():
    machine = ClientMachine(SETTINGS, 0.0)
    machine.receive(answers.write_connack(5, Reason.SUCCESS, {Property.SERVER_KEEP_ALIVE: 7}) or b"", 0.0)
    assert machine.deadline() == 7.0


def test_a_packet_that_the_server_would_not_take_is_not_sent():
    machine = ClientMachine(SETTINGS, 0.0)
    machine.receive(answers.write_connack(5, Reason.SUCCESS, {Property.MAXIMUM_PACKET_SIZE: 20}) or b"", 0.0)
    machine.data_to_send()
    with pytest.raises(ValueError, match="the server takes 20"):
        machine.publish("topic", b"x" * 30, 0.0)
    assert machine.in_flight == 0
    assert machine.data_to_send() == b""


@pytest.mark.slow
def test_identifiers_in_flight_are_not_given_twice():
    machine = connected()
    held = machine.publish("t", b"", 0.0)
    for _ in range(65_600):
        given = machine.publish("t", b"", 0.0)
        assert given != held
        machine.receive(answers.write_pubacks(5, [given.to_bytes(2, "big")]), 0.0)
    machine.data_to_send()


def test_a_lost_socket_is_told_once():
    machine = connected()
    assert machine.lost() == [Ended(Reason.UNSPECIFIED, "connection lost")]
    assert machine.lost() == []
    assert machine.deadline() is None
    assert machine.wake(1e9) == []

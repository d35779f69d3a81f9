"""The machine of one connection: what it must refuse first, then what it offers. Single packets are in the vectors."""

import msgspec
import pytest

from ringmain.protocols.mqtt import wire
from ringmain.protocols.mqtt.events import (
    NOTHING_KEPT,
    Closed,
    ConnectAsked,
    Delivered,
    Limits,
    Phase,
    Published,
    Received,
    Released,
    SubscribeAsked,
)
from ringmain.protocols.mqtt.flight import UNKEPT_FROM
from ringmain.protocols.mqtt.machine import CONNECT_BYTES_MAX, WAITING_BYTES_MAX, ServerMachine
from ringmain.protocols.mqtt.outgoing import Sending
from ringmain.protocols.mqtt.properties import Property
from ringmain.protocols.mqtt.reasons import NOT_IN_CONNACK, NOT_IN_DISCONNECT, Reason

CONNECT = {4: bytes.fromhex("100d00044d5154540402003c000163"), 5: bytes.fromhex("100e00044d5154540502003c00000163")}
PING = b"\xc0\x00"


def publish(topic="t", payload=b"x", identifier=0, level=4, first=None):
    head = wire.text(topic) + (identifier.to_bytes(2, "big") if identifier else b"") + (b"\0" if level == 5 else b"")
    return wire.packet((0x32 if identifier else 0x30) if first is None else first, head + payload)


def connect_5(properties=b"", flags=2, keep_alive=60, rest=None):
    body = wire.text("MQTT") + bytes((5, flags)) + keep_alive.to_bytes(2, "big")
    return wire.packet(0x10, body + wire.variable(len(properties)) + properties + (rest or wire.text("c")))


def identifiers_of(data):
    """Packet identifiers of PUBLISHes on `errors` without a payload."""
    assert len(data) % 12 == 0
    return [int.from_bytes(data[at + 10 : at + 12], "big") for at in range(0, len(data), 12)]


def connect_4(keep_alive):
    return wire.packet(0x10, wire.text("MQTT") + b"\4\2" + keep_alive.to_bytes(2, "big") + wire.text("c"))


class TestBeforeTheSignIn:
    def test_a_stranger_that_speaks_something_else_is_told_nothing(self):
        machine = ServerMachine(Limits(), 0.0)
        (closed,) = machine.receive(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html, everything/else\r\n\r\n", 0.0
        )
        assert closed.reason is Reason.PROTOCOL_ERROR
        assert machine.data_to_send() == b""

    @pytest.mark.parametrize("start", [b"GE", b"\x30\xff", b"\x82\x7f", b"\x00\x00"])
    def test_a_stranger_is_shown_the_door_at_its_first_bytes(self, start):
        (closed,) = ServerMachine(Limits(), 0.0).receive(start, 0.0)
        assert closed.reason is Reason.PROTOCOL_ERROR

    def test_no_connect_in_time(self):
        machine = ServerMachine(Limits(connect_deadline_s=10), 100.0)
        assert machine.deadline() == 110.0
        machine.receive(CONNECT[4][:5], 109.0)
        assert machine.deadline() == 110.0
        assert machine.wake(109.9) == []
        (closed,) = machine.wake(110.0)
        assert closed == Closed(Reason.KEEP_ALIVE_TIMEOUT, "no CONNECT in time", by_peer=False, publish_will=False)
        assert machine.data_to_send() == b""
        assert machine.deadline() is None

    def test_a_sign_in_that_takes_too_long_is_over_too(self):
        machine = ServerMachine(Limits(connect_deadline_s=10), 0.0)
        machine.receive(CONNECT[5], 1.0)
        assert [type(it) for it in machine.wake(10.0)] == [Closed]
        assert machine.accept(11.0) == []
        assert machine.data_to_send() == b""

    @pytest.mark.parametrize("piece", [1, 7, 1000])
    def test_it_holds_no_more_than_one_connect(self, piece):
        machine = ServerMachine(Limits(), 0.0)
        stream = wire.packet(0x10, bytes(CONNECT_BYTES_MAX))
        for at in range(0, len(stream), piece):
            if machine.receive(stream[at : at + piece], 0.0):
                break
            assert machine._frames.held <= CONNECT_BYTES_MAX
        assert machine.phase is Phase.CLOSED

    def test_what_comes_during_the_sign_in_waits_and_is_bounded(self):
        machine = ServerMachine(Limits(), 0.0)
        machine.receive(CONNECT[5] + publish(level=5), 0.0)
        events = []
        for _ in range(1000):
            events = machine.receive(bytes(1024), 0.0)
            assert machine._frames.held <= WAITING_BYTES_MAX + 1024
            if events:
                break
        assert [(type(it), it.reason, it.publish_will) for it in events] == [(Closed, Reason.QUOTA_EXCEEDED, False)]
        assert machine.data_to_send() == bytes.fromhex("2003009700")

    def test_nothing_of_a_stranger_is_looked_at_before_the_answer(self):
        machine = ServerMachine(Limits(), 0.0)
        events = machine.receive(CONNECT[4] + publish(identifier=1) + b"\xff\xff\xff\xff\xff", 0.0)
        assert [type(it) for it in events] == [ConnectAsked]
        events = machine.accept(0.0)
        assert [type(it) for it in events] == [Published, Closed]

    @pytest.mark.parametrize("level", [4, 5])
    def test_refused(self, level):
        machine = ServerMachine(Limits(), 0.0)
        machine.receive(CONNECT[level] + publish(), 0.0)
        closed = machine.refuse(Reason.BAD_USER_NAME_OR_PASSWORD, "no")
        assert (closed.by_peer, closed.publish_will) == (False, False)
        assert machine.data_to_send().hex() == {4: "20020004", 5: "2003008600"}[level]
        assert machine.receive(PING, 0.0) == []
        assert machine.accept(0.0) == []

    def test_lost_before_it_was_let_in_has_no_will(self):
        machine = ServerMachine(Limits(), 0.0)
        machine.receive(wire.packet(0x10, bytes.fromhex("00044d5154540406003c0001630001740001") + b"m"), 0.0)
        assert machine.lost() == [Closed(Reason.UNSPECIFIED, "connection lost", by_peer=True, publish_will=False)]
        assert machine.lost() == []


class TestAccepted:
    def test_connack_of_311_is_bare(self):
        machine = ServerMachine(Limits(), 0.0)
        machine.receive(CONNECT[4], 0.0)
        assert machine.accept(0.0) == []
        assert machine.data_to_send() == b"\x20\x02\x00\x00"

    def test_connack_of_5_says_what_is_offered(self):
        machine = ServerMachine(Limits(receive_maximum=20, packet_bytes_max=4096), 0.0)
        machine.receive(connect_5(rest=wire.text("")), 0.0)
        machine.accept(0.0, "ringmain-1")
        offered = "210014" + "2700001000" + "22000a" + "12000a" + b"ringmain-1".hex()
        assert machine.data_to_send().hex() == f"20{len(offered) // 2 + 3:02x}0000{len(offered) // 2:02x}{offered}"

    def test_connack_of_5_says_what_a_door_that_keeps_nothing_does_not_offer(self):
        machine = ServerMachine(msgspec.structs.replace(NOTHING_KEPT, receive_maximum=20, packet_bytes_max=4096), 0.0)
        machine.receive(connect_5(rest=wire.text("")), 0.0)
        machine.accept(0.0, "ringmain-1")
        offered = "210014" + "2700001000" + "2401" + "2500" + "2900" + "2a00" + "12000a" + b"ringmain-1".hex()
        assert machine.data_to_send().hex() == f"20{len(offered) // 2 + 3:02x}0000{len(offered) // 2:02x}{offered}"

    @pytest.mark.parametrize(("asked", "granted"), [(0, 1200), (1201, 1200), (65535, 1200), (60, None), (1200, None)])
    def test_keep_alive_of_5_is_ours_where_the_peer_has_none_or_a_longer_one(self, asked, granted):
        machine = ServerMachine(Limits(keep_alive_s_max=1200), 0.0)
        machine.receive(connect_5(keep_alive=asked), 0.0)
        machine.accept(100.0)
        said = bytes.fromhex("1304b0") in machine.data_to_send()
        assert said is (granted is not None)
        assert machine.deadline() == 100.0 + 1.5 * (granted or asked)

    @pytest.mark.parametrize(("granted", "said"), [(0, "1100000000"), (5, "1100000005"), (10, "")])
    def test_a_session_is_kept_as_long_as_was_granted(self, granted, said):
        machine = ServerMachine(Limits(), 0.0)
        machine.receive(connect_5(b"\x11\x00\x00\x00\x0a"), 0.0)
        machine.accept(0.0, session_expiry_s=granted)
        answer = machine.data_to_send().hex()
        assert said in answer
        assert ("11000000" in answer) is bool(said)

    @pytest.mark.parametrize(("level", "answer"), [(4, "20020100"), (5, "2003010000")])
    def test_a_session_that_was_there_is_present(self, level, answer):
        machine = ServerMachine(Limits(), 0.0)
        machine.receive(CONNECT[level], 0.0)
        machine.accept(0.0, session_present=True)
        said = machine.data_to_send().hex()
        assert (said[:2], said[4:8]) == (answer[:2], answer[4:8])

    @pytest.mark.parametrize("wanted", [False, True])
    def test_where_to_answer_is_told_who_asks(self, wanted):
        machine = ServerMachine(Limits(), 0.0)
        machine.receive(connect_5(b"\x19\x01" if wanted else b""), 0.0)
        machine.accept(0.0, response_information="apps/c/")
        assert (b"\x1a\0\7apps/c/" in machine.data_to_send()) is wanted

    def test_311_without_keep_alive_has_no_deadline(self):
        machine = ServerMachine(Limits(), 0.0)
        machine.receive(connect_4(0), 0.0)
        machine.accept(0.0)
        assert machine.deadline() is None
        assert machine.wake(1e9) == []

    def test_a_peer_whose_limit_is_below_our_connack_is_left_alone(self):
        machine = ServerMachine(Limits(), 0.0)
        machine.receive(connect_5(b"\x27\x00\x00\x00\x02"), 0.0)
        (closed,) = machine.accept(0.0)
        assert closed.reason is Reason.PACKET_TOO_LARGE
        assert machine.data_to_send() == b""


class TestKeepAlive:
    @pytest.mark.parametrize("level", [4, 5])
    def test_silence_ends_it_with_the_will(self, level, connected):
        machine = connected(level)
        machine.receive(PING, 50.0)
        assert machine.deadline() == 50.0 + 90.0
        assert machine.wake(139.9) == []
        (closed,) = machine.wake(140.0)
        assert (closed.reason, closed.publish_will) == (Reason.KEEP_ALIVE_TIMEOUT, True)
        assert machine.data_to_send()[2:].removeprefix(b"\xd0\x00")[:3][2:] == (b"" if level == 4 else b"\x8d")

    def test_half_a_packet_is_a_sign_of_life(self, connected):
        machine = connected(4)
        machine.receive(publish()[:3], 80.0)
        assert machine.deadline() == 170.0


class TestPublish:
    @pytest.mark.parametrize("level", [4, 5])
    def test_one_read_is_one_batch_in_order(self, level, connected):
        machine = connected(level)
        stream = b"".join(publish("a" if n % 3 else "b", b"%d" % n, n % 2 and n, level) for n in range(1, 30))
        (batch,) = machine.receive(stream, 0.0)
        assert batch.payloads == [b"%d" % n for n in range(1, 30)]
        assert batch.topics == [b"a" if n % 3 else b"b" for n in range(1, 30)]
        assert batch.identifiers == [n.to_bytes(2, "big") if n % 2 else b"" for n in range(1, 30)]
        assert machine.in_flight == 15
        machine.acknowledge([it for it in batch.identifiers if it])
        assert machine.in_flight == 0
        assert machine.data_to_send() == b"".join(b"\x40\x02" + it for it in batch.identifiers if it)

    def test_other_packets_keep_their_place_between(self, connected):
        machine = connected(4)
        subscribe = bytes.fromhex("82060001000161" + "00")
        events = machine.receive(
            publish(payload=b"1", identifier=1) + PING + publish(payload=b"2") + subscribe + publish(payload=b"3"), 0.0
        )
        assert [type(it) for it in events] == [Published, Published, SubscribeAsked, Published]
        assert [it.payloads for it in events if isinstance(it, Published)] == [[b"1"], [b"2"], [b"3"]]
        assert machine.data_to_send() == b"\xd0\x00"

    @pytest.mark.parametrize("level", [4, 5])
    def test_what_came_whole_before_a_violation_is_handed_on(self, level, connected):
        machine = connected(level)
        events = machine.receive(publish(identifier=1, level=level) * 3 + b"\x36\x03abc", 0.0)
        assert [type(it) for it in events] == [Published, Closed]
        assert len(events[0].topics) == 3
        machine.data_to_send()
        machine.acknowledge(events[0].identifiers)
        assert machine.data_to_send() == b""

    def test_nothing_is_read_behind_a_disconnect(self, connected):
        machine = connected(4)
        events = machine.receive(publish() + b"\xe0\x00" + publish(), 0.0)
        assert [type(it) for it in events] == [Published, Closed]
        assert not events[1].publish_will
        assert machine.receive(publish(), 0.0) == []
        assert machine.lost() == []

    def test_a_long_payload_and_a_longer_one(self, connected):
        machine = connected(4)
        sizes = [0, 1, 120, 121, 122, 123, 127, 128, 300, 16_383, 16_384, 100_000]
        stream = b"".join(publish(payload=bytes(size), identifier=7) for size in sizes)
        (batch,) = machine.receive(stream, 0.0)
        assert [len(it) for it in batch.payloads] == sizes

    def test_the_limit_counts_the_whole_packet(self, connected):
        fits = publish(payload=bytes(1000 - 6))
        assert len(fits) == 1000
        (batch,) = connected(4, Limits(packet_bytes_max=1000)).receive(fits, 0.0)
        assert len(batch.payloads) == 1
        for cut in (3, 1000):
            machine = connected(5, Limits(packet_bytes_max=999))
            (closed,) = machine.receive(publish(payload=bytes(1000 - 7), level=5)[:cut], 0.0)
            assert closed.reason is Reason.PACKET_TOO_LARGE

    @pytest.mark.parametrize("size", [500, 20_000])
    def test_the_limit_holds_on_the_topic_of_the_last_one(self, connected, size):
        machine = connected(4, Limits(packet_bytes_max=size - 1))
        large = publish(payload=bytes(size - 8 - (size > 16_384)), identifier=2)
        assert len(large) == size
        events = machine.receive(publish(identifier=1) + large, 0.0)
        assert [type(it) for it in events] == [Published, Closed]
        assert events[1].reason is Reason.PACKET_TOO_LARGE

    def test_a_packet_on_the_topic_of_the_last_one_is_checked_all_the_same(self, connected):
        for bad, reason in (
            (wire.packet(0x32, b"\0\1t\0\0x"), Reason.PROTOCOL_ERROR),
            (wire.packet(0x32, b"\0\1t\0"), Reason.MALFORMED_PACKET),
            (wire.packet(0x32, b"\0\1t"), Reason.MALFORMED_PACKET),
            (wire.packet(0x32, b"\0"), Reason.MALFORMED_PACKET),
            (b"\x32\x00", Reason.MALFORMED_PACKET),
            (b"\x32\x80\x00", Reason.MALFORMED_PACKET),
            (b"\x32\xff\xff\x7f", Reason.PACKET_TOO_LARGE),
            (b"\x34\x06\x00\x01t\x00\x01x", Reason.QOS_NOT_SUPPORTED),
            (b"\x34\x06\x00\x01t\x00\x00x", Reason.PROTOCOL_ERROR),
        ):
            events = connected(4, NOTHING_KEPT).receive(publish(identifier=1) * 2 + bad + publish(identifier=2), 0.0)
            assert [type(it) for it in events] == [Published, Closed], bad.hex()
            assert events[1].reason is reason, bad.hex()
            assert len(events[0].topics) == 2

    def test_properties_on_the_topic_of_the_last_one_are_read(self, connected):
        with_property = wire.packet(0x32, b"\0\1t\0\2" + b"\2\1\1" + b"y")
        with_alias = wire.packet(0x32, b"\0\1t\0\3" + b"\3\x23\0\1" + b"y")
        alias_alone = wire.packet(0x32, b"\0\0\0\4" + b"\3\x23\0\1" + b"z")
        machine = connected(5)
        (batch,) = machine.receive(publish(identifier=1, level=5) + with_property, 0.0)
        assert batch.payloads == [b"x", b"y"]
        assert batch.properties == [{}, {Property.PAYLOAD_FORMAT: 1}]
        (batch,) = machine.receive(publish(identifier=2, level=5) + with_alias + alias_alone, 0.0)
        assert batch.topics == [b"t", b"t", b"t"]
        assert batch.plain or not any(batch.properties)
        machine = connected(5, NOTHING_KEPT)
        batch, closed = machine.receive(publish(identifier=1, level=5) + with_alias, 0.0)
        assert closed.reason is Reason.TOPIC_ALIAS_INVALID

    def test_topics_remembered_are_bounded(self, connected):
        machine = connected(4)
        machine.receive(b"".join(publish(f"topic/{n}") for n in range(2000)), 0.0)
        assert len(machine._publishes._topics) <= 256


class TestReceiveMaximum:
    def test_one_too_many_ends_a_connection_of_5(self, connected):
        machine = connected(5, Limits(receive_maximum=4))
        (batch,) = machine.receive(publish(identifier=1, level=5) * 4, 0.0)
        machine.acknowledge(batch.identifiers[:1])
        assert [type(it) for it in machine.receive(publish(identifier=2, level=5), 0.0)] == [Published]
        batch, closed = machine.receive(publish(identifier=3, level=5), 0.0)
        assert closed.reason is Reason.RECEIVE_MAXIMUM_EXCEEDED

    def test_qos_0_does_not_count(self, connected):
        machine = connected(5, Limits(receive_maximum=1))
        assert [type(it) for it in machine.receive(publish(level=5) * 100, 0.0)] == [Published]

    def test_311_has_none(self, connected):
        machine = connected(4, Limits(receive_maximum=1))
        assert [type(it) for it in machine.receive(publish(identifier=1) * 100, 0.0)] == [Published]
        assert machine.in_flight == 100


class TestOutgoing:
    def test_identifiers_of_what_nobody_keeps_grow_wrap_and_skip_those_in_use(self, connected):
        machine = connected(4, Limits(receive_maximum=3))
        machine._outgoing.flight._next = 65_534
        sent = [machine.publish("errors", b"", 1) for _ in range(4)]
        assert sent == [Sending.SENT, Sending.SENT, Sending.SENT, Sending.NO_ROOM]
        assert identifiers_of(machine.data_to_send()) == [65_534, 65_535, UNKEPT_FROM]
        assert machine.receive(b"\x40\x02\xff\xff", 0.0) == [Delivered(65_535)]
        assert machine.receive(b"\x40\x02\xff\xff", 0.0) == []
        machine._outgoing.flight._next = 65_534
        assert machine.publish("errors", b"", 1) is Sending.SENT
        assert identifiers_of(machine.data_to_send()) == [65_535]

    def test_the_peers_own_limits_hold(self, connected):
        machine = connected(5, connect=connect_5(b"\x21\x00\x01" + b"\x27\x00\x00\x00\x40"))
        assert machine.publish("t", bytes(10), 1) is Sending.SENT
        assert machine.publish("t", bytes(10), 2) is Sending.NO_ROOM
        assert machine.publish("t", bytes(10), 0) is Sending.SENT
        assert machine.publish("t", bytes(64), 0) is Sending.TOO_LARGE

    def test_a_message_that_was_too_large_holds_no_place(self, connected):
        machine = connected(5, connect=connect_5(b"\x21\x00\x01" + b"\x27\x00\x00\x00\x40"))
        assert machine.publish("t", bytes(64), 1) is Sending.TOO_LARGE
        assert machine.publish("t", bytes(1), 1) is Sending.SENT

    def test_nothing_leaves_behind_the_end(self, connected):
        machine = connected(5)
        machine.close(Reason.ADMINISTRATIVE_ACTION, "off")
        goodbye = machine.data_to_send()
        assert goodbye[0] == 0xE0
        machine.grant(1, [0])
        machine.release(1, [0])
        machine.acknowledge([b"\0\1"])
        machine.complete(b"\0\1")
        machine.release_message(1)
        assert machine.publish("errors", b"x", 0) is Sending.NO_ROOM
        assert machine.room == 0
        assert machine.data_to_send() == b""

    def test_the_words_of_a_goodbye_give_way_to_a_small_limit(self, connected):
        machine = connected(5, connect=connect_5(b"\x27\x00\x00\x00\x30"))
        machine.close(Reason.ADMINISTRATIVE_ACTION, "a long story" * 10)
        assert machine.data_to_send() == b"\xe0\x01\x98"

    def test_every_code_that_may_not_be_said_has_one_that_may(self):
        connack = {0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97}
        connack |= {0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F}
        disconnect = {0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96}
        disconnect |= {0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2}
        errors = [it for it in Reason if it >= 0x80] + [Reason.SUCCESS]
        assert {NOT_IN_CONNACK.get(it, it) for it in errors} <= connack
        assert {NOT_IN_DISCONNECT.get(it, it) for it in errors} <= disconnect


PUBREL = b"\x62\x02\x00\x07"


class TestQoS2:
    """What a client sends (§4.3.3, method A): it is taken once, until its PUBREL is durable."""

    def taken(self, connected, level=4):
        machine = connected(level)
        (batch,) = machine.receive(second(level), 0.0)
        assert (batch.identifiers, batch.firsts, batch.plain) == ([b"\0\7"], [0x34], False)
        assert machine.data_to_send() == b""
        return machine

    def test_nothing_is_answered_before_it_is_durable(self, connected):
        machine = self.taken(connected)
        assert machine.receive(second(4, dup=True), 0.0) == []
        assert machine.data_to_send() == b""
        machine.acknowledge([b"\0\7"])
        assert machine.data_to_send() == b"\x50\x02\x00\x07"

    def test_once_recorded_it_is_not_taken_again_and_its_pubrec_is_said_again(self, connected):
        machine = self.taken(connected)
        machine.acknowledge([b"\0\7"])
        machine.data_to_send()
        for _ in range(5):
            assert machine.receive(second(4, dup=True), 0.0) == []
            assert machine.data_to_send() == b"\x50\x02\x00\x07"

    def test_pubcomp_waits_for_the_owner(self, connected):
        machine = self.taken(connected)
        machine.acknowledge([b"\0\7"])
        machine.data_to_send()
        assert machine.receive(PUBREL, 0.0) == [Released(b"\0\7")]
        assert machine.data_to_send() == b""
        assert machine.receive(PUBREL, 0.0) == [Released(b"\0\7")]
        machine.complete(b"\0\7")
        assert machine.data_to_send() == b"\x70\x02\x00\x07"
        assert machine.receive(PUBREL, 0.0) == []
        assert machine.data_to_send() == b"\x70\x02\x00\x07"

    def test_behind_its_release_the_identifier_is_free(self, connected):
        machine = self.taken(connected)
        machine.acknowledge([b"\0\7"])
        machine.receive(PUBREL, 0.0)
        machine.complete(b"\0\7")
        assert [type(it) for it in machine.receive(second(4), 0.0)] == [Published]

    def test_what_an_earlier_connection_took_is_not_taken_again(self):
        machine = ServerMachine(Limits(), 0.0)
        machine.receive(CONNECT[4], 0.0)
        machine.accept(0.0, session_present=True, unreleased=(b"\0\7",))
        machine.data_to_send()
        assert machine.receive(second(4, dup=True), 0.0) == []
        assert machine.data_to_send() == b"\x50\x02\x00\x07"
        assert machine.receive(PUBREL, 0.0) == [Released(b"\0\7")]

    def test_a_refusal_ends_it_with_its_pubrec(self, connected):
        machine = self.taken(connected, 5)
        machine.acknowledge([b"\0\7"], Reason.QUOTA_EXCEEDED)
        assert machine.data_to_send() == b"\x50\x03\x00\x07\x97"
        assert [type(it) for it in machine.receive(second(5), 0.0)] == [Published]

    def test_acknowledgements_keep_the_order_of_the_messages(self, connected):
        machine = connected(4)
        (batch,) = machine.receive(publish(identifier=1) + second(4) + publish(identifier=2), 0.0)
        machine.acknowledge(batch.identifiers)
        assert machine.data_to_send().hex() == "40020001" + "50020007" + "40020002"

    def test_it_counts_against_the_receive_maximum_until_it_is_over(self, connected):
        machine = connected(5, Limits(receive_maximum=1))
        machine.receive(second(5), 0.0)
        machine.acknowledge([b"\0\7"])
        machine.receive(PUBREL, 0.0)
        machine.complete(b"\0\7")
        (batch,) = machine.receive(second(5), 0.0)
        machine.acknowledge(batch.identifiers)
        *_, closed = machine.receive(publish(identifier=1, level=5), 0.0)
        assert closed.reason is Reason.RECEIVE_MAXIMUM_EXCEEDED

    def test_what_an_earlier_connection_took_does_not_count(self):
        machine = ServerMachine(Limits(receive_maximum=1), 0.0)
        machine.receive(CONNECT[5], 0.0)
        machine.accept(0.0, session_present=True, unreleased=(b"\0\7", b"\0\x08"))
        for _ in range(3):
            (batch,) = machine.receive(publish(identifier=1, level=5), 0.0)
            machine.acknowledge(batch.identifiers)
            machine.complete(b"\0\7")


class TestOutgoingQoS2:
    def sent(self, connected, level=5):
        machine = connected(level)
        assert machine.publish("t", b"x", 2, identifier=7) is Sending.SENT
        assert machine.data_to_send()[:1] == b"\x34"
        return machine

    def test_pubrel_waits_for_the_owner(self, connected):
        machine = self.sent(connected)
        assert machine.receive(b"\x50\x02\x00\x07", 0.0) == [Received(7)]
        assert machine.receive(b"\x50\x02\x00\x07", 0.0) == []
        assert machine.data_to_send() == b""
        machine.release_message(7)
        assert machine.data_to_send() == b"\x62\x02\x00\x07"
        assert machine.receive(b"\x70\x02\x00\x07", 0.0) == [Delivered(7)]

    def test_it_holds_its_place_until_it_is_over(self, connected):
        machine = connected(5, Limits(receive_maximum=1))
        machine.publish("t", b"x", 2, identifier=7)
        for step in (b"\x50\x02\x00\x07", b""):
            if step:
                machine.receive(step, 0.0)
            assert machine.publish("t", b"x", 1) is Sending.NO_ROOM
        machine.release_message(7)
        assert machine.room == 0
        machine.receive(b"\x70\x02\x00\x07", 0.0)
        assert machine.room == 1

    @pytest.mark.parametrize("wrong", [b"\x40\x02\x00\x07", b"\x70\x02\x00\x07"])
    def test_an_acknowledgement_of_another_kind_is_a_violation(self, connected, wrong):
        (closed,) = self.sent(connected).receive(wrong, 0.0)
        assert closed.reason is Reason.PROTOCOL_ERROR

    def test_a_pubrec_that_refuses_is_the_end(self, connected):
        machine = self.sent(connected)
        assert machine.receive(b"\x50\x03\x00\x07\x97", 0.0) == [Delivered(7, 0x97)]
        assert machine.data_to_send() == b""


class TestAliases:
    def test_none_that_the_peer_did_not_ask_for(self, connected):
        machine = connected(5)
        for _ in range(2):
            machine.publish("t", b"x", 0)
        assert machine.data_to_send() == b"\x30\x05\0\1t\0x" * 2

    def test_a_topic_is_said_once(self, connected):
        machine = connected(5, connect=connect_5(b"\x22\x00\x01"))
        for topic in ("t", "t", "u"):
            machine.publish(topic, b"x", 0)
        first, again = b"\x30\x08\0\1t\3\x23\0\1x", b"\x30\x07\0\0\3\x23\0\1x"
        assert machine.data_to_send() == first + again + b"\x30\x05\0\1u\0x"

    def test_one_that_was_not_sent_is_not_known(self, connected):
        machine = connected(5, connect=connect_5(b"\x22\x00\x01" + b"\x27\x00\x00\x00\x20"))
        assert machine.publish("t", bytes(40), 0) is Sending.TOO_LARGE
        machine.publish("t", b"x", 0)
        assert machine.data_to_send() == b"\x30\x08\0\1t\3\x23\0\1x"

    def test_the_peers_own_stand_until_they_are_given_to_another_topic(self, connected):
        machine = connected(5)
        given = b"".join(wire.packet(0x30, wire.text(topic) + b"\3\x23\0\1x") for topic in ("t", "", "u", ""))
        (batch,) = machine.receive(given, 0.0)
        assert batch.topics == [b"t", b"t", b"u", b"u"]


class TestTheLastWord:
    def test_another_server_is_named_to_who_is_let_in_and_who_is_not(self, connected):
        machine = connected(5)
        machine.server_reference = "b"
        machine.close(Reason.USE_ANOTHER_SERVER, "")
        assert machine.data_to_send() == b"\xe0\6\x9c\4\x1c\0\1b"
        machine = ServerMachine(Limits(), 0.0)
        machine.server_reference = "b"
        machine.receive(CONNECT[5], 0.0)
        machine.refuse(Reason.USE_ANOTHER_SERVER, "")
        assert machine.data_to_send() == b"\x20\7\0\x9c\4\x1c\0\1b"

    @pytest.mark.parametrize(
        ("wanted", "default", "said"),
        [(b"\x17\0", True, False), (b"", True, True), (b"", False, False), (b"\x17\1", False, True)],
    )  # fmt: skip
    def test_it_explains_itself_to_who_wants_to_hear(self, connected, wanted, default, said):
        machine = connected(5, Limits(reason_strings=default), connect_5(wanted))
        machine.close(Reason.ADMINISTRATIVE_ACTION, "because")
        assert (b"because" in machine.data_to_send()) is said

    @pytest.mark.parametrize(("asked", "expiry"), [(10, 5), (10, 0), (0, 0)])
    def test_a_disconnect_may_change_when_the_session_ends(self, connected, asked, expiry):
        machine = connected(5, connect=connect_5(b"\x11" + asked.to_bytes(4, "big")))
        (closed,) = machine.receive(b"\xe0\7\0\5\x11" + expiry.to_bytes(4, "big"), 0.0)
        assert (closed.session_expiry_s, closed.publish_will, closed.by_peer) == (expiry, False, True)


def second(level, *, dup=False):
    body = b"\x00\x01t\x00\x07" + (b"\0" if level == 5 else b"") + b"x"
    return wire.packet(0x3C if dup else 0x34, body)


class TestDrip:
    @pytest.mark.slow
    def test_a_large_packet_in_small_pieces_is_joined_once(self, connected):
        """A byte at a time, each byte may be copied a few times but not once for each byte that follows."""
        copied = 0

        class Counting(list):
            def append(self, piece):
                nonlocal copied
                copied += len(piece)
                super().append(piece)

        machine = connected(4)
        machine._frames._chunks = Counting()
        stream = publish(payload=bytes(1_000_000), identifier=1)
        events = []
        for at in range(len(stream)):
            events += machine.receive(stream[at : at + 1], 0.0)
        assert [len(it.payloads[0]) for it in events] == [1_000_000]
        assert copied < 1.01 * len(stream)


@pytest.mark.parametrize(("first", "as_mosquitto", "reason"), [
    (0xE1, False, 0x81), (0xE1, True, 0x82), (0x63, False, 0x81), (0x63, True, 0x82), (0xA0, True, 0x81),
])  # fmt: skip
def test_reserved_flags_are_malformed_and_to_mosquitto_s_suites_an_error(connected, first, as_mosquitto, reason):
    machine = connected(5, Limits(reason_strings=False, flags_as_mosquitto=as_mosquitto))
    machine.receive(bytes((first, 2, 0, 1)), 0.0)
    assert machine.data_to_send() == bytes((0xE0, 1, reason))


def test_a_pingresp_with_something_in_it_is_left_without_a_word(connected):
    machine = connected(5)
    (closed,) = machine.receive(b"\xd0\x01\x00", 0.0)
    assert closed.reason is Reason.MALFORMED_PACKET
    assert machine.data_to_send() == b""


@pytest.mark.parametrize(("asks", "says"), [(bytes.fromhex("100f00064d51497364700302003c000163"), 0), (CONNECT[4], 1)])
def test_a_connack_of_3_1_has_no_word_for_a_session(asks, says):
    machine = ServerMachine(Limits(), 0.0)
    machine.receive(asks, 0.0)
    machine.accept(0.0, session_present=True)
    assert machine.data_to_send() == bytes((0x20, 2, says, 0))


def test_3_1_marks_what_it_says_again(connected):
    machine = connected(connect=bytes.fromhex("100f00064d51497364700302003c000163"))
    machine.receive(bytes.fromhex("6a020001"), 0.0)
    assert machine.data_to_send() == bytes.fromhex("70020001")
    (asked,) = machine.receive(bytes.fromhex("8a060001000161" + "00"), 0.0)
    assert asked.subscriptions[0].filter == "a"
    (closed,) = machine.receive(bytes.fromhex("c800"), 0.0)
    assert closed.reason is Reason.MALFORMED_PACKET


@pytest.mark.parametrize("topic", ["x" * 65_536, "\u20ac" * 21_846])
def test_nobody_is_sent_a_topic_that_no_packet_has_room_for(connected, topic):
    machine = connected(5)
    for qos in (0, 1):
        assert machine.publish(topic, b"", qos) is Sending.TOO_LARGE
    assert machine.data_to_send() == b""
    assert machine.publish("x" * 65_535, b"", 0) is Sending.SENT

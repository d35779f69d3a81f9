"""The meter's MQTT machine, by bytes alone. Packets are spelled out from OASIS MQTT 3.1.1, not from the code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.simulator.mqtt_client import (
    ConnectRefused,
    MqttClient,
    PeerError,
    Settings,
    connect_packet,
    publish_packet,
)

ACCEPTED = b"\x20\x02\x00\x00"
PINGREQ = b"\xc0\x00"


def client(**changes):
    return MqttClient(Settings(**{"client_id": "m", "user_name": "u", "password": "p", **changes}))


def connected(**changes):
    machine = client(**changes)
    machine.connect(0.0)
    machine.data_to_send(0.0)
    machine.receive(ACCEPTED, 0.0)
    return machine


def puback(packet_id):
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


def test_connect_is_the_packet_of_the_standard():
    assert connect_packet(Settings("m", "u", "p", keep_alive_s=60)) == (
        b"\x10\x13\x00\x04MQTT\x04\xc0\x00\x3c\x00\x01m\x00\x01u\x00\x01p"
    )


def test_without_user_and_password_connect_is_anonymous():
    assert connect_packet(Settings("m", "", "", keep_alive_s=60)) == b"\x10\x0d\x00\x04MQTT\x04\x00\x00\x3c\x00\x01m"


def test_what_is_said_at_most_once_has_no_id_and_is_not_remembered():
    machine = connected()
    machine.publish_at_most_once("t", b"xy")
    assert machine.data_to_send(0.0) == b"\x30\x05\x00\x01txy"
    assert machine.unacknowledged == 0
    machine.connect(1.0)
    machine.data_to_send(1.0)
    machine.receive(ACCEPTED, 1.0)
    assert machine.data_to_send(1.0) == b""


def test_publish_is_the_packet_of_the_standard_with_and_without_dup():
    assert publish_packet(b"\x00\x01t", b"xy", 10, dup=False) == b"\x32\x07\x00\x01t\x00\x0axy"
    assert publish_packet(b"\x00\x01t", b"xy", 10, dup=True)[0] == 0x3A


def test_a_long_payload_gets_a_length_of_several_bytes():
    packet = publish_packet(b"\x00\x01t", b"x" * 200, 1, dup=False)
    assert packet[:3] == b"\x32\xcd\x01"
    assert len(packet) == 3 + 205


@pytest.mark.parametrize("changes", [{"window": 0}, {"window": 65_536}, {"keep_alive_s": 0}, {"keep_alive_s": 65_536}])
def test_settings_that_mqtt_cannot_say_are_refused(changes):
    with pytest.raises(ValueError, match="not between 1 and 65535"):
        client(**changes)


def test_a_text_longer_than_mqtt_can_say_is_refused():
    with pytest.raises(ValueError, match="65,535"):
        client().publish("t" * 65_536, b"")


def test_nothing_is_published_before_connack():
    machine = client()
    machine.publish("t", b"1")
    machine.connect(0.0)
    assert machine.data_to_send(0.0)[0] == 0x10
    assert machine.data_to_send(0.0) == b""


def test_the_window_holds_back_and_an_acknowledgement_lets_go():
    machine = connected(window=2)
    for payload in (b"1", b"2", b"3"):
        machine.publish("t", payload)
    assert machine.data_to_send(0.0) == b"\x32\x06\x00\x01t\x00\x011" + b"\x32\x06\x00\x01t\x00\x022"
    assert machine.data_to_send(0.0) == b""
    assert machine.receive(puback(1), 0.0) == 1
    assert machine.data_to_send(0.0) == b"\x32\x06\x00\x01t\x00\x033"
    assert machine.unacknowledged == 2


def test_after_a_reconnect_what_was_in_flight_goes_first_in_order_with_dup_and_its_old_id():
    machine = connected(window=3)
    for payload in (b"1", b"2", b"3", b"4"):
        machine.publish("t", payload)
    machine.data_to_send(0.0)
    machine.receive(puback(2), 0.0)
    machine.connect(1.0)
    machine.data_to_send(1.0)
    machine.receive(ACCEPTED, 1.0)
    assert machine.data_to_send(1.0) == (
        b"\x3a\x06\x00\x01t\x00\x011" + b"\x3a\x06\x00\x01t\x00\x033" + b"\x32\x06\x00\x01t\x00\x044"
    )
    assert machine.resent == 2
    assert machine.connections == 2


def test_half_a_packet_of_the_old_connection_is_forgotten():
    machine = connected()
    machine.publish("t", b"1")
    machine.data_to_send(0.0)
    machine.receive(puback(1)[:3], 0.0)
    machine.connect(1.0)
    machine.data_to_send(1.0)
    assert machine.receive(ACCEPTED + puback(1), 1.0) == 1


@pytest.mark.slow
def test_packet_ids_wrap_and_skip_those_in_flight():
    machine = connected(window=2)
    machine.publish("t", b"stays")
    machine.data_to_send(0.0)
    for _ in range(65_534):
        machine.publish("t", b"")
        machine.data_to_send(0.0)
        machine.receive(puback(machine._next_id), 0.0)
    machine.publish("t", b"next")
    assert machine.data_to_send(0.0) == b"\x32\x09\x00\x01t\x00\x02next"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (puback(1), "not CONNACK"),
        (b"\x30\x03\x00\x01t", "unexpected packet 0x30"),
        (b"\x20\x03\x00\x00\x00", "unexpected packet 0x20 of 3 bytes"),
        (b"\xd0\x00", "not CONNACK"),
    ],
)
def test_a_wrong_first_packet_ends_the_connection(data, text):
    machine = client()
    machine.connect(0.0)
    with pytest.raises(PeerError, match=text):
        machine.receive(data, 0.0)


@pytest.mark.parametrize(
    ("data", "text"),
    [(ACCEPTED, "second CONNACK"), (puback(9), "packet 9, which is not in flight"), (b"\x42\x02\x00\x01", "0x42")],
)
def test_a_wrong_later_packet_ends_the_connection_and_keeps_what_is_in_flight(data, text):
    machine = connected()
    machine.publish("t", b"1")
    machine.data_to_send(0.0)
    with pytest.raises(PeerError, match=text):
        machine.receive(data, 0.0)
    assert machine.unacknowledged == 1


@pytest.mark.parametrize(("code", "text"), [(4, "bad user name or password"), (5, "not authorised"), (9, "reserved")])
def test_a_refusal_says_why(code, text):
    machine = client()
    machine.connect(0.0)
    with pytest.raises(ConnectRefused, match=text) as caught:
        machine.receive(bytes((0x20, 2, 0, code)), 0.0)
    assert caught.value.code == code


def test_a_server_that_acknowledges_nothing_is_found_out():
    machine = connected(stall_s=10.0)
    machine.publish("t", b"1")
    machine.data_to_send(5.0)
    assert machine.deadline() == 15.0
    machine.wake(14.9)
    with pytest.raises(PeerError, match="nothing was acknowledged for 10 s"):
        machine.wake(15.0)


def test_a_server_that_never_answers_connect_is_found_out():
    machine = client(stall_s=10.0)
    machine.connect(3.0)
    machine.data_to_send(3.0)
    assert machine.deadline() == 13.0
    with pytest.raises(PeerError, match="nothing was acknowledged"):
        machine.wake(13.0)


def test_an_idle_link_is_pinged_and_an_unanswered_ping_ends_it():
    machine = connected(keep_alive_s=60, stall_s=10.0)
    assert machine.deadline() == 60.0
    machine.wake(60.0)
    assert machine.data_to_send(60.0) == PINGREQ
    assert machine.deadline() == 70.0
    with pytest.raises(PeerError):
        machine.wake(70.0)


def test_an_answered_ping_keeps_the_link():
    machine = connected(keep_alive_s=60, stall_s=10.0)
    machine.wake(60.0)
    machine.data_to_send(60.0)
    machine.receive(b"\xd0\x00", 61.0)
    machine.wake(70.0)
    assert machine.deadline() == 120.0


def test_the_first_message_after_a_long_silence_is_not_overdue_at_once():
    machine = connected(keep_alive_s=60, stall_s=10.0)
    machine.publish("t", b"1")
    machine.data_to_send(59.0)
    machine.wake(60.0)
    assert machine.unacknowledged == 1


@given(st.lists(st.integers(1, 7), min_size=1), st.integers(1, 5), st.integers(0, 30))
def test_any_split_of_the_servers_bytes_acknowledges_the_same(splits, window, count):
    machine = client(window=window)
    for number in range(count):
        machine.publish("t", b"%d" % number)
    machine.connect(0.0)
    machine.data_to_send(0.0)
    pending, acknowledged, turn = bytearray(ACCEPTED), 0, 0
    while pending:
        size = splits[turn % len(splits)]
        turn += 1
        acknowledged += machine.receive(bytes(pending[:size]), 0.0)
        del pending[:size]
        sent = machine.data_to_send(0.0)
        while sent:
            assert sent[0] == 0x32
            length = 2 + sent[1]
            pending += puback(int.from_bytes(sent[5:7], "big"))
            sent = sent[length:]
    assert acknowledged == machine.acknowledged == count
    assert machine.unacknowledged == 0


@given(st.binary(max_size=64))
def test_noise_never_acknowledges_and_never_breaks_anything_but_the_connection(noise):
    machine = connected()
    try:
        assert machine.receive(noise, 0.0) == 0
    except PeerError:
        assert machine.acknowledged == 0


def test_a_deadline_is_never_due_without_anything_to_do_about_it():
    """A keep-alive shorter than the stall: before CONNACK there is no ping, so waking up for one would never end."""
    machine = client(keep_alive_s=5, stall_s=8.0)
    machine.connect(0.0)
    machine.data_to_send(0.0)
    assert machine.deadline() == 8.0
    with pytest.raises(PeerError):
        machine.wake(8.0)

"""What holds for every stream of bytes: splits change nothing, and nothing a peer sends makes the machine raise.

Thousands of damaged streams are drawn from a seed that Hypothesis chooses: to draw each byte by itself takes a hundred
times as long. A failure names its pieces.
"""

import random

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from ringmain.protocols.mqtt import wire
from ringmain.protocols.mqtt.events import Closed, ConnectAsked, Limits, Phase, Published, SubscribeAsked
from ringmain.protocols.mqtt.machine import CONNECT_BYTES_MAX, ServerMachine

FAST = settings(max_examples=20 * settings.default.max_examples, deadline=None, suppress_health_check=list(HealthCheck))
SLOW = settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))
LIMITS = Limits(packet_bytes_max=4096, receive_maximum=1000)

levels = st.sampled_from([4, 5])
topics = st.sampled_from(["t", "telemetry", "v1/devices/me/telemetry", "a/b/c", "ü"])
identifiers = st.integers(1, 65_535)


def connect(level, client_id="c"):
    head = wire.text("MQTT") + bytes((level, 2)) + b"\0\x3c" + (b"\0" if level == 5 else b"")
    return wire.packet(0x10, head + wire.text(client_id))


@st.composite
def publishes(draw, level):
    qos, dup = draw(st.sampled_from([(0, 0), (1, 0), (1, 0), (1, 1)]))
    body = wire.text(draw(topics)) + (draw(identifiers).to_bytes(2, "big") if qos else b"")
    if level == 5:
        body += draw(st.sampled_from([b"\0", b"\2\1\1", b"\7\x26\0\1k\0\1v", b"\5\2\0\0\0\x0a"]))
    payload = draw(st.binary(max_size=40) | st.sampled_from([bytes(130), bytes(700)]))
    return wire.packet(0x30 | dup << 3 | qos << 1, body + payload)


@st.composite
def controls(draw, level):
    five = b"\0" if level == 5 else b""
    identifier = draw(identifiers).to_bytes(2, "big")
    return draw(
        st.sampled_from(
            [
                b"\xc0\x00",
                wire.packet(0x82, identifier + five + wire.text("errors") + b"\1"),
                wire.packet(0x82, identifier + five + wire.text("a/+") + b"\0" + wire.text("#") + b"\1"),
                wire.packet(0xA2, identifier + five + wire.text("errors")),
                wire.packet(0x40, identifier),
            ]
        )
    )


@st.composite
def streams(draw):
    """A level, and the packets of one valid connection of it."""
    level = draw(levels)
    packets = [connect(level)]
    packets += draw(st.lists(publishes(level) | publishes(level) | controls(level), max_size=20))
    if draw(st.booleans()):
        packets.append(b"\xe0\x00")
    return level, packets


def converse(pieces, *, sign_in_after=0):
    """Feed the pieces and answer everything; the flat list of what was said, and what was answered."""
    machine = ServerMachine(LIMITS, 0.0)
    said, answered = [], b""

    def take(events):
        nonlocal answered
        for event in events:
            if isinstance(event, Published):
                assert len(event.topics) == len(event.payloads) == len(event.identifiers) > 0
                said.extend(zip(event.topics, event.payloads, event.identifiers, strict=True))
                machine.acknowledge([it for it in event.identifiers if it])
            elif isinstance(event, SubscribeAsked):
                said.append(event)
                machine.grant(event.identifier, [0] * len(event.subscriptions))
            else:
                said.append(event)

    waited = 0
    for piece in pieces:
        take(machine.receive(piece, 0.0))
        if machine.phase is Phase.AUTHENTICATING:
            if waited >= sign_in_after:
                take(machine.accept(0.0))
            waited += 1
        answered += machine.data_to_send()
    if machine.phase is Phase.AUTHENTICATING:
        take(machine.accept(0.0))
    return said, answered + machine.data_to_send(), machine


@pytest.mark.slow
@given(streams(), st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_where_a_stream_is_split_changes_nothing(stream, data):
    _, packets = stream
    whole = b"".join(packets)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(whole) - 1)), max_size=30)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    said, answered, machine = converse([whole])
    split, split_answered, split_machine = converse(pieces, sign_in_after=data.draw(st.integers(0, 3)))
    assert split == said
    assert machine.phase is split_machine.phase
    if packets[-1][0] != 0xE0:  # what is owed at a DISCONNECT is owed no more
        assert sorted(answered) == sorted(split_answered)
    assert next(type(it) for it in said if not isinstance(it, tuple)) is ConnectAsked
    published = sum(packet[0] & 0xF0 == 0x30 for packet in packets)
    assert sum(isinstance(it, tuple) for it in said) == published


@given(streams())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_byte_by_byte(stream):
    whole = b"".join(stream[1])
    assert converse([whole[at : at + 1] for at in range(len(whole))])[0] == converse([whole])[0]


def survives(pieces):
    """No exception; and once it is closed it is closed, and was so once."""
    said, _, machine = converse(pieces)
    closed = [it for it in said if isinstance(it, Closed)]
    assert len(closed) <= 1
    assert (machine.phase is Phase.CLOSED) is bool(closed)
    if machine.phase is Phase.EXPECT_CONNECT:
        assert machine._frames.held <= CONNECT_BYTES_MAX
    assert machine.lost() == [] or not closed
    assert machine.receive(b"\xc0\x00", 0.0) == []
    assert machine.wake(1e9) == []


def sane(rng, level):
    """A short valid stream of one connection, as a list of packets."""
    five = b"\0" if level == 5 else b""
    packets = [connect(level)]
    for _ in range(rng.randrange(8)):
        identifier = rng.randrange(1, 65_536).to_bytes(2, "big")
        topic = wire.text(rng.choice(["t", "telemetry", "a/b"]))
        payload = rng.randbytes(rng.choice([0, 1, 20, 130]))
        packets.append(
            rng.choice(
                [
                    wire.packet(0x30, topic + five + payload),
                    wire.packet(0x32, topic + identifier + five + payload),
                    wire.packet(0x32, topic + identifier + (b"\7\x26\0\1k\0\1v" if five else b"") + payload),
                    wire.packet(0x82, identifier + five + wire.text("errors") + b"\1"),
                    wire.packet(0xA2, identifier + five + wire.text("errors")),
                    wire.packet(0x40, identifier),
                    b"\xc0\x00",
                ]
            )
        )
    return packets


def damaged(rng):
    """A valid stream with some bytes changed, removed, inserted or repeated, in two pieces."""
    packets = sane(rng, rng.choice([4, 5]))
    stream = bytearray(b"".join(packets))
    protect = len(packets[0]) if rng.random() < 0.7 else 0
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(protect, len(stream) + 1)
        match rng.randrange(4):
            case 0:
                stream[at : at + 1] = bytes((rng.randrange(256),))
            case 1:
                del stream[at : at + rng.randrange(1, 6)]
            case 2:
                stream[at:at] = rng.randbytes(rng.randrange(1, 6))
            case _:
                stream[at:at] = stream[max(0, at - 10) : at]
        protect = min(protect, len(stream))
    cut = rng.randrange(len(stream) + 1)
    return [bytes(stream[:cut]), bytes(stream[cut:])]


def noise(rng):
    """Bytes that mean nothing, before or behind a CONNECT."""
    pieces = [rng.randbytes(rng.randrange(1, 60)) for _ in range(rng.randrange(1, 8))]
    return [connect(rng.choice([4, 5])), *pieces] if rng.random() < 0.8 else pieces


def survive(make, seed):
    pieces = make(random.Random(seed))
    note(f"pieces {[piece.hex() for piece in pieces]}")
    survives(pieces)


seeds = st.integers(0, 2**64)


@pytest.mark.slow
@pytest.mark.parametrize("make", [noise, damaged])
@given(seeds)
@FAST
def test_nothing_a_peer_sends_makes_it_raise(make, seed):
    survive(make, seed)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("make", [noise, damaged])
@given(seeds)
@SLOW
def test_nothing_a_peer_sends_ever_makes_it_raise(make, seed):
    survive(make, seed)


def test_the_damage_reaches_every_phase():
    """Else the tests above would prove nothing: many streams end closed, many do not, many publish."""
    rng = random.Random(7)
    ends, published = {}, 0
    for _ in range(500):
        said, _, machine = converse(damaged(rng))
        ends[machine.phase] = ends.get(machine.phase, 0) + 1
        published += any(isinstance(it, tuple) for it in said)
    assert ends[Phase.CLOSED] > 100
    assert ends[Phase.CONNECTED] > 50
    assert published > 100

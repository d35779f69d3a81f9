"""What holds for every stream of bytes: splits change nothing, and nothing a peer sends makes the machine raise.

Thousands of damaged streams are drawn from a seed that Hypothesis chooses: to draw each byte by itself takes a hundred
times as long. A failure names its pieces.
"""

import itertools
import os
import random
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from ringmain.protocols.mqtt import wire
from ringmain.protocols.mqtt.events import (
    Closed,
    ConnectAsked,
    Event,
    Limits,
    Phase,
    Published,
    Received,
    Released,
    SubscribeAsked,
    UnsubscribeAsked,
)
from ringmain.protocols.mqtt.machine import CONNECT_BYTES_MAX, ServerMachine

FAST = settings(max_examples=20 * settings.default.max_examples, deadline=None, suppress_health_check=list(HealthCheck))
LIMITS = Limits(packet_bytes_max=4096, receive_maximum=1000)

levels = st.sampled_from([4, 5])
topics = st.sampled_from(["t", "telemetry", "v1/devices/me/telemetry", "a/b/c", "ü"])
identifiers = st.integers(1, 32_767)


def connect(level, client_id="c"):
    head = wire.text("MQTT") + bytes((level, 2)) + b"\0\x3c" + (b"\0" if level == 5 else b"")
    return wire.packet(0x10, head + wire.text(client_id))


ALIASED = [b"\3\x23\0\1", b"\3\x23\0\2"]
PROPERTIES = [b"\0", b"\2\1\1", b"\7\x26\0\1k\0\1v", b"\5\2\0\0\0\x0a", *ALIASED]


@st.composite
def publishes(draw, level, taken):
    """A PUBLISH of any QoS, perhaps retained, perhaps with properties and an alias; at QoS 2 all identifiers differ."""
    qos, dup = draw(st.sampled_from([(0, 0), (1, 0), (1, 0), (1, 1), (2, 0), (2, 0)]))
    retain = draw(st.booleans())
    identifier = next(taken) if qos == 2 else draw(identifiers)
    topic = draw(topics)
    found = draw(st.sampled_from(PROPERTIES)) if level == 5 else b""
    body = wire.text(topic) + (identifier.to_bytes(2, "big") if qos else b"") + found
    payload = draw(st.binary(max_size=40) | st.sampled_from([bytes(130), bytes(700)]))
    packet = wire.packet(0x30 | dup << 3 | qos << 1 | retain, body + payload)
    if found in ALIASED and draw(st.booleans()):
        packet += wire.packet(0x30, b"\0\0" + found + payload)
    if qos == 2 and draw(st.booleans()):
        packet += wire.packet(0x62, identifier.to_bytes(2, "big"))
    return packet


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
    packets, taken = [connect(level)], itertools.count(32_768)
    said = publishes(level, taken)
    packets += draw(st.lists(said | said | controls(level), max_size=20))
    if draw(st.booleans()):
        packets.append(b"\xe0\x00")
    return level, packets


def converse(pieces, *, sign_in_after=0):
    """Feed the pieces and answer everything; the flat list of what was said, and what was answered."""
    machine = ServerMachine(LIMITS, 0.0)
    said, answered = [], b""

    def take(events):
        nonlocal answered
        waiting = list(events)
        while waiting:
            event = waiting.pop(0)
            assert isinstance(event, Event)
            if isinstance(event, Published):
                said.extend(messages_of(event))
                machine.acknowledge([it for it in event.identifiers if it])
                continue
            said.append(event)
            if isinstance(event, SubscribeAsked):
                machine.grant(event.identifier, [0] * len(event.subscriptions))
            elif isinstance(event, UnsubscribeAsked):
                machine.release(event.identifier, [0] * len(event.filters))
            elif isinstance(event, Received):
                machine.release_message(event.identifier)
            elif isinstance(event, Released):
                machine.complete(event.identifier)

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


def messages_of(batch):
    """Each message of a batch with all that is said of it, whether the batch is plain or not."""
    count = len(batch.topics)
    assert count == len(batch.payloads) == len(batch.identifiers) > 0
    if batch.plain:
        firsts = [0x32 if it else 0x30 for it in batch.identifiers]
        found = [{}] * count
    else:
        firsts, found = batch.firsts, [dict(it) for it in batch.properties]
    assert len(firsts) == len(found) == count
    # DUP counts for nobody behind the machine, and a plain batch does not say it
    firsts = [first & ~0x08 for first in firsts]
    return list(zip(batch.topics, batch.payloads, batch.identifiers, firsts, found, strict=True))


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
    published = sum(each[0] & 0xF0 == 0x30 for packet in packets for each in apart(packet))
    assert sum(isinstance(it, tuple) for it in said) == published


def apart(packets):
    """The packets that stand one behind another."""
    found = []
    while packets:
        cursor = wire.Cursor(packets, 1)
        length = cursor.variable()
        found.append(packets[: cursor.at + length])
        packets = packets[cursor.at + length :]
    return found


@pytest.mark.slow
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
                    wire.packet(0x34, topic + identifier + five + payload),
                    wire.packet(0x35, topic + identifier + (b"\3\x23\0\1" if five else b"") + payload),
                    wire.packet(0x31, topic + (b"\5\2\0\0\0\x0a" if five else b"") + payload),
                    wire.packet(0x50, identifier) + wire.packet(0x70, identifier),
                    wire.packet(0x62, identifier),
                    wire.packet(0x82, identifier + (b"\2\x0b\1" if five else b"") + wire.text("$share/g/a/+") + b"\2"),
                    b"\xe0\x07\0\5\x11\0\0\0\0" if five else b"\xc0\x00",
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


INPUT_S_MAX = 0.010
"""One input may keep the loop no longer than that; it is measured in the time of this process, best of three."""

MEMORY_GROWTH_MAX = 1 << 20

COUNT = 1_000_000 if os.environ.get("RINGMAIN_PROVE") == "1" else 2_000


def fed(pieces):
    """How long the machine alone took; whatever comes out but events is an error."""
    machine = ServerMachine(LIMITS, 0.0)
    started = time.process_time()
    for piece in pieces:
        for event in machine.receive(piece, 0.0):
            assert isinstance(event, Event)
        if machine.phase is Phase.AUTHENTICATING:
            machine.accept(0.0)
        machine.data_to_send()
    return time.process_time() - started


def fuzz(count, seed):
    """`count` inputs, noise and damage in turn: each is survived, in time, and a sample of them in little memory."""
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        pieces = (noise, damaged)[number % 2](rng)
        shown = [piece.hex() for piece in pieces]
        try:
            took = fed(pieces)
            if took > INPUT_S_MAX:
                took = min(took, fed(pieces), fed(pieces))
        except Exception as error:
            raise AssertionError(f"input {seed}/{number}, {shown}") from error
        assert took <= INPUT_S_MAX, f"input {seed}/{number} took {took:.4f} s: {shown}"
        if number % 200 == 0:
            grown = growth(pieces)
            assert grown <= MEMORY_GROWTH_MAX, f"input {seed}/{number} holds {grown} bytes: {shown}"


def growth(pieces):
    """The most memory that an input takes up at a time."""
    tracemalloc.start()
    try:
        fed(pieces)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_fuzz():
    fuzz(20_000, 1)


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.timeout(3_600)
def test_fuzz_at_full_figures():
    fuzz(COUNT, random.SystemRandom().getrandbits(32) if COUNT > 2_000 else 2)


def test_the_fuzz_would_see_an_error(monkeypatch):
    def broken(*_):
        raise IndexError("of ours")

    monkeypatch.setattr("ringmain.protocols.mqtt.packets.read_subscribe", broken)
    with pytest.raises(AssertionError, match="input 3/"):
        fuzz(2_000, 3)


def test_the_fuzz_would_see_a_slow_input_and_a_large_one(monkeypatch):
    monkeypatch.setattr(f"{__name__}.INPUT_S_MAX", 0.0)
    with pytest.raises(AssertionError, match=" took "):
        fuzz(100, 3)
    monkeypatch.undo()
    monkeypatch.setattr(f"{__name__}.MEMORY_GROWTH_MAX", 100)
    with pytest.raises(AssertionError, match=" holds "):
        fuzz(1, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "large",
    [
        wire.packet(0x30, b"\0\1t" + bytes(4_000)),
        b"\x30\xff\xff\xff\x7f",
        wire.packet(0x82, b"\0\1" + (wire.text("a/+") + b"\0") * 500),
        wire.packet(0x30, b"\0\1t" + b"\xc8\x01" + b"\x26\0\1k\0\1v" * 28 + b"\x01\1\1\1"),
        b"\xc0\0" * 2_000,
        wire.packet(0x30, b"\0\1t\0") * 500,
    ],
    ids=["long", "longer than is taken", "filters", "user properties", "pings", "many"],
)
@pytest.mark.parametrize("level", [4, 5])
def test_what_is_large_takes_little_time_and_memory_too(level, large):
    pieces = [connect(level), large]
    assert min(fed(pieces) for _ in range(5)) <= INPUT_S_MAX
    assert growth(pieces) <= MEMORY_GROWTH_MAX

"""Where packets begin and end: what is too long, what is not all there, and however it was cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.protocols.mqtt import wire
from ringmain.protocols.mqtt.frames import Frames
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason


@pytest.mark.parametrize("data", [b"\x30\xff\xff\xff\xff\x01", b"\x30\xff\xff\xff\xff\x80"])
def test_a_length_of_five_bytes(data):
    with pytest.raises(ProtocolViolation) as refused:
        Frames(1 << 20).extent(data, 0, len(data))
    assert refused.value.reason is Reason.MALFORMED_PACKET


@pytest.mark.parametrize(("size", "taken"), [(100, True), (101, False)])
@pytest.mark.parametrize("cut", [3, 200])
def test_what_is_longer_than_is_permitted_is_refused_before_it_is_there(size, taken, cut):
    data = wire.packet(0x30, bytes(size - 2))[:cut]
    if taken:
        assert Frames(100).extent(data, 0, len(data)) == (2, size)
        return
    with pytest.raises(ProtocolViolation) as refused:
        Frames(100).extent(data, 0, len(data))
    assert refused.value.reason is Reason.PACKET_TOO_LARGE


def test_a_length_that_is_not_all_there():
    frames = Frames(1 << 20)
    data = b"\x30\xff\xff"
    _, stop = frames.extent(data, 0, 3)
    assert stop > 3
    frames.keep(data, 0)
    assert frames.joined(b"\x01") == data + b"\x01"


def test_nothing_is_joined_before_all_of_it_is_there():
    frames = Frames(1 << 20)
    data = wire.packet(0x30, bytes(200))
    frames.extent(data[:10], 0, 10)
    frames.keep(data[:10], 0)
    assert frames.joined(data[10:100]) == b""
    assert frames.held == 100
    assert frames.joined(data[100:]) == data
    assert frames.held == 0


def test_what_is_cleared_is_gone():
    frames = Frames(1 << 20)
    assert frames.append(b"abc") == 3
    frames.clear()
    assert (frames.held, frames.take(), frames.joined(b"x")) == (0, b"", b"x")


@given(st.lists(st.integers(0, 300), min_size=1, max_size=6), st.data())
def test_it_does_not_matter_how_it_was_cut(sizes, data):
    packets = [wire.packet(0x30, bytes([n]) * size) for n, size in enumerate(sizes)]
    stream = b"".join(packets)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=12)))
    frames, found = Frames(1 << 20), []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        piece = frames.joined(stream[start:stop])
        at, end = 0, len(piece)
        while end - at >= 2:
            _, behind = frames.extent(piece, at, end)
            if behind > end:
                break
            found.append(piece[at:behind])
            at = behind
        frames.keep(piece, at)
    assert found == packets
    assert frames.held == 0

"""The arithmetic of a buffer: it grows with what it should grow with, and its inverse is its inverse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.planning.edge_buffer import FIXED_BYTES, Load, drain_s, hours_that_fit, size

LOADS = st.builds(
    Load,
    meters=st.integers(1, 5000),
    every_s=st.floats(0.5, 3600),
    registers=st.integers(0, 4),
    decimals=st.integers(1, 3),
    fulls=st.integers(0, 2),
    jitter=st.booleans(),
)


def test_the_load_of_the_promise():
    """200 meters at 1 Hz for two days: about two bytes a reading, where one compressed row a second takes seven."""
    held = size(Load(200, 1.0), 48)
    assert held.readings == 34_560_000
    assert 1.0 < held.bytes_per_reading < 3.0
    assert size(Load(200, 1.0, registers=0, fulls=1), 48).bytes_per_reading < 9.0


@given(LOADS, st.floats(0, 500), st.floats(0, 500))
def test_longer_never_takes_less(load, one, other):
    short, long = sorted((one, other))
    assert size(load, short).file_bytes <= size(load, long).file_bytes + 1
    assert size(load, short).chunk_bytes <= size(load, long).chunk_bytes + 1


@given(LOADS, st.integers(8 << 20, 1 << 34))
def test_what_fits_fits(load, disk_bytes):
    hours = hours_that_fit(load, disk_bytes)
    assert size(load, hours * 0.999).file_bytes <= disk_bytes
    if hours < 24 * 365:
        assert size(load, hours * 1.001 + 0.01).file_bytes >= disk_bytes * 0.99


def test_a_disk_that_is_too_small_for_anything():
    assert hours_that_fit(Load(200, 1.0), FIXED_BYTES) == pytest.approx(0, abs=1e-6)


def test_an_outage_of_no_time_takes_the_empty_file():
    held = size(Load(200, 1.0), 0)
    assert (held.readings, held.chunk_bytes, held.bytes_per_reading) == (0, 0, 0.0)
    assert held.file_bytes == FIXED_BYTES


def test_an_uplink_that_is_too_slow_for_the_present_never_drains():
    load = Load(200, 1.0)
    held = size(load, 48)
    assert drain_s(load, held, 300) is None
    assert drain_s(load, held, 125_000) == pytest.approx(held.chunk_bytes * 1.06 / 125_000, rel=0.05)
    assert drain_s(load, held, 250_000) < drain_s(load, held, 125_000)


@pytest.mark.parametrize("load", [Load(0, 1.0), Load(1, 0.0), Load(1, 1.0, registers=0)])
def test_a_load_that_says_nothing(load):
    with pytest.raises((ValueError, ZeroDivisionError)):
        size(load, 1)


@pytest.mark.parametrize("hours", [-1.0])
def test_no_outage_is_shorter_than_none(hours):
    with pytest.raises(ValueError, match="outage"):
        size(Load(1, 1.0), hours)

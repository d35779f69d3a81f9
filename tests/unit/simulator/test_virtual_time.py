"""Virtual time under clocks that the test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.simulator.virtual_time import SPEED_MAX, VirtualTime


class Clocks:
    def __init__(self, wall_ms=1_000_000):
        self.seconds, self.wall = 50.0, wall_ms

    def advance(self, seconds):
        self.seconds += seconds
        self.wall += int(seconds * 1000)

    def time(self, start_ms, speed, *, then_real_time=False):
        return VirtualTime(
            start_ms,
            speed,
            then_real_time=then_real_time,
            monotonic_s=lambda: self.seconds,
            wall_ms=lambda: self.wall,
        )


@pytest.mark.parametrize("speed", [0.0, -1.0, SPEED_MAX * 2])
def test_a_speed_that_makes_no_sense_is_refused(speed):
    with pytest.raises(ValueError, match="speed"):
        Clocks().time(0, speed)


def test_it_begins_where_told_at_the_first_look_and_runs_at_its_speed():
    clocks = Clocks()
    time = clocks.time(500, 60)
    clocks.advance(100)
    assert time.now_ms() == 500
    clocks.advance(2)
    assert time.now_ms() == 500 + 120_000


def test_it_falls_into_step_with_the_wall_and_stays_there():
    clocks = Clocks(wall_ms=1_000_000)
    time = clocks.time(0, 100, then_real_time=True)
    time.now_ms()
    clocks.advance(5)
    assert time.now_ms() == 500_000
    clocks.advance(6)
    assert time.now_ms() == clocks.wall == 1_011_000
    assert time.speed == 1.0
    clocks.advance(7)
    assert time.now_ms() == clocks.wall


def test_without_being_told_so_it_runs_past_the_wall():
    clocks = Clocks(wall_ms=1_000)
    time = clocks.time(0, 100)
    time.now_ms()
    clocks.advance(60)
    assert time.now_ms() == 6_000_000


def test_a_wall_clock_that_is_set_back_does_not_take_time_back():
    clocks = Clocks(wall_ms=1_000_000)
    time = clocks.time(0, 100, then_real_time=True)
    time.now_ms()
    clocks.advance(9)
    before = time.now_ms()
    clocks.advance(0.5)
    clocks.wall = 1000
    assert time.now_ms() == before


@given(st.lists(st.floats(0, 100), max_size=30), st.floats(0.1, 5000), st.integers(0, 2_000_000))
def test_it_never_runs_backwards(pauses, speed, start_ms):
    clocks = Clocks()
    time = clocks.time(start_ms, speed, then_real_time=True)
    seen = []
    for pause in pauses:
        seen.append(time.now_ms())
        clocks.advance(pause)
    assert seen == sorted(seen)

"""Pace: eyes are closed only while there is much to hear, and never by who is busy."""

import asyncio
import itertools

import pytest

from ringmain.apps.edge import pace


class Clock:
    """Stands still but for what is done to it."""

    def __init__(self):
        self.at_s = 0.0

    def now_ms(self):
        return round(self.at_s * 1000)

    def monotonic_s(self):
        return self.at_s


@pytest.fixture
def blinks(monkeypatch):
    """Runs `blink` for a number of turns of the loop, each with `work_s` of work; how often it closed its eyes."""

    async def run(heard, *, turns=400, work_s=0.0, connections=10_000):
        clock, slept, left = Clock(), [], itertools.count()
        really = asyncio.sleep

        async def turn(seconds):
            clock.at_s += seconds or work_s
            if next(left) > turns:
                raise asyncio.CancelledError
            await really(0)

        def closed(seconds):
            slept.append(seconds)
            clock.at_s += seconds

        monkeypatch.setattr(pace.asyncio, "sleep", turn)
        monkeypatch.setattr(pace.time, "sleep", closed)
        with pytest.raises(asyncio.CancelledError):
            await pace.blink(clock, lambda: heard(clock.at_s), lambda: connections)
        monkeypatch.undo()
        assert set(slept) <= {pace.BLINK_S}
        return len(slept)

    return run


async def test_with_little_to_hear_it_is_woken_by_what_comes(blinks):
    assert await blinks(lambda at_s: int(at_s * (pace.MUCH_PER_S - 1))) == 0


async def test_with_much_to_hear_it_blinks(blinks):
    assert await blinks(lambda at_s: int(at_s * pace.MUCH_PER_S * 4)) > 380


async def test_nobody_in_a_hurry_is_made_to_wait(blinks):
    per_s = pace.MUCH_PER_S * 4
    enough = per_s // pace.HURRY_PER_S
    assert await blinks(lambda at_s: int(at_s * per_s), connections=enough - 5) == 0
    assert await blinks(lambda at_s: int(at_s * per_s), connections=enough + 5) > 380


async def test_who_is_busy_does_not(blinks):
    assert await blinks(lambda at_s: int(at_s * 1000), work_s=2 * pace.BUSY_S) == 0


async def test_when_it_gets_quiet_it_stops(blinks):
    per_s = 1 / pace.BLINK_S
    assert await blinks(lambda at_s: int(min(at_s, 2.0) * 1000)) <= per_s * 3

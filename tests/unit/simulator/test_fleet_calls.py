"""Calls and restarts by the clock alone; what happens on sockets is in test_fleet.py."""

from random import Random

import pytest

from ringmain.simulator.fleet_calls import BACKOFF_S_MAX, REBOOT_S, Calls, Restarts
from ringmain.simulator.mqtt_client import ConnectRefused
from ringmain.simulator.publisher import Link


class Meter:
    attempt = 0
    transport = None


def calls(random=None):
    return Calls(Link("127.0.0.1", 1), 10.0, random or Random(1))


def first_call(calls):
    return calls._calls[0][0]


def test_a_meter_that_failed_waits_longer_each_time_and_never_too_long():
    pauses = []
    for attempt in range(12):
        spread = []
        for seed in range(60):
            waiting, meter = calls(Random(seed)), Meter()
            meter.attempt = attempt
            waiting.again(meter, 100.0, OSError("gone"))
            spread.append(first_call(waiting) - 100.0)
        assert 0 <= min(spread) < max(spread) <= BACKOFF_S_MAX
        pauses.append(max(spread))
    assert pauses[0] < pauses[3] < pauses[5]
    assert max(pauses) > 0.8 * BACKOFF_S_MAX


def test_a_fleet_may_choose_how_long_a_pause_gets():
    waiting = Calls(Link("127.0.0.1", 1), 10.0, Random(1), 0.5)
    for _ in range(50):
        meter = Meter()
        meter.attempt = 10
        waiting.again(meter, 0.0, None)
    assert 0.3 < max(when for when, _, _ in waiting._calls) <= 0.5


def test_trouble_is_kept_in_words_and_refusals_are_counted():
    waiting = calls()
    waiting.again(Meter(), 0.0, ConnectRefused(5))
    assert (waiting.refused, waiting.trouble) == (1, "connection refused: not authorised (return code 5)")
    waiting.again(Meter(), 0.0, TimeoutError())
    assert (waiting.refused, waiting.trouble) == (1, "TimeoutError")
    waiting.again(Meter(), 0.0, None)
    assert waiting.trouble == "TimeoutError"


def test_a_restarted_meter_is_silent_for_its_time():
    waiting = calls()
    waiting.after_restart(Meter(), 100.0)
    assert 100 + REBOOT_S[0] <= first_call(waiting) <= 100 + REBOOT_S[1]
    assert not waiting.waiting(100.0)
    assert waiting.waiting(200.0)


def test_an_end_forgets_all_calls():
    waiting = calls()
    waiting.at(Meter(), 0.0)
    waiting.end()
    assert not waiting.waiting(1e9)


def test_no_restarts_where_none_are_wanted():
    assert list(Restarts(0.0, range(9), 0.0, Random(1)).due(1e12)) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_restarts_come_about_as_often_as_asked_for_and_to_all(seed):
    restarts = Restarts(100.0, range(50), 0.0, Random(seed))
    found = [place for now in range(0, 2001, 5) for place in restarts.due(float(now))]
    assert 800 < len(found) < 1200  # 50 meters, 20 each
    assert set(found) == set(range(50))

"""A street from a plan: who is where, when each begins, and what is refused."""

import msgspec
import pytest

from ringmain.model.time import DAY_MS, HOUR_MS, parse_rfc3339
from ringmain.simulator.fleet_meter import NEVER_MS, Identity
from ringmain.simulator.payload import Form
from ringmain.simulator.street import ReplayFile, Street, StreetPlan

START = parse_rfc3339("2026-02-01T00:00:00Z")
HALF = HOUR_MS // 2
BASE = StreetPlan(identities=[Identity(f"m{n}") for n in range(1, 4)], start_ms=START, from_ms=START - DAY_MS)


def plan(**changes):
    return msgspec.structs.replace(BASE, **changes)


def said(street, place, count=3):
    """What a meter says first."""
    meter = street.meters[place]
    for _ in range(count):
        meter.publish(meter.due_ms, 1)
    return [pending.payload for pending in meter.client._waiting]


def test_meters_begin_with_the_interval_that_starts_at_the_start():
    street = Street(plan())
    assert [meter.next_number * HALF for meter in street.meters] == [START] * 3
    assert [meter.next_number * HALF for meter in Street(plan(start_ms=START + 1)).meters] == [START + HALF] * 3


def test_their_reports_spread_over_the_interval_or_do_not():
    due = [meter.due_ms - START - HALF for meter in Street(plan(drift_ppm=0.0)).meters]
    assert len(set(due)) == 3
    assert all(0 <= each < HALF for each in due)
    assert {meter.due_ms for meter in Street(plan(drift_ppm=0.0, spread=0.0)).meters} == {START + HALF}


def test_the_same_plan_says_the_same_and_another_seed_does_not():
    assert said(Street(plan()), 1) == said(Street(plan()), 1)
    assert said(Street(plan()), 1) != said(Street(plan(seed=2)), 1)


def test_a_home_is_the_same_however_many_there_are_and_wherever_the_street_begins():
    whole = Street(plan(identities=[Identity(f"m{n}") for n in range(1, 300)], drift_ppm=0.0))
    part = Street(plan(identities=[Identity("m258")], first_home=257, drift_ppm=0.0))
    assert said(whole, 257) == said(part, 0)
    assert len(whole.banks) == 2


def test_a_restart_goes_on_behind_the_last_stamp_with_the_same_values():
    first = said(Street(plan()), 2, count=10)
    again = Street(plan(start_ms=START + 2 * HALF, last_ms={"m3": START + 4 * HALF}))
    assert said(again, 2, count=5) == first[5:]
    assert again.meters[0].next_number * HALF == START + 2 * HALF


def test_a_restart_may_repeat_what_was_said_last():
    again = Street(plan(last_ms={"m1": START + 4 * HALF}, repeat=3))
    assert again.meters[0].next_number * HALF == START + 2 * HALF
    clipped = Street(plan(last_ms={"m1": START - DAY_MS}, repeat=3))
    assert clipped.meters[0].next_number * HALF == START - DAY_MS


def test_it_ends_with_the_last_interval_that_ends_in_time():
    street = Street(plan(until_ms=START + 5 * HALF - 1, drift_ppm=0.0))
    assert len(said(street, 0, count=4)) == 4
    assert street.meters[0].due_ms == NEVER_MS
    assert Street(plan(until_ms=START)).meters[0].due_ms == NEVER_MS


def test_templates_are_filled():
    street = Street(plan(topic="a/{id}/b", client_id="c-{id}"))
    assert street.meters[1]._topic == "a/m2/b"
    assert street.meters[1].client._settings.client_id == "c-m2"


def test_the_first_meters_replay_files_in_turn():
    files = [
        ReplayFile([START - DAY_MS + n * HALF for n in range(336)], [watt_hours] * 336) for watt_hours in (111, 222)
    ]
    street = Street(plan(files=files, replaying=2, channels=["energy_wh"], form=Form.FLAT, drift_ppm=0.0))
    assert b'"energy_wh":111}' in said(street, 0)[0]
    assert b'"energy_wh":222}' in said(street, 1)[0]
    assert said(street, 2) == said(Street(plan(channels=["energy_wh"], form=Form.FLAT, drift_ppm=0.0)), 0)


def test_preparing_tells_how_far_it_is():
    steps = list(Street(plan(from_ms=START - 5 * DAY_MS)).prepare(START))
    assert steps[-1] == (1, 1)
    assert 4 <= len(steps) <= 6


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"every_ms": 500}, "1 s at least"),
        ({"every_ms": 7000}, "whole number"),
        ({"from_ms": START + 1}, "earlier time"),
        ({"last_ms": {"m2": START - 3 * DAY_MS}}, "m2 would begin at 2026-01-29"),
        ({"channels": ["nonsense"]}, "channels are"),
        ({"window": 0}, "window"),
    ],
)
def test_plans_that_make_no_sense_are_refused(changes, text):
    with pytest.raises(ValueError, match=text):
        Street(plan(**changes))

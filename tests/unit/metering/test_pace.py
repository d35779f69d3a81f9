"""Pace: a claim is given up only where the readings prove it wrong."""

import pytest

from ringmain.metering.pace import READINGS_LEAST, interval_s_of, too_short


def every(step_s: float, count: int = READINGS_LEAST) -> list[int]:
    return [int(n * step_s * 1000) for n in range(count)]


@pytest.mark.parametrize(
    ("stamps", "claimed_s", "found_s"),
    [
        (every(1800), 5, 1800),
        (every(1800), 900, 1800),
        (every(1800), 1800, 1800),
        (every(1800), 1000, 1000),  # not twice as far apart
        (every(10), 1800, 1800),  # nearer than claimed
        (every(1800, READINGS_LEAST - 1), 5, 5),
        (every(1700), 5, 5),  # no part of a day
        (every(0.5), 0, 0),
        ([*every(3600), 24 * 3_600_000 + 1_800_000], 5, 1800),
        ([0] * READINGS_LEAST, 0, 0),
        ([], 60, 60),
    ],
)
def test_the_interval(stamps, claimed_s, found_s):
    assert interval_s_of(stamps, claimed_s) == found_s


@pytest.mark.parametrize(
    ("stamps", "asked_s", "wrong"),
    [
        (every(1800), 900, True),
        (every(1800), 1440, True),
        (every(1801), 1800, False),
        (every(900), 1800, False),
        (every(1800, READINGS_LEAST - 1), 900, False),
        ([], 900, False),
    ],
)
def test_too_short(stamps, asked_s, wrong):
    assert too_short(stamps, asked_s) is wrong

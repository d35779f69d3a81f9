"""A meter that announces its sleep is taken at its word, within a month."""

import pytest

from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.gateway.announced import SLEEP_S_MAX, Announcements
from ringmain.model.ids import DeviceKey


@pytest.mark.parametrize(
    ("payload", "until_ms"),
    [
        (b'{"sleep_s": 60}', [61_000]),
        (b'{"sleep_s": %d}' % SLEEP_S_MAX, [SLEEP_S_MAX * 1000 + 1000]),
        (b'{"sleep_s": %d}' % (SLEEP_S_MAX + 1), []),
        (b'{"sleep_s": 0}', []),
        (b'{"sleep_s": 60, "more": 1}', []),
        (b"{", []),
    ],
)
def test_what_is_understood_is_passed_on(payload, until_ms):
    told = []
    sessions = type("Sessions", (), {"sleeping": lambda _, device, at_ms: told.append((device, at_ms))})()
    Announcements(sessions, SimulatedClock(1000)).said(DeviceKey(7), payload)
    assert told == [(7, at_ms) for at_ms in until_ms]

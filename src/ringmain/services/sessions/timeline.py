"""Timeline: what a session becomes of an event, and when its silence is noticed next. Pure; `now` is an argument.

States and events are the table of `model.session`; how long silence may last comes from the device's profile.
"""

from ringmain.model.session import SESSIONS, SessionEvent, SessionState

NEVER_MS = 2**62
"""The deadline of a state that silence does not change."""


def after(state: SessionState, event: SessionEvent) -> SessionState | None:
    """The state that follows; None where the event means nothing in this state, as a disconnect of one OFFLINE."""
    return SESSIONS.get((state, event))


def grace_ms(expected_interval_s: int) -> int:
    """Half an interval: what a report may be late. A whole one would take two lost reports to notice one; less than
    half calls every slow modem and every second retry of a publish stale.
    """
    return expected_interval_s * 500


def stale_at(last_seen_ms: int, expected_interval_s: int) -> int:
    """When an ONLINE device has missed its report: 1.5 intervals after it was last heard."""
    return last_seen_ms + expected_interval_s * 1000 + grace_ms(expected_interval_s)


def offline_at(stale_ms: int, expected_interval_s: int) -> int:
    """When a STALE device counts as gone: as long again, so 3 intervals after it was last heard. Three reports in a
    row are lost to an outage, not to chance.
    """
    return stale_ms + 3 * grace_ms(expected_interval_s)


def awake_at(until_ms: int, expected_interval_s: int) -> int:
    """When a SLEEPING device has missed the end of the sleep it announced."""
    return until_ms + grace_ms(expected_interval_s)


def overdue(state: SessionState) -> SessionEvent | None:
    """The event that a passed deadline is, in this state; None where silence changes nothing."""
    if state in {SessionState.ONLINE, SessionState.SLEEPING}:
        return SessionEvent.MISSED
    if state is SessionState.STALE:
        return SessionEvent.LOST
    return None


def resumed_at(state: SessionState, deadline_ms: int, expected_interval_s: int, now_ms: int) -> int:
    """The deadline of a session after a restart: silence while the platform was down is not the device's, so each
    gets the time of one more report.
    """
    if overdue(state) is None:
        return NEVER_MS
    return max(deadline_ms, stale_at(now_ms, expected_interval_s))

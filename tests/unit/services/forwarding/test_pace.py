"""The backlog goes up no faster than it may, whatever the sizes of its pieces."""

from hypothesis import given
from hypothesis import strategies as st

from ringmain.services.forwarding.pace import BURST_S, Pace


def test_the_first_piece_leaves_at_once_and_is_paid_for_after():
    pace = Pace(1000, 0.0)
    assert pace.delay_s(0.0) == 0
    pace.spend(1250, 0.0)
    assert 1.0 <= pace.delay_s(0.0) < 1.01
    assert pace.delay_s(0.5) > 0
    assert pace.delay_s(1.01) == 0


def test_silence_fills_no_more_than_the_burst():
    pace = Pace(1000, 0.0)
    pace.spend(int(1000 * BURST_S), 3600.0)
    assert pace.delay_s(3600.0) > 0


def test_a_clock_that_goes_back_gives_nothing():
    pace = Pace(1000, 10.0)
    pace.spend(500, 10.0)
    assert pace.delay_s(5.0) == pace.delay_s(5.0) > 0


@given(
    st.lists(st.tuples(st.integers(1, 5000), st.floats(0, 0.5)), min_size=1, max_size=60),
    st.integers(100, 10_000),
)
def test_the_average_is_kept(pieces, bytes_s):
    pace, now, sent = Pace(bytes_s, 0.0), 0.0, 0
    for size, idle_s in pieces:
        now += idle_s + pace.delay_s(now + idle_s)
        assert sent <= bytes_s * (now + BURST_S) + 1 + 5000
        pace.spend(size, now)
        sent += size

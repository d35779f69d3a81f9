"""Windows without a store: the same statistics, nothing early, nothing partial, nothing twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.model.batch import block_of
from ringmain.model.time import Instant, Interval
from ringmain.services.aggregation import rolling
from ringmain.services.aggregation.rolling import LATENESS_MS, RollingWindows
from ringmain.services.aggregation.statistics import aggregate

QUARTER_MS = 900_000
FAR_MS = 10**15


def block(rows, channels=("power_w",), *, exact=False, device=7):
    return block_of(
        channels, [device] * len(rows), [at for at, *_ in rows], [v for _, *values in rows for v in values], exact=exact
    )


def test_a_window_closes_by_its_devices_own_watermark():
    windows = RollingWindows(["15m"])
    windows.add(block([(0, 1.0), (1000, 3.0), (QUARTER_MS - 1, 5.0)]))
    assert windows.close(FAR_MS) == []
    windows.add(block([(QUARTER_MS + LATENESS_MS - 1, 9.0)]))
    assert windows.close(FAR_MS) == []
    windows.add(block([(QUARTER_MS + LATENESS_MS, 9.0)]))
    (derived,) = windows.close(FAR_MS)
    assert (derived.device, derived.at_ms, derived.exact) == (7, 0, {})
    assert derived.measured == {
        "power_w/15m/mean": 3.0,
        "power_w/15m/median": 3.0,
        "power_w/15m/min": 1.0,
        "power_w/15m/max": 5.0,
        "power_w/15m/sum": 9.0,
        "power_w/15m/count": 3.0,
    }
    assert windows.close(FAR_MS) == []


def test_a_clock_that_runs_ahead_closes_nothing_early():
    windows = RollingWindows(["15m"])
    windows.add(block([(0, 1.0), (10**12, 1.0)]))
    assert windows.close(QUARTER_MS + LATENESS_MS - 1) == []
    assert len(windows.close(QUARTER_MS + LATENESS_MS)) == 1


def test_energies_stay_integers():
    windows = RollingWindows(["15m"])
    windows.add(block([(0, 2**60), (1, 2**60 + 1), (2 * QUARTER_MS, 0)], ("energy_wh",), exact=True))
    (derived,) = windows.close(FAR_MS)
    assert derived.exact == {
        "energy_wh/15m/sum_wh": 2**61 + 1,
        "energy_wh/15m/min_wh": 2**60,
        "energy_wh/15m/max_wh": 2**60 + 1,
    }
    assert set(derived.measured) == {f"energy_wh/15m/{each}" for each in ("mean", "median", "count")}


def test_the_window_that_a_start_cut_is_not_sent_but_counted():
    windows = RollingWindows(["15m"])
    windows.add(block([(500, 1.0), (QUARTER_MS, 2.0), (3 * QUARTER_MS, 2.0)]))
    (derived,) = windows.close(FAR_MS)
    assert derived.at_ms == QUARTER_MS
    assert windows.cut == 1
    assert windows.closed == 1


def test_what_comes_late_is_counted_and_makes_no_second_window():
    windows = RollingWindows(["15m"])
    windows.add(block([(0, 1.0), (2 * QUARTER_MS, 1.0)]))
    assert len(windows.close(FAR_MS)) == 1
    windows.add(block([(10, 4.0)]))
    assert windows.close(FAR_MS) == []
    assert windows.late == 1


def test_a_message_that_came_twice_counts_once():
    windows = RollingWindows(["15m"])
    for _ in range(2):
        windows.add(block([(0, 1.0), (1, 2.0)]))
    windows.add(block([(2 * QUARTER_MS, 0.0)]))
    (derived,) = windows.close(FAR_MS)
    assert derived.measured["power_w/15m/count"] == 2


def test_derived_channels_are_not_aggregated_again():
    windows = RollingWindows(["15m"])
    windows.add(block([(0, 1.0), (2 * QUARTER_MS, 1.0)], ("power_w/15m/mean",)))
    assert windows.close(FAR_MS) == []


def test_without_sizes_nothing_is_held():
    windows = RollingWindows(())
    windows.add(block([(0, 1.0)]))
    assert windows._held == 0


def test_memory_is_bounded_and_what_was_given_up_is_counted(monkeypatch):
    monkeypatch.setattr(rolling, "VALUES_MAX", 100)
    windows = RollingWindows(["15m"])
    windows.add(block([(at, 1.0) for at in range(0, 3 * QUARTER_MS, QUARTER_MS // 60)]))
    assert windows._held <= 100
    assert windows.cut == 2
    windows.add(block([(5 * QUARTER_MS, 1.0)]))
    assert [derived.at_ms for derived in windows.close(FAR_MS)] == [2 * QUARTER_MS]


@given(
    st.lists(
        st.tuples(st.integers(0, 4 * QUARTER_MS), st.floats(allow_nan=False, allow_infinity=False, width=32)),
        min_size=1,
        max_size=60,
        unique_by=lambda row: row[0],
    ),
    st.integers(1, 7),
)
def test_they_are_the_statistics_of_the_definition(rows, parts):
    windows = RollingWindows(["15m", "30m"])
    windows.add(block([(0, 0.0)], ("other_v",)))
    for at in range(0, len(rows), parts):
        windows.add(block(rows[at : at + parts]))
    windows.add(block([(100 * QUARTER_MS, 0.0)], ("other_v",)))
    found = {
        (derived.at_ms, name): value for derived in windows.close(FAR_MS) for name, value in derived.measured.items()
    }
    for size, length_ms in windows.sizes:
        for start_ms in range(0, 5 * QUARTER_MS, length_ms):
            inside = [value for at, value in rows if start_ms <= at < start_ms + length_ms]
            if inside:
                wanted = aggregate(inside, Interval(Instant(start_ms), Instant(start_ms + length_ms)))
                for each in ("mean", "median", "min", "max", "sum", "count"):
                    assert found[start_ms, f"power_w/{size}/{each}"] == pytest.approx(getattr(wanted, each), abs=0)

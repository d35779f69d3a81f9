"""The judge's days."""

from datetime import UTC, datetime

from ringmain.apps.lab.windows import Day, ServedWindow, days_of, window_complaints

HALF_HOUR = 1_800_000


def ms(*moment):
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1000


def test_days_are_local_and_have_46_48_or_50_half_hours():
    start, end = ms(2013, 3, 30), ms(2013, 10, 29)
    days = days_of(dict.fromkeys(range(start, end, HALF_HOUR), 1), "Europe/London")
    assert days[datetime(2013, 3, 31, tzinfo=UTC)].count == 46
    assert days[datetime(2013, 3, 31, 23, tzinfo=UTC)].count == 48
    assert days[datetime(2013, 10, 26, 23, tzinfo=UTC)].count == 50
    assert days[datetime(2013, 10, 28, tzinfo=UTC)].count == 48
    assert sum(day.count for day in days.values()) == (end - start) // HALF_HOUR


def test_a_day_is_count_sum_min_and_max():
    values = {ms(2013, 1, 1): 5, ms(2013, 1, 1, 12): 2, ms(2013, 1, 1, 23, 30): 9}
    assert days_of(values, "Europe/London") == {datetime(2013, 1, 1, tzinfo=UTC): Day(3, 16, 2, 9)}


def test_differences_are_counted_and_the_first_is_named():
    start, other = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 2, tzinfo=UTC)
    expected = {start: Day(1, 2, 2, 2), other: Day(1, 3, 3, 3)}
    sound = [ServedWindow(start, 1, 2, 2, 2), ServedWindow(other, 1, 3, 3, 3)]
    assert window_complaints(expected, sound) == []
    (line,) = window_complaints(expected, [ServedWindow(start, 1, 3, 3, 3)])
    assert line.startswith("2 day windows differ, the first at 2013-01-01T00:00:00+00:00")
    assert window_complaints(expected, [*sound, sound[0]]) == ["1 day windows are served twice"]
    assert window_complaints({}, sound[:1])[0].startswith("1 day windows differ")

"""The judge's reading of the data file."""

import gzip

import pytest

from ringmain.apps.lab.source import SourceError, Year, civil_year, read_source

ALWAYS = Year(0, 4_102_444_800_000)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "line 1: expected the columns start,value, found nothing"),
        ("time,value\n", "line 1"),
        ("start,value\n2013-01-01 00:00:00\n", "line 2: 1 fields"),
        ("start,value\n2013-01-01 00:00:00,1\n\n", "line 3: 0 fields"),
        ("start,value\n2013-13-01 00:00:00,1\n", "line 2: start: '2013-13-01"),
        ("start,value\nyesterday,1\n", "line 2: start"),
        ("start,value\n2013-01-01 00:00:00,1\n2013-01-01 00:30:00,x\n", "line 3: value: 'x'"),
        ("start,value\n2013-01-01 00:00:00,nan\n", "line 2: value: 'nan'"),
        ("start,value\n2013-01-01 00:00:00,Infinity\n", "line 2: value"),
        ("start,value\n2013-01-01 00:00:00,1e30\n", "line 2: value"),
    ],
)
def test_an_error_is_refused_with_line_and_field(tmp_path, text, place):
    file = tmp_path / "data.csv"
    file.write_text(text)
    with pytest.raises(SourceError, match=place):
        read_source(file, ALWAYS)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe",
        b"\x1f\x8b broken",
        gzip.compress(b"start,value", mtime=0)[:-1],
        b"\x1f\x8b\x08" + bytes(7) + b"x" * 20,
    ],
)
def test_what_is_no_text_is_refused(tmp_path, data):
    file = tmp_path / "data.csv"
    file.write_bytes(data)
    with pytest.raises(SourceError, match="not text, nor gzip of it"):
        read_source(file, ALWAYS)


def test_rows_are_counted_as_values_duplicates_and_conflicts(tmp_path):
    file = tmp_path / "data.csv.gz"
    rows = ["00:00:00,0.2", "00:30:00,0.3", "00:00:00,0.2", "00:00:00,0.9", "00:00:00,0.2"]
    file.write_bytes(gzip.compress(("start,value\n" + "".join(f"2013-01-01 {row}\n" for row in rows)).encode()))
    source = read_source(file, ALWAYS)
    midnight = 1_356_998_400_000
    assert source.values == {midnight: 200, midnight + 1_800_000: 300}
    assert (source.rows, source.duplicates) == (5, 2)
    assert source.conflicts == ((midnight, 200, 900),)
    assert source.energy_wh == 500


@pytest.mark.parametrize(
    ("kwh", "wh"), [("0.0", 0), ("0.23800000000000002", 238), ("0.0004", 0), ("0.0005", 1), ("1.2345", 1235)]
)
def test_kwh_round_to_whole_wh_halves_up(tmp_path, kwh, wh):
    file = tmp_path / "data.csv"
    file.write_text(f"start,value\n1970-01-01 00:00:00,{kwh}\n")
    assert read_source(file, ALWAYS).values == {0: wh}


def test_only_the_years_rows_are_read(tmp_path):
    file = tmp_path / "data.csv"
    file.write_text(
        "start,value\n2012-12-31 23:30:00,1\n2013-01-01 00:00:00,2\n2013-12-31 23:30:00,3\n2014-01-01 00:00:00,4\n"
    )
    assert list(read_source(file, civil_year(2013, "Europe/London")).values.values()) == [2000, 3000]


def test_a_year_is_the_zones_own():
    assert civil_year(2013, "Europe/London").intervals == 17_520
    assert civil_year(2012, "Europe/London").intervals == 17_568
    assert civil_year(2013, "Asia/Kolkata").start_ms == civil_year(2013, "UTC").start_ms - 5 * 3_600_000 - 1_800_000


@pytest.mark.parametrize("start", ["2013-07-01 01:00:00+01:00", "2013-07-01T00:00:00Z", "2013-07-01 00:00:00"])
def test_a_stamp_with_a_zone_is_taken_at_its_word(tmp_path, start):
    file = tmp_path / "data.csv"
    file.write_text(f"start,value\n{start},1\n")
    assert list(read_source(file, ALWAYS).values) == [1_372_636_800_000]

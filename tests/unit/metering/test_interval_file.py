"""Interval files: a damaged one is refused with line and field; the household's has exactly its figures."""

import gzip

import pytest

from ringmain.metering.data import sample_household
from ringmain.metering.interval_file import read_interval_file
from ringmain.model.errors import Refused
from ringmain.model.time import parse_rfc3339

HEAD = "start,value\n2013-01-01 00:00:00,0.25\n"


def refusal(tmp_path, data, name="d.csv"):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(Refused) as refused:
        list(read_interval_file(path))
    return refused.value.detail


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("", "line 1: header: expected start,value, got ''"),
        ("start;value\n", "line 1: header: expected start,value, got 'start;value'"),
        (HEAD + "2013-01-01 00:30:00\n", "line 3: row: expected 2 columns, got 1"),
        (HEAD + "2013-01-01 00:30:00,1,2\n", "line 3: row: expected 2 columns, got 3"),
        (HEAD + "\n", "line 3: row: expected 2 columns, got 0"),
        (
            HEAD + "01/02/2013 00:30,1\n",
            "line 3: start: expected a date and time such as 2013-01-01 00:30:00, got '01/",
        ),
        (HEAD + "2013-02-30 00:30:00,1\n", "line 3: start: expected a date and time"),
        (HEAD + "1969-12-31 23:30:00,1\n", "line 3: start: expected a time from 1970 to 2099"),
        (HEAD + "2100-01-01 00:00:00,1\n", "line 3: start: expected a time from 1970 to 2099"),
        (HEAD + '2013-01-01 00:30:00,"1,5"\n', "line 3: value: expected a decimal number of kWh, got '1,5'"),
        (HEAD + "2013-01-01 00:30:00,\n", "line 3: value: expected a decimal number of kWh, got ''"),
        (HEAD + "2013-01-01 00:30:00,nan\n", "line 3: value: expected 0 to 1000000 kWh, got 'nan'"),
        (HEAD + "2013-01-01 00:30:00,-0.1\n", "line 3: value: expected 0 to 1000000 kWh"),
        (HEAD + "2013-01-01 00:30:00,1e999999\n", "line 3: value: expected 0 to 1000000 kWh"),
        (HEAD + '2013-01-01 00:30:00,"1\n', "line 3: row: not CSV: unexpected end of data"),
        (HEAD + f'2013-01-01 00:30:00,"{"1" * 200_000}"\n', "line 3: row: not CSV: field larger than field limit"),
        (HEAD.encode() + b"\xff,1\n", "line "),
    ],
)
def test_what_is_wrong_is_said_with_line_and_field(tmp_path, text, detail):
    assert refusal(tmp_path, text).startswith(f"d.csv: {detail}")


def test_rows_before_a_mistake_were_read(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text(HEAD + "x,1\n")
    rows = read_interval_file(path)
    assert next(rows).energy_wh == 250
    with pytest.raises(Refused, match="line 3: start"):
        next(rows)


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data[:40] + b"xxxx" + data[44:]])
def test_a_damaged_gzip_stream(tmp_path, damage):
    rows = "".join(f"2013-01-01 00:{minute:02}:00,0.{minute}\n" for minute in range(60))
    zipped = gzip.compress(("start,value\n" + rows).encode())
    assert "gzip stream is damaged" in refusal(tmp_path, damage(zipped), "d.csv.gz")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(Refused, match=r"nowhere\.csv: No such file") as refused:
        list(read_interval_file(tmp_path / "nowhere.csv"))
    assert refused.value.code == "not_found"


def test_stamps_with_and_without_a_zone_and_values_halves_up(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("start,value\r\n2013-06-01 00:30:00,1.4529999\r\n2013-06-01T01:30:00+01:00,0.0005\r\n")
    one, other = read_interval_file(path)
    assert one.start_ms == other.start_ms == parse_rfc3339("2013-06-01T00:30:00Z")
    assert (one.energy_wh, other.energy_wh) == (1453, 1)
    assert (one.line, other.line) == (2, 3)


def test_the_household_row_by_row(household_rows, household, figures):
    expected = figures["file"]
    assert len(household_rows) == expected["rows"]
    assert len(household) == expected["unique"]
    first = {each.start_ms: each.energy_wh for each in household}
    assert all(first[row.start_ms] == row.energy_wh for row in household_rows), "duplicates repeat the value"
    assert sum(first.values()) == expected["energy_wh"]
    assert max(first.values()) == expected["largest_wh"]


def test_the_year_has_its_duplicates(household_rows, figures):
    start, end = parse_rfc3339("2013-01-01T00:00:00Z"), parse_rfc3339("2014-01-01T00:00:00Z")
    stamps = [row.start_ms for row in household_rows if start <= row.start_ms < end]
    assert len(stamps) - len(set(stamps)) == figures["year"]["duplicates"]


def test_the_attributions_go_where_the_file_goes():
    readme = sample_household().parent / "README.md"
    for text in (readme.read_text(), (readme.parents[4] / "NOTICE").read_text()):
        assert "eemeter" in text
        assert "UK Power Networks" in text
        assert "Creative Commons Attribution 4.0" in text

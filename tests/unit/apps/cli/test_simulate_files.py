"""Files and times of `ringmain simulate`: what is wrong is named with file and line."""

import click
import pytest

from ringmain.apps.cli.exits import CommandError, Exit
from ringmain.apps.cli.simulate_files import from_tokens, instant, last_stamps, replay_file
from ringmain.model.errors import Refused
from ringmain.simulator.fleet_meter import Identity


def file(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "file.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_tokens_are_read_as_the_import_prints_them(tmp_path):
    path = file(tmp_path, "id,token\nmeter-1,secret-1\nmeter-2,secret-2\n")
    assert from_tokens(path, None, "{id}") == [
        Identity("meter-1", "meter-1", "secret-1"),
        Identity("meter-2", "meter-2", "secret-2"),
    ]
    assert from_tokens(path, 1, "street/{id}") == [Identity("meter-1", "street/meter-1", "secret-1")]


def test_a_byte_order_mark_and_further_columns_do_no_harm(tmp_path):
    path = file(tmp_path, "id,token,note\nm,t,x\n", encoding="utf-8-sig")
    assert from_tokens(path, None, "{id}") == [Identity("m", "m", "t")]


def test_more_meters_than_tokens_are_refused(tmp_path):
    with pytest.raises(click.UsageError, match="holds only 1 tokens"):
        from_tokens(file(tmp_path, "id,token\nm,t\n"), 2, "{id}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: expected the columns id,token"),
        ("token,id\n", "line 1: expected the columns id,token"),
        ("id,token\n", "holds no device"),
        ("id,token\nm,t\nn\n", "line 3: expected id,token"),
        ("id,token\nm/n,t\n", "line 2"),
        ('id,token\n"m,t\n', "can not be read"),
    ],
)
def test_what_is_no_file_of_tokens_is_named(tmp_path, text, said):
    with pytest.raises(CommandError, match=said) as caught:
        from_tokens(file(tmp_path, text), None, "{id}")
    assert caught.value.exit_code == Exit.REFUSED


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CommandError, match=r"nowhere\.csv can not be read"):
        last_stamps(tmp_path / "nowhere.csv")


def test_last_stamps_are_times_or_milliseconds_and_may_be_missing(tmp_path):
    path = file(tmp_path, "id,last\na,2026-01-01T00:00:00Z\nb,1767225600000\nc,\n")
    assert last_stamps(path) == {"a": 1_767_225_600_000, "b": 1_767_225_600_000}
    assert last_stamps(None) == {}


@pytest.mark.parametrize("text", ["yesterday", "2026-01-01T00:00:00", "1969-12-31T23:00:00Z", "2200-01-01T00:00:00Z"])
def test_a_time_that_is_none_is_a_matter_of_usage(text):
    with pytest.raises(click.UsageError, match="--start"):
        instant("--start", text)


def test_an_interval_file_is_read_and_refused_with_its_line(tmp_path):
    path = file(tmp_path, "start,value\n2013-01-01 00:00:00,0.25\n2013-01-01 00:30:00,0.1\n")
    assert replay_file(path).energy_wh == [250, 100]
    with pytest.raises(Refused, match="line 2: value"):
        replay_file(file(tmp_path, "start,value\n2013-01-01 00:00:00,much\n"))

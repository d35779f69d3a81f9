"""The drawing: the figures in words, the panels, and files that are whole or not there."""

import struct
import subprocess
import sys
from datetime import date

import pytest
from tests.unit.apps.report.curves import curve

from ringmain.apps.report.figure import Words, draw, save

WORDS = Words("Load of m", "energy_wh", "Source: a test.")
ONE_DAY = curve(date(2013, 1, 1), 1, lambda slot: None if slot == 7 else 100 * (slot + 1))


def texts(figure):
    return [text.get_text() for text in figure.texts]


def test_the_figures_stand_there_in_words():
    said = texts(draw(ONE_DAY, WORDS))
    assert "1 Jan 2013 · energy_wh, every 30 min, local time of Europe/London" in said
    for words in ("Load of m", "116.800 kWh", "9.60 kW", "1 Jan 2013, 23:30", "47", "Source: a test."):
        assert words in said, words
    assert "97.9 % of 48 expected" in said


@pytest.mark.slow
def test_all_is_said_only_where_nothing_is_missing():
    """17,519 of 17,520 are not 100 %."""
    year = curve(date(2013, 1, 1), 365, lambda slot: 500 if slot else None)
    assert "99.9 % of 17,520 expected" in texts(draw(year, WORDS))
    whole = curve(date(2013, 3, 31), 1, lambda _: 0)
    assert {"100 % of 46 expected", "0.000 kWh", "none"} <= set(texts(draw(whole, WORDS)))


@pytest.mark.slow
def test_files_are_pictures_of_the_same_bytes_each_time(tmp_path):
    for number in (1, 2):
        figure = draw(ONE_DAY, WORDS)
        save(figure, tmp_path / f"{number}.png", "png")
        save(figure, tmp_path / f"{number}.svg", "svg")
    png, svg = ((tmp_path / f"1.{form}").read_bytes() for form in ("png", "svg"))
    assert struct.unpack(">II", png[16:24]) == (1600, 1000)
    assert svg.startswith(b"<?xml")
    assert (tmp_path / "2.png").read_bytes() == png
    assert (tmp_path / "2.svg").read_bytes() == svg
    assert len(list(tmp_path.iterdir())) == 4


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    path.write_text("old")
    figure = draw(ONE_DAY, WORDS)

    def fill_the_disk(unfinished, **_):
        unfinished.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", fill_the_disk)
    with pytest.raises(OSError, match="No space"):
        save(figure, path, "png")
    assert [each.name for each in tmp_path.iterdir()] == ["x.png"]
    assert path.read_text() == "old"


@pytest.mark.slow
def test_drawing_touches_no_global_state():
    program = (  # to look at `backend` is to import pyplot
        "import sys, matplotlib as mpl; kept = lambda: {name: mpl.rcParams[name] for name in mpl.rcParams"
        " if name != 'backend'}; before = kept();"
        "from tests.unit.apps.report.test_figure import ONE_DAY, WORDS, draw; draw(ONE_DAY, WORDS);"
        "sys.exit('matplotlib.pyplot' in sys.modules or kept() != before)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)

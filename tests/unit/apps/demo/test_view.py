"""The view at every size and in every state: it fills the screen, never squeezes a panel, and never raises."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tests.unit.apps.demo.played import fleet, full, gateway, situation

from ringmain.apps.demo import words
from ringmain.apps.demo.view import render
from ringmain.apps.demo.watch import Figures, Outcome, Tally

SIZES = [(60, 20), (76, 24), (80, 24), (80, 25), (100, 30), (110, 34), (132, 43), (200, 60), (200, 24), (60, 60)]
FIRST_BILL = re.compile(r"200 home-0200 26 Oct-1 Nov .* 123\.456 101\.66")


def drawn(figures, now, width, height, page="", **console):
    out = io.StringIO()
    colours = {"color_system": None, **console}
    screen = Console(file=out, width=width, height=height, force_terminal=True, legacy_windows=False, **colours)
    screen.print(render(figures, now, width, height, page), end="")
    return out.getvalue().split("\n")


def lines_of(figures, now, width, height, page=""):
    return [line.ljust(width) for line in drawn(figures, now, width, height, page)][:height]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("figures", [full(), Figures()], ids=["full", "empty"])
def test_the_screen_is_filled_and_not_more(figures, width, height):
    lines = drawn(figures, situation(), width, height)
    assert len(lines) in {height, height + 1}
    assert all(len(line) <= width for line in lines)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (110, 34), (200, 60)])
def test_every_panel_is_whole_from_80_by_24_on(width, height):
    text = "\n".join(lines_of(full(), situation(), width, height))
    for expected in (
        "energy of the street",
        "the last 48 hours",
        "last bills",
        "200 issued",
        "1,239,000 readings",
        "1,000, kept once",
        "unaccounted",
        "1,188 a second",
        "199 of 200",
        "8,790 readings",
        "2,440 KiB",
        "38,286 readings",
        "1,234,560",
        "129 online",
        "60 stale",
        "12 offline",
        "Mon 26 Oct 2026 07:05 UTC",
    ):
        assert expected in text
    assert FIRST_BILL.search(text)
    assert "cut" in text
    assert "…" not in text.replace("four four", "").split("cut")[0]


def test_the_keys_have_their_words_at_80_columns():
    last = "\n".join(lines_of(full(), situation(), 80, 24)[-2:])
    assert all(f" {key} " in last for key in "cepaq")
    assert "kill platform" in last


@pytest.mark.slow
def test_a_frame_is_closed_on_every_line():
    """No panel is cut off by another one: each corner has its counterpart."""
    for width, height in SIZES:
        text = "\n".join(lines_of(full(), situation(), width, height))
        assert text.count("╭") == text.count("╮") == text.count("╰") == text.count("╯")


def test_without_room_panels_are_left_out_not_squeezed():
    for height in (18, 19, 20):
        text = "\n".join(lines_of(full(), situation(), 80, height))
        assert "edge gateway" in text
        assert "sessions" not in text
    small = "\n".join(lines_of(full(), situation(), 80, 6))
    assert "Ringmain" in small
    assert "╭" not in small


@given(st.integers(1, 220), st.integers(1, 70), st.booleans())
def test_no_size_is_too_odd(width, height, empty):
    assert drawn(Figures() if empty else full(), situation(), width, height)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"edge_runs": False}, "✖ killed"),
        ({"platform_runs": False}, "✖ killed"),
        ({"cut": True}, "✂ cut, keeping all"),
        ({"cut": True}, "mend uplink"),
        ({"said": ()}, "cut uplink"),
    ],
)
def test_what_was_broken_is_told(changed, expected):
    assert expected in "\n".join(lines_of(full(), situation(**changed), 80, 24))


@pytest.mark.parametrize("changed", [{"edge_answers": False}, {"platform_answers": False}])
def test_one_that_runs_and_does_not_answer_yet_is_starting(changed):
    figures = full()
    for name, value in changed.items():
        setattr(figures, name, value)
    assert "▽ starting again" in "\n".join(lines_of(figures, situation(), 80, 24))


def test_every_missing_figure_alone_is_survived():
    for name in ("edge", "homes", "curve", "first_reading_s"):
        figures = full()
        setattr(figures, name, None)
        assert drawn(figures, situation(), 80, 24)
        assert words.log_line(figures, situation())


def test_an_uplink_that_is_down_and_a_loss_are_seen():
    figures = full()
    figures.edge = gateway(uplink="down: connection refused", drain_s=None)
    figures.tally = Tally(1_000, (Outcome("stored", "", 997),))
    text = "\n".join(lines_of(figures, situation(), 80, 24))
    assert "▽ down, calling" in text
    assert re.search(r"unaccounted +3 ", text)


def test_real_time_is_told():
    figures = full()
    figures.homes = fleet(real_time=True)
    assert "in real time" in lines_of(figures, situation(), 100, 30)[1]
    assert "3,600 times faster than life" in lines_of(full(), situation(), 100, 30)[1]


def test_without_colours_nothing_is_lost(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    plain = drawn(full(), situation(), 80, 24, color_system="truecolor", no_color=True)
    assert not [line for line in plain if "38;" in line]
    assert "● answers" in "\n".join(plain)


def test_addresses_are_shown_so_that_they_can_be_copied():
    banner = words.banner([("HTTP API", "http://127.0.0.1:1/api/v1")], words.hello(1883, "t" * 43))
    lines = [line.rstrip() for line in lines_of(full(), situation(), 80, 24, banner)]
    at = next(number for number, line in enumerate(lines) if "mosquitto_pub" in line)
    assert lines[at].strip() == "mosquitto_pub -h 127.0.0.1 -p 1883 -u street/hello \\"
    assert lines[at + 1].strip() == f"-P {'t' * 43} \\"
    assert lines[at + 2].strip() == "-q 1 -t telemetry -m '{\"temperature_cel\": 21.5}'"

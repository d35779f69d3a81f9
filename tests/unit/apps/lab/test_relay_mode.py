"""The relay's words."""

import pytest

from ringmain.apps.lab.relay_mode import CommandRefused, Mode, mode_of


@pytest.mark.parametrize(
    "line",
    [
        "",
        "passs",
        "pass now",
        "half-open",
        "half-open both",
        "delay",
        "delay -1",
        "delay 1.5",
        "delay 60001",
        "delay ¹",
    ],
)
def test_what_is_no_command_is_refused(line):
    with pytest.raises(CommandRefused):
        mode_of(line)


def test_a_refusal_says_what_there_is():
    with pytest.raises(CommandRefused, match=r"'melt' is none of: pass, cut, refuse, black-hole, half-open"):
        mode_of("melt\n")


@pytest.mark.parametrize(
    ("line", "mode"),
    [
        ("pass\n", Mode()),
        ("  refuse ", Mode("refuse", refuses=True)),
        ("black-hole", Mode("black-hole", lost=("up", "down"))),
        ("half-open up", Mode("half-open", lost=("up",))),
        ("half-open down", Mode("half-open", lost=("down",))),
        ("delay 20", Mode("delay", delay_ms=20)),
        ("delay 20 5", Mode("delay", delay_ms=20, jitter_ms=5)),
    ],
)
def test_commands_and_their_modes(line, mode):
    assert mode_of(line) == mode

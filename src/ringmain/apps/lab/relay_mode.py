"""The words that a relay obeys, and what each means for the bytes that run through it. Pure.

It must never guess: what is no command is refused with the list of those that are.
"""

import msgspec

DELAY_MS_MAX = 60_000
"""A link that is slower than a minute is a dead one: `black-hole` says so plainly."""

UP, DOWN = "up", "down"
"""From the client to the server, and back."""


class CommandRefused(ValueError):
    """No command of the relay; the text says what it takes."""


class Mode(msgspec.Struct, frozen=True):
    """What happens to connections from now on. `lost` names the directions whose bytes are read and lost."""

    name: str = "pass"
    lost: tuple[str, ...] = ()
    refuses: bool = False
    delay_ms: int = 0
    jitter_ms: int = 0


def mode_of(line: str) -> Mode:
    """The mode that a command sets. CommandRefused for words that are none."""
    match line.split():
        case ["pass"]:
            return Mode()
        case ["refuse"]:
            return Mode("refuse", refuses=True)
        case ["black-hole"]:
            return Mode("black-hole", lost=(UP, DOWN))
        case ["half-open", ("up" | "down") as direction]:
            return Mode("half-open", lost=(direction,))
        case ["delay", delay]:
            return Mode("delay", delay_ms=_milliseconds(delay))
        case ["delay", delay, jitter]:
            return Mode("delay", delay_ms=_milliseconds(delay), jitter_ms=_milliseconds(jitter))
    raise CommandRefused(
        f"{line.strip()!r} is none of: pass, cut, refuse, black-hole, half-open up|down, delay MS [JITTER_MS], stats"
    )


def _milliseconds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > DELAY_MS_MAX:
        raise CommandRefused(f"{text!r} is not a whole number of milliseconds up to {DELAY_MS_MAX}")
    return int(text)

"""Keys: single key presses of a terminal, and the terminal as it was before, whatever happens."""

import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Iterator


class Keys:
    """Reads keys of `descriptor`; without one there are none."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def wait(self, seconds: float) -> str:
        """The keys pressed, as soon as there is one, or "" after so long."""
        if self._descriptor is None:
            select.select([], [], [], seconds)
            return ""
        ready, _, _ = select.select([self._descriptor], [], [], seconds)
        if not ready:
            return ""
        pressed = os.read(self._descriptor, 64).decode(errors="replace")
        if not pressed:  # the terminal is gone
            self._descriptor = None
        return pressed.lower()


@contextlib.contextmanager
def keys_of_terminal() -> Iterator[Keys]:
    """Keys of standard input, if it is a terminal: no echo, no waiting for a line; Ctrl-C stays Ctrl-C."""
    if not sys.stdin.isatty():
        yield Keys(None)
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield Keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

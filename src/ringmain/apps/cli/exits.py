"""Exit codes of `ringmain`, stable from release to release, and the one kind of error that a command raises.

Nothing here prints: `main` turns an error into two lines on standard error and its code.
"""

from enum import IntEnum

from ringmain.model.errors import Failed, Refused, RingmainError


class Exit(IntEnum):
    """What a script may rely on. 1 is left to Python itself, for a fault of ours."""

    OK = 0
    FAULT = 1
    USAGE = 2
    CONFIG = 3
    UNAVAILABLE = 4
    REFUSED = 5
    INTERRUPTED = 130


class CommandError(Exception):
    """A command could not do its work. `detail` says what happened and what was kept, `hint` what to do next."""

    def __init__(self, exit_code: Exit, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.exit_code = exit_code
        self.detail = detail
        self.hint = hint


def exit_of(error: RingmainError) -> Exit:
    """The exit code of an error that came up from the platform's own floors."""
    if isinstance(error, Refused):
        return Exit.REFUSED
    if isinstance(error, Failed) and error.code != "internal":
        return Exit.UNAVAILABLE
    return Exit.FAULT

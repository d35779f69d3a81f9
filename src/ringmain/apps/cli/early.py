"""The edge before its turn: this process imports what the edge needs while the platform still starts, then waits for
a line on standard input and is `ringmain` with its arguments. Without a line it ends: its parent is gone.
"""

import sys

from ringmain.apps.cli.main import run
from ringmain.apps.demo.plan import EARLY_WORD


def main() -> None:
    """Wait, then be the command."""
    import ringmain.apps.edge.main  # noqa: F401, PLC0415 - what takes the time

    if sys.stdin.readline().strip() != EARLY_WORD:
        sys.exit(1)
    # One that starts itself anew (its buffer broke) must not wait again.
    sys.orig_argv = [sys.executable, "-m", run.__module__, *sys.argv[1:]]
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()

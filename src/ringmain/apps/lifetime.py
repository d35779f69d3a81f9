"""Lifetime: what every long-running process of ours does from its signals to its end.

A store that broke (a sync failed) ends the process and starts it anew, at most three times in ten minutes: a fresh
process reads back what is really on the disk.
"""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

RESTARTS_MAX = 3
RESTARTS_WITHIN_S = 600
_RESTARTS = "RINGMAIN_RESTARTS"

EXIT_BROKEN = 70
"""sysexits.h EX_SOFTWARE: restarted too often; somebody has to look at the disk."""


def stop_asked() -> asyncio.Event:
    """Set by SIGINT and SIGTERM, from now on."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def when_hung_up(call: Callable[[], None]) -> None:
    """Call it at every SIGHUP, from now on: what a daemon takes for `read your files again`."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, call)


async def until(*events: asyncio.Event) -> None:
    """Return as soon as one of them is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


def start_anew() -> int:  # noqa: RET503 - execv does not return
    """Replace this process by a fresh one, unless that was done too often."""
    now = time.time()
    earlier = [float(at) for at in os.environ.get(_RESTARTS, "").split(",") if at]
    recent = [at for at in earlier if now - at < RESTARTS_WITHIN_S]
    if len(recent) >= RESTARTS_MAX:
        log.critical(
            "the log broke %d times in %d s; check the disk. What was acknowledged is kept.",
            len(recent) + 1,
            RESTARTS_WITHIN_S,
        )
        return EXIT_BROKEN
    os.environ[_RESTARTS] = ",".join(f"{at:.0f}" for at in [*recent, now])
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves again

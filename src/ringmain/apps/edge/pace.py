"""Pace: how often an edge looks at its sockets.

Two hundred meters that speak once a second would wake it two hundred times a second, each time for one reading and with
cold caches: that is half of the processor time it takes. So while many speak, each of them seldom, it does all there is
to do, closes its eyes for a moment, whatever comes, and does together what came meanwhile. A reading waits longer for
its sync anyhow. Whoever waits for one acknowledgement before it says the next thing must not wait for that: while
anybody is in a hurry, and while there is little to hear, the edge is woken by what comes, as everybody is.
"""

import asyncio
import time
from collections.abc import Callable

from ringmain.ports.clock import Clock

BLINK_S = 0.02
"""A PUBACK waits a hundredth of a second longer, and a TLS handshake its handful of turns."""

BUSY_S = 0.005
"""Who worked that long since the last look has no time to close its eyes."""

LOOK_S = 1.0
"""Between looks at how much there is to hear."""

MUCH_PER_S = 50
"""Messages; fewer wake it less often than blinking does."""

HURRY_PER_S = 2
"""Messages of one connection; a meter that says more is catching up."""


async def blink(clock: Clock, heard: Callable[[], int], connections: Callable[[], int]) -> None:
    """Hold the loop now and then, until cancelled; other threads go on. `heard` are the messages so far."""
    is_blinking = False
    while True:
        before, since_s = heard(), clock.monotonic_s()
        if is_blinking:
            await _blinking(clock, since_s + LOOK_S)
        else:
            await asyncio.sleep(LOOK_S)
        per_s = (heard() - before) / (clock.monotonic_s() - since_s)
        is_blinking = MUCH_PER_S <= per_s <= HURRY_PER_S * connections()


async def _blinking(clock: Clock, until_s: float) -> None:
    began_s = clock.monotonic_s()
    while began_s < until_s:
        await asyncio.sleep(0)
        now_s = clock.monotonic_s()
        if now_s - began_s < BUSY_S:
            time.sleep(BLINK_S)  # noqa: ASYNC251 - that is what it is for
            now_s += BLINK_S
        began_s = now_s

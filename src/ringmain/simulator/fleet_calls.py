"""When meters call: a few at a time at first, after jittered pauses when they were cut, after a silence when they
restarted. It must never let all of a fleet connect at once.
"""

import asyncio
import heapq
import ssl
from collections.abc import Iterator
from itertools import count
from random import Random

from ringmain.simulator.fleet_meter import Base, Meter, MeterConnection
from ringmain.simulator.mqtt_client import ConnectRefused
from ringmain.simulator.publisher import Link

CONNECTING_MAX = 64
"""Handshakes at a time: a server's backlog is rarely above 100."""

CONNECT_S_MAX = 10.0
"""TCP and TLS handshake, on a server that 10,000 others call too."""

BACKOFF_S, BACKOFF_S_MAX = 0.25, 15.0
"""Bounds of the limit, doubled at each attempt, below which the pause before the next call is drawn evenly. The upper
one is a fleet's own choice.
"""

REBOOT_S = (5.0, 60.0)
"""How long a meter that restarts is silent."""


class Calls:
    """The calls to come of a fleet's meters, and those under way."""

    def __init__(self, link: Link, ramp_per_s: float, random: Random, retry_s_max: float = BACKOFF_S_MAX) -> None:
        self._link = link
        self._ramp_per_s = ramp_per_s
        self._retry_s_max = retry_s_max
        self._random = random
        self._tls = link.context()
        self._calls: list[tuple[float, int, Meter]] = []
        self._order = count()
        self._under_way: set[asyncio.Task[None]] = set()
        self._allowed = 0.0
        self.refused = 0
        self.trouble = ""

    def at(self, meter: Meter, when: float) -> None:
        """Let the meter call at that time of the loop, or soon after."""
        heapq.heappush(self._calls, (when, next(self._order), meter))

    def again(self, meter: Meter, now: float, error: Exception | None) -> None:
        """The meter could not connect, or was cut: it tries again."""
        meter.attempt += 1
        if isinstance(error, ConnectRefused):
            self.refused += 1
        if isinstance(error, ssl.SSLCertVerificationError):
            self.trouble = f"the server's certificate is not trusted: {error.verify_message}"
        elif error is not None:
            self.trouble = str(error) or type(error).__name__
        limit = min(self._retry_s_max, BACKOFF_S * 2 ** min(meter.attempt, 10))
        self.at(meter, now + self._random.uniform(0, limit))

    def after_restart(self, meter: Meter, now: float) -> None:
        """The meter was restarted: it is silent for a while."""
        self.at(meter, now + self._random.uniform(*REBOOT_S))

    def waiting(self, now: float) -> bool:
        """Whether a meter would call now if it were let."""
        return bool(self._calls) and self._calls[0][0] <= now

    def let(self, now: float, passed_s: float, base: Base, tasks: asyncio.TaskGroup) -> None:
        """Let as many call as `passed_s` seconds have earned them."""
        burst = max(1.0, self._ramp_per_s / 10)
        self._allowed = min(self._allowed + passed_s * self._ramp_per_s, burst)
        while self.waiting(now) and self._allowed >= 1 and len(self._under_way) < CONNECTING_MAX:
            meter = heapq.heappop(self._calls)[2]
            if meter.transport is not None:
                continue
            self._allowed -= 1
            task = tasks.create_task(self._connect(meter, base))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    def end(self) -> None:
        """Break off what is under way, and forget what is to come."""
        self._calls.clear()
        for task in self._under_way:
            task.cancel()

    async def _connect(self, meter: Meter, base: Base) -> None:
        loop, link = asyncio.get_running_loop(), self._link
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                await loop.create_connection(
                    lambda: MeterConnection(meter, base, loop), link.host, link.port, ssl=self._tls
                )
        except (OSError, TimeoutError) as error:
            self.again(meter, loop.time(), error)


class Restarts:
    """When the meters at `places` lose power, each every `mean_s` seconds on average, from `now` on; 0: never."""

    def __init__(self, mean_s: float, places: range, now: float, random: Random) -> None:
        self._mean_s = mean_s
        self._random = random
        self._queue = [(self._after(now), place) for place in places] if mean_s else []
        heapq.heapify(self._queue)

    def due(self, now: float) -> Iterator[int]:
        """Places of those whose time has come."""
        while self._queue and self._queue[0][0] <= now:
            place = self._queue[0][1]
            heapq.heapreplace(self._queue, (self._after(now), place))
            yield place

    def _after(self, now: float) -> float:
        return now + self._random.expovariate(1 / self._mean_s)

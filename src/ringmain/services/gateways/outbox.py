"""Outbox: which document is due for which gateway, and when. Changes that come together are one sending.

It keeps nothing: a gateway that is not there is told everything when it comes back. It must never hold up whoever
asks: `ask` only notes.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from ringmain.model.errors import Failed
from ringmain.model.ids import DeviceKey

log = logging.getLogger(__name__)

COALESCE_S = 0.2
"""Changes gather so long: a whole street that is delegated or suspended is one roster, and a person sees no delay."""

RETRY_S = 1.0
RETRY_S_MAX = 60.0
"""Where a gateway does not read, or a store does not answer: from the first to the second, doubling."""

Deliver = Callable[[DeviceKey, str, bool], Awaitable[bool]]
"""Send that document to that gateway, also where it has it already if the last argument says so. False: no room now."""


class _Due:
    __slots__ = ("at_s", "forced", "wait_s")

    def __init__(self, at_s: float, *, forced: bool, wait_s: float = RETRY_S) -> None:
        self.at_s = at_s
        self.forced = forced
        self.wait_s = wait_s


class Outbox:
    """What is due, over all gateways."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._due: dict[tuple[DeviceKey, str], _Due] = {}
        self._asked = asyncio.Event()

    def ask(self, gateway: DeviceKey, name: str, *, now: bool = False) -> None:
        """The document changed, or (`now`) somebody began to listen and needs it in any case."""
        at_s = asyncio.get_running_loop().time() + (0.0 if now else COALESCE_S)
        due = self._due.get((gateway, name))
        if due is None:
            self._due[gateway, name] = _Due(at_s, forced=now)
        else:
            due.at_s, due.forced = min(due.at_s, at_s), due.forced or now
        self._asked.set()

    async def run(self) -> None:
        """Deliver what is due, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._asked.clear()
            now_s = loop.time()
            for key in [key for key, due in self._due.items() if due.at_s <= now_s]:
                await self._try(key, self._due.pop(key))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min((due.at_s for due in self._due.values()), default=None)):
                    await self._asked.wait()

    async def _try(self, key: tuple[DeviceKey, str], due: _Due) -> None:
        gateway, name = key
        try:
            done = await self._deliver(gateway, name, due.forced)
        except Failed as failed:
            log.error("the %s of a gateway could not be sent, it is tried again: %s", name, failed.detail)
            done = False
        if done:
            return
        again = _Due(
            asyncio.get_running_loop().time() + due.wait_s, forced=due.forced, wait_s=min(2 * due.wait_s, RETRY_S_MAX)
        )
        newer = self._due.get(key)
        if newer is not None:
            again.at_s, again.forced = min(newer.at_s, again.at_s), newer.forced or again.forced
        self._due[key] = again

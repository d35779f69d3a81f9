"""The roster of a gateway, kept: whom it speaks for, also after a restart without an uplink.

Names are kept besides, for ever: what lies in the buffer of a device that is no longer delegated still has to be named
when it goes up. They are written before the roster that brings them, so that no reading can be taken of a device
without a name.

A platform that was restored from a backup gives numbers a second time: a version to another roster, which is told by
its content, and a key to another device. Then nobody of that key comes in until nothing is left that goes by the name
before.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable

import msgspec

from ringmain.model.errors import Failed
from ringmain.model.gateway import Roster
from ringmain.model.ids import DeviceId, DeviceKey, TenantId
from ringmain.ports.blobs import Blobs

log = logging.getLogger(__name__)

ROSTER, NAMES = "roster.json", "names.json"
RETRY_S = 1.0


class _Names(msgspec.Struct, frozen=True):
    ids: dict[DeviceKey, DeviceId]


class RosterKeeper:
    """Keeps the newest roster and every name. `take` is told of each roster once it is kept; `renaming` returns when
    nothing in the buffer needs the names any more with which it was taken.
    """

    def __init__(
        self,
        blobs: Blobs,
        tenant: TenantId,
        gateway: DeviceId,
        *,
        take: Callable[[Roster], None],
        renaming: Callable[[], Awaitable[None]],
    ) -> None:
        self._blobs = blobs
        self._tenant = tenant
        self._gateway = gateway
        self._take = take
        self._renaming = renaming
        self._digest = b""
        self._offered: bytes | None = None
        self._work = asyncio.Event()
        self.names: dict[DeviceKey, DeviceId] = {}
        self.version = 0

    async def load(self) -> None:
        """Read what is kept; `Failed` where it can not be read."""
        try:
            body = await self._blobs.get(NAMES)
            if body is not None:
                self.names = msgspec.json.decode(body, type=_Names).ids
            body = await self._blobs.get(ROSTER)
            if body is not None:
                roster = msgspec.json.decode(body, type=Roster)
                if not self._is_ours(roster):
                    raise Failed(
                        "storage_failed",
                        f"the kept roster is of gateway {roster.tenant}/{roster.gateway} and not of"
                        f" {self._tenant}/{self._gateway}; nothing was changed",
                        "put the identity of that gateway back, or remove the directory `documents`",
                    )
                self.version, self._digest = roster.version, _digest(body)
                self._take(roster)
        except msgspec.DecodeError as error:
            raise Failed(
                "storage_failed",
                f"the kept roster can not be read: {error}; nothing was changed",
                f"restore {NAMES} and {ROSTER} from a backup: what is buffered has no names without them",
            ) from error

    def offer(self, body: bytes) -> None:
        """A roster from the platform; the newest one wins. It is looked at by `run`."""
        self._offered = body
        self._work.set()

    async def run(self) -> None:
        """Take what is offered, until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            body, self._offered = self._offered, None
            try:
                if body is not None:
                    await self._accept(body)
            except Failed as failed:
                log.error("a roster could not be kept: %s; the one before stays in force", failed.detail)
                await asyncio.sleep(RETRY_S)
                self._again(body)

    def _again(self, body: bytes | None) -> None:
        """Try this one once more, unless a newer one came meanwhile."""
        if self._offered is None:
            self._offered = body
        self._work.set()

    async def _accept(self, body: bytes) -> None:
        try:
            roster = msgspec.json.decode(body, type=Roster)
        except msgspec.DecodeError as error:
            log.error("the platform's roster is not understood and was not taken: %s", error)
            return
        if not self._is_ours(roster):
            log.error("a roster of %s/%s was not taken: it is not of this gateway", roster.tenant, roster.gateway)
            return
        if _digest(body) == self._digest:
            return
        await self._part_with_former_names(roster)
        fresh = {entry.key: entry.id for entry in roster.entries if self.names.get(entry.key) != entry.id}
        if fresh:
            names = {**self.names, **fresh}
            await self._blobs.put(NAMES, msgspec.json.encode(_Names(names)))
            self.names = names
        await self._blobs.put(ROSTER, body)
        self.version, self._digest = roster.version, _digest(body)
        self._take(roster)

    async def _part_with_former_names(self, roster: Roster) -> None:
        """Where a key now stands for another device: the others go on, and that one has to wait."""
        known = tuple(entry for entry in roster.entries if self.names.get(entry.key, entry.id) == entry.id)
        if len(known) < len(roster.entries):
            log.warning("%d devices have the keys of others before them", len(roster.entries) - len(known))
            self._digest = b""  # what is in force now is none that was kept
            self._take(msgspec.structs.replace(roster, entries=known))
            await self._renaming()

    def _is_ours(self, roster: Roster) -> bool:
        return (roster.tenant, roster.gateway) == (self._tenant, self._gateway)


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()

"""Out of quarantine: a device became active, and what it said before then goes into the store, all of it."""

import asyncio
import logging
from collections.abc import Callable

from ringmain.apps.server.stores import Log
from ringmain.gateway.connections import Connections
from ringmain.gateway.intake import Intake
from ringmain.model.device import PERMISSIONS, Device, Principal, Telemetry
from ringmain.model.errors import Failed
from ringmain.model.ids import Offset
from ringmain.ports.directory import Directory
from ringmain.ports.registry import Registry
from ringmain.ports.timeseries import TimeSeries
from ringmain.services.aggregation.service import Aggregation
from ringmain.services.ingestion.service import Ingestion

log = logging.getLogger(__name__)

CATCH_UP_S = 600.0
"""For the store to take what a crash left in the log; longer only where it takes nothing at all, and that is said."""

RELEASE_AGAIN_S = 1.0
"""After an activation the last quarantined readings are still on their way through the log: look again so often."""


class Quarantine:
    """Releases readings, while the house is open."""

    def __init__(
        self,
        registry: Registry,
        directory: Directory,
        connections: Connections,
        intake: Intake,
        queue: Log,
        timeseries: TimeSeries,
        ingestion: Ingestion,
        aggregation: Aggregation,
        is_draining: Callable[[], bool],
    ) -> None:
        self._registry = registry
        self._directory = directory
        self._connections = connections
        self._intake = intake
        self._queue = queue
        self._timeseries = timeseries
        self._ingestion = ingestion
        self._aggregation = aggregation
        self._is_draining = is_draining

    async def release(self, device: Device) -> None:
        """A device became active: its connections write to the store from now on, and what waited follows. What lies
        in the log with its quarantine mark follows too: the last look comes when the store has passed all of that.
        """
        marked: Offset | None = None
        while not self._is_draining():
            try:
                if marked is None:
                    await self._reauthorise(device)
                    await self._intake.drain()
                    marked = self._queue.extent().last
                last_look = self._ingestion.stored >= marked
                if await self._timeseries.release(device.key):
                    self._aggregation.notice()
                if last_look:
                    return
            except Failed as failed:
                log.error("quarantined readings of a device stay where they are for now: %s", failed.detail)
            await asyncio.sleep(RELEASE_AGAIN_S)

    async def release_left_behind(self) -> None:
        """Fetch what is still in quarantine of devices that became active just before the last process ended."""
        await self._ingestion.caught_up(CATCH_UP_S)
        try:
            left_behind = await self._timeseries.quarantined()
        except Failed as failed:
            log.error("%s; quarantined readings stay where they are until the next start", failed.detail)
            return
        for key in left_behind:
            device = await self._registry.by_key(key)
            if device is not None and PERMISSIONS[device.state].telemetry is Telemetry.ACCEPTED:
                await self.release(device)

    async def _reauthorise(self, device: Device) -> None:
        profile = await self._directory.profile(device.tenant, device.profile)
        if profile is not None:
            for connection in self._connections.of(device.key):
                connection.reauthorise(Principal(device, profile))

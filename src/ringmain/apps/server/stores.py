"""The stores of a platform: which home each port has, opened in the order of dependence and closed in the reverse one.

`House` takes them and knows no home, so that the same house stands on the embedded homes of a data directory and on
simulated ones.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Protocol

import msgspec

from ringmain.adapters.embedded.claims import Claims as EmbeddedClaims
from ringmain.adapters.embedded.credentials import Credentials as EmbeddedCredentials
from ringmain.adapters.embedded.database import Database
from ringmain.adapters.embedded.delegations import Delegations as EmbeddedDelegations
from ringmain.adapters.embedded.directory import Directory as EmbeddedDirectory
from ringmain.adapters.embedded.gateway_documents import GatewayDocuments as EmbeddedGatewayDocuments
from ringmain.adapters.embedded.ledger import Ledger as EmbeddedLedger
from ringmain.adapters.embedded.presence import Presence as EmbeddedPresence
from ringmain.adapters.embedded.queue import EmbeddedQueue
from ringmain.adapters.embedded.registry import Registry as EmbeddedRegistry
from ringmain.adapters.embedded.timeseries import open_timeseries
from ringmain.apps.config import Config
from ringmain.apps.server.zones import Zones
from ringmain.model.errors import Failed
from ringmain.ports.claims import Claims
from ringmain.ports.clock import Clock
from ringmain.ports.credentials import Credentials
from ringmain.ports.delegations import Delegations
from ringmain.ports.directory import Directory
from ringmain.ports.gateway_documents import GatewayDocuments
from ringmain.ports.ledger import Ledger
from ringmain.ports.load import Load
from ringmain.ports.outcomes import Outcomes
from ringmain.ports.presence import Presence
from ringmain.ports.queue import Queue, QueueStatus
from ringmain.ports.registry import Registry
from ringmain.ports.timeseries import TimeSeries
from ringmain.ports.windows import Windows
from ringmain.services.aggregation.windows import SitePlan

MAINTAINED_SIZES = ("1h", "day")
"""Windows that are kept with their revisions; any other size is computed when it is asked for."""

STORE_THREADS = 1
"""DuckDB's own threads: on two cores the second one takes from the event loop what it gives to the store."""


class Log(Queue, Protocol):
    """The ingest log, with its extent for those who can not wait."""

    def extent(self) -> QueueStatus:
        """As `status`."""
        ...


class Store(TimeSeries, Protocol):
    """The time-series store: one home of four ports over the same readings."""

    @property
    def outcomes(self) -> Outcomes:
        """The books over the same readings."""
        ...

    @property
    def windows(self) -> Windows:
        """The windows over the same readings."""
        ...

    @property
    def load(self) -> Load:
        """Sums over the same readings."""
        ...


class Stores(msgspec.Struct, frozen=True):
    """One home of each port, open. `zones` is what the windows of `timeseries` are cut by; `fault` tells what put the
    registry in doubt. `closing` holds what is to be closed, the youngest first.
    """

    registry: Registry
    directory: Directory
    credentials: Credentials
    claims: Claims
    delegations: Delegations
    gateway_documents: GatewayDocuments
    ledger: Ledger
    presence: Presence
    queue: Log
    timeseries: Store
    zones: Zones
    fault: Callable[[], Failed | None]
    closing: AsyncExitStack

    async def close(self) -> None:
        """Release every file, in the reverse order of the opening."""
        await self.closing.aclose()


async def open_stores(config: Config, clock: Clock) -> Stores:
    """The embedded homes in the data directory. `Failed` where one of them does not open; the others are closed."""
    storage = config.storage_dir
    async with AsyncExitStack() as closing:
        database = await Database.open(storage / "registry.sqlite")
        closing.push_async_callback(database.close)
        registry, directory = EmbeddedRegistry(database), EmbeddedDirectory(database)
        credentials = EmbeddedCredentials(database)
        zones = Zones(directory, registry, config.site.zone)
        queue = await EmbeddedQueue.open(
            storage / "log.sqlite",
            limit_bytes=config.storage.log_limit_mib << 20,
            synchronous=config.storage.synchronous,
        )
        closing.push_async_callback(queue.close)
        timeseries = await open_timeseries(
            storage,
            SitePlan(MAINTAINED_SIZES, zones.of),
            clock,
            memory_mib=config.storage.memory_mib,
            threads=STORE_THREADS,
        )
        closing.push_async_callback(timeseries.close)
        return Stores(
            registry=registry,
            directory=directory,
            credentials=credentials,
            claims=EmbeddedClaims(database, registry, credentials),
            delegations=EmbeddedDelegations(database),
            gateway_documents=EmbeddedGatewayDocuments(database),
            ledger=EmbeddedLedger(database),
            presence=EmbeddedPresence(database),
            queue=queue,
            timeseries=timeseries,
            zones=zones,
            fault=lambda: database.fault,
            closing=closing.pop_all(),
        )

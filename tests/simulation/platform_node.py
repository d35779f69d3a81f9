"""The platform of the world: the house of `ringmain up`, whole, on simulated homes; and how it is looked into."""

import asyncio
import contextlib
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from tests.simulation.durable import Durable, Store
from tests.simulation.lifetime import Lifetime
from tests.simulation.oracle import require

from ringmain.adapters.simulated.claims import Claims
from ringmain.adapters.simulated.credentials import Credentials
from ringmain.adapters.simulated.delegations import Delegations
from ringmain.adapters.simulated.directory import Directory
from ringmain.adapters.simulated.gateway_documents import GatewayDocuments
from ringmain.adapters.simulated.ledger import Ledger
from ringmain.adapters.simulated.presence import Presence
from ringmain.adapters.simulated.queue import SimulatedQueue
from ringmain.adapters.simulated.registry import Registry
from ringmain.adapters.simulated.timeseries import SimulatedTimeSeries
from ringmain.apps.config import Config
from ringmain.apps.server.certificates import Pair
from ringmain.apps.server.compose import House
from ringmain.apps.server.identity import Identity
from ringmain.apps.server.stores import MAINTAINED_SIZES, Stores
from ringmain.apps.server.zones import Zones
from ringmain.metering.installation import Account, Installation, Installations, UsagePoint
from ringmain.metering.tariff_file import read_tariff
from ringmain.model.device import LifecycleState
from ringmain.model.errors import Failed
from ringmain.model.gateway import GatewaySettings
from ringmain.model.ids import DEFAULT_TENANT, DeviceId
from ringmain.model.time import Instant, Interval
from ringmain.ports.registry import NewDevice
from ringmain.services.aggregation.windows import SitePlan

NAME, PORT = "platform", 1883
IDENTITY = Identity(
    ca_path=Path("ca"),
    cert_path=Path("cert"),
    key_path=Path("key"),
    admin_token_path=Path("token"),
    pepper=b"p" * 32,
    ca=Pair(b"", b""),
    admin_token="rma_simulation",
    cert_expires_ms=Instant(0),
    created=False,
)
TARIFF = b'id = "flat"\nname = "Flat"\ncurrency = "GBP"\n[[versions]]\nvalid_from = 2025-01-01\nprice = "0.14228"\n'
BILLED = (date(2026, 1, 1), date(2026, 3, 1))
ALWAYS = Interval(Instant(0), Instant(4_000_000_000_000))

CHANGES = frozenset(
    (
        "add",
        "add_tenant",
        "put_site",
        "put_profile",
        "grant",
        "replace",
        "revoke_device",
        "revoke",
        "move",
        "open",
        "redeem",
        "put",
        "end",
        "add_bill",
        "save",
        "new_epoch_block",
    )
)
"""Calls of the relational homes that are transactions."""


async def open_stores(mount, clock, *, lazy_store: bool) -> Stores:
    """Simulated homes in three files. A `lazy_store` syncs what it took only when it is folded, which is all that the
    port promises.
    """
    directory = Directory()
    credentials = Credentials(directory)
    registry = Registry(directory, credentials)
    homes = {
        "directory": directory,
        "credentials": credentials,
        "registry": registry,
        "claims": Claims(registry, credentials),
        "delegations": Delegations(registry),
        "gateway_documents": GatewayDocuments(registry),
        "ledger": Ledger(),
        "presence": Presence(),
    }
    database = Store(mount, "registry", homes)
    known = {name: Durable(database, name, dict.fromkeys(CHANGES, True)) for name in homes}
    zones = Zones(known["directory"], known["registry"], "UTC")
    log = Store(mount, "log", {"queue": SimulatedQueue()})
    series = SimulatedTimeSeries(SitePlan(MAINTAINED_SIZES, zones.of), clock)
    store = Store(mount, "store", {"series": series, "windows": series.windows, "outcomes": series.outcomes})
    timeseries = Durable(store, "series", {"append": not lazy_store, "release": True, "checkpoint": True})
    timeseries.windows = Durable(store, "windows", {"settle": not lazy_store})
    timeseries.outcomes = Durable(store, "outcomes", {})
    queue = DurableLog(log, "queue", dict.fromkeys(("append", "acknowledge", "cut"), True), ("wait",))
    for each in (database, log, store):
        await each.open()
    return Stores(
        **{name: home for name, home in known.items() if name in Stores.__struct_fields__},
        queue=queue,
        timeseries=timeseries,
        zones=zones,
        fault=lambda: database.fault,
        closing=AsyncExitStack(),
    )


class DurableLog(Durable):
    """As the embedded one: a cursor that stands there already is not written again."""

    async def acknowledge(self, group, offset) -> None:
        if offset > self._inner.extent().groups.get(group, -1):
            await self._store.change(self._home, "acknowledge", (group, offset), {}, synced=True)


class Platform(Lifetime):
    """The program of the platform's node."""

    def __init__(self, world, *, lazy_store: bool):
        super().__init__(world, NAME)
        self._lazy_store = lazy_store

    async def open(self, mount) -> House:
        stores = await open_stores(mount, self.node.clock, lazy_store=self._lazy_store)
        return await House(Config(), IDENTITY, stores, self.node.clock).open(IDENTITY)

    async def serve(self, house: House, tasks: asyncio.TaskGroup):
        running = [tasks.create_task(work, name=name) for name, work in house.work()]
        door = house.mqtt_door(tasks)
        running.append(tasks.create_task(house.quarantine.release_left_behind(), name="left-behind"))
        return running, door, await asyncio.get_running_loop().create_server(door.protocol, port=PORT)

    @property
    def is_sound(self) -> bool:
        return super().is_sound and self.house.stores.fault() is None

    # -- what an operator does ------------------------------------------------------------------------------

    async def furnish(
        self, meters, *, quarantined: str | None, edge: tuple[str, str] | None, behind: list[str]
    ) -> None:
        """Devices, documents and tariff, before the first meter comes."""
        house = self.house
        rows = "".join(f"{it.name},meter,{it.token}\n" for it in meters if it.name != quarantined)
        await house.lifecycle.import_csv(DEFAULT_TENANT, "id,profile,token\n" + rows)
        if quarantined:
            token = next(it.token for it in meters if it.name == quarantined)
            await house.lifecycle.register(DEFAULT_TENANT, NewDevice(id=DeviceId(quarantined), profile="meter"))
            await house.lifecycle.provision(DEFAULT_TENANT, DeviceId(quarantined), token)
        if edge:
            await house.lifecycle.import_csv(DEFAULT_TENANT, f"id,profile,token\n{edge[0]},gateway,{edge[1]}\n")
            gateway = await house.registry.device(DEFAULT_TENANT, DeviceId(edge[0]))
            await house.gateways.service.delegate(gateway, behind)
        documents = house.metering.documents
        await documents.put_tariff(DEFAULT_TENANT, read_tariff(TARIFF, "flat.toml"))
        for it in meters:
            point = f"home-{it.name}"
            link = Installation(device=it.name, channel="energy_wh", from_=datetime(2025, 1, 1, tzinfo=UTC))
            await documents.put_usage_point(DEFAULT_TENANT, UsagePoint(id=point, site="main"))
            await documents.put_installations(DEFAULT_TENANT, Installations(usage_point=point, links=(link,)))
            await documents.put_account(DEFAULT_TENANT, Account(id=it.name, usage_point=point, tariff="flat"))

    async def activate(self, house: House, name: str) -> bool:
        """Make a provisioned device active; whether it is."""
        device = await house.registry.device(DEFAULT_TENANT, DeviceId(name))
        if device.state is LifecycleState.PROVISIONED:
            device = await house.lifecycle.activate(DEFAULT_TENANT, DeviceId(name))
        return device.state is LifecycleState.ACTIVE

    async def put_settings(self, edge: str, settings: GatewaySettings) -> None:
        house = self.house
        with contextlib.suppress(Failed):  # a registry whose sync failed answers the operator so, and starts anew
            gateway = await house.registry.device(DEFAULT_TENANT, DeviceId(edge))
            await house.gateways.service.put_settings(gateway, settings)

    # -- what must be true ----------------------------------------------------------------------------------

    async def key_of(self, name: str):
        return (await self.house.registry.device(DEFAULT_TENANT, DeviceId(name))).key

    async def check_all(self, oracle, meters) -> None:
        """Stored once, billed once, in every book."""
        house = self.house
        require(await house.ingestion.caught_up(60), "the store does not catch up with the log")
        pending = await house.timeseries.windows.pending()
        for name in meters:
            device = await house.registry.device(DEFAULT_TENANT, DeviceId(name))
            stored = await self._stored(device)
            oracle.check_stored(name, stored)
            await self._check_books(oracle, name, device, stored)
            await self._check_windows(oracle, name, device, stored, pending)
            await self._check_bill(oracle, name)

    async def _stored(self, device) -> dict[int, int]:
        found = await self.house.timeseries.readings(device.key, "energy_wh", ALWAYS, after=None, limit=100_000)
        return {reading.at_ms: reading.value for reading in found}

    async def _check_books(self, oracle, name, device, stored) -> None:
        tallies = {it.outcome: it.count for it in await self.house.timeseries.outcomes.tally([device.key])}
        received = tallies.pop("received", 0)
        require(received == sum(tallies.values()), f"{name}: received {received}, but {tallies}")
        require(tallies.get("stored", 0) == len(stored), f"{name}: {len(stored)} readings are stored as {tallies}")
        oracle.duplicates += tallies.get("duplicate", 0)
        strange = {outcome for outcome, count in tallies.items() if count} - {"stored", "duplicate"}
        require(not strange, f"{name}: {tallies}")

    async def _check_windows(self, oracle, name, device, stored, pending) -> None:
        found = await self.house.timeseries.windows.revisions(device.key, "energy_wh", "1h", ALWAYS)
        hours = {it.key.start_ms: it.aggregate.sum for it in found}
        marked = {it.start_ms for it in pending if it.device == device.key and it.size == "1h"}
        oracle.check_windows(name, stored, hours, marked)

    async def _check_bill(self, oracle, name) -> None:
        """The bill as it is issued, twice: it is the same one, and its energy is what was acknowledged."""
        house = self.house
        bill = await house.metering.billing.preview(DEFAULT_TENANT, name, *BILLED)
        first = await house.metering.billing.issue(DEFAULT_TENANT, name, *BILLED)
        second = await house.metering.billing.issue(DEFAULT_TENANT, name, *BILLED)
        require(first == second and first.body == bill.body, f"{name}: two bills of the same readings differ")
        owed = Decimal(oracle.energy_wh(name)) / 1000
        require(bill.energy_kwh == owed, f"{name}: billed {bill.energy_kwh} kWh, acknowledged {owed} kWh")
        require(bill.intervals == len(oracle.acked.get(name, {})), f"{name}: billed {bill.intervals} intervals")
        require(not (bill.coverage.extra or bill.coverage.merged or bill.coverage.refused), f"{name}: {bill.coverage}")

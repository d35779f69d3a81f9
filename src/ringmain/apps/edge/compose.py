"""The composition of the edge gateway: the platform's rooms, with a buffer and an uplink where it has its stores.

`EdgeHouse` takes its homes and its clock, so that the same gateway stands on a data directory and in the simulation.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from random import Random

import msgspec

from ringmain.adapters.embedded.uplink import MqttUplink
from ringmain.adapters.embedded.uplink_target import Target
from ringmain.apps.edge.aggregate import EdgeAggregation
from ringmain.apps.edge.books import EdgeBooks
from ringmain.apps.edge.claims import PassedOn
from ringmain.apps.edge.membership import Membership
from ringmain.apps.edge.parting import part_with_names
from ringmain.apps.edge.reports import Looked, Reports
from ringmain.gateway.announced import Announcements
from ringmain.gateway.broker.service import Broker
from ringmain.gateway.connections import Connections
from ringmain.gateway.delegated import Delegates
from ringmain.gateway.intake import Committed, Intake, Unrecorded
from ringmain.gateway.mqtt import DeviceWills, MqttDoor
from ringmain.gateway.pipeline import Pipeline
from ringmain.gateway.translate.telemetry import TelemetryTranslator
from ringmain.model.device import Principal
from ringmain.model.errors import Failed, Refused
from ringmain.model.gateway import GatewaySettings, Roster
from ringmain.model.ids import DeviceKey
from ringmain.ports.blobs import Blobs
from ringmain.ports.buffer import Buffer
from ringmain.ports.clock import Clock
from ringmain.ports.presence import Presence
from ringmain.protocols.mqtt.events import Limits
from ringmain.services.forwarding.keeping import Keeper
from ringmain.services.forwarding.roster import RosterKeeper
from ringmain.services.forwarding.service import Forwarding
from ringmain.services.forwarding.settings import SettingsKeeper
from ringmain.services.sessions.service import Sessions

log = logging.getLogger(__name__)

LISTENS = ("settings", "roster", "claims/answers")
CONNECTIONS_MAX = 4_096
"""Local meters at a time; a data concentrator of a large block serves some 2,000."""

Dial = Callable[[GatewaySettings], Target]
"""Where the uplink goes under these settings, and with which keys."""


class EdgeStores(msgspec.Struct, frozen=True):
    """One home of each port. `limits` tells the buffer how large it may grow."""

    buffer: Buffer
    blobs: Blobs
    presence: Presence
    limits: Callable[[GatewaySettings], None]


class EdgeHouse:
    """The gateway without its listeners."""

    def __init__(
        self, membership: Membership, stores: EdgeStores, clock: Clock, rng: Random, dial: Dial, limits: Limits
    ) -> None:
        self.membership = membership
        self.stores = stores
        self.clock = clock
        self.broken = asyncio.Event()
        self._mqtt_limits = limits
        self.books = EdgeBooks(stores.blobs)
        self.connections = Connections()
        self.delegates = Delegates(clock.now_ms)
        self.settings = SettingsKeeper(stores.blobs, clock, self._apply)
        self.roster = RosterKeeper(
            stores.blobs, membership.tenant, membership.device, take=self._take_roster, renaming=self._part
        )
        self.uplink = MqttUplink(
            lambda: dial(self.settings.settings),
            f"devices/{membership.device}/",
            LISTENS,
            listener=self._heard,
            on_change=self._uplink_changed,
            rng=rng,
        )
        self.claims = PassedOn(self.uplink)
        self.forwarding = Forwarding(
            stores.buffer, self.uplink, clock, lambda: self.roster.names, self.settings.settings
        )
        self.keeper = Keeper(
            stores.buffer,
            self.uplink,
            clock,
            self.forwarding.lanes,
            self.settings.settings,
            free=self.forwarding.free,
            gathering=self.forwarding.gathering,
            notice=self.forwarding.notice,
        )
        self.intake = Intake(
            Unrecorded(stores.buffer),
            clock,
            self._committed,
            self._buffer_broken,
            lambda: self.settings.settings.commit_every_ms / 1000,
        )
        self.broker = Broker(self.intake, clock)
        self.sessions = Sessions(stores.presence, clock)
        self.pipeline = Pipeline(
            self.intake,
            TelemetryTranslator(),
            self.connections,
            tree=False,
            on_admitted=lambda _: None,
            on_status=Announcements(self.sessions, clock).said,
            on_received=self.books.received,
        )
        self.aggregation = EdgeAggregation(self.pipeline, self.delegates, clock)
        self.reports = Reports(
            Looked(
                clock,
                stores.buffer,
                self.uplink,
                self.forwarding,
                self.settings,
                self.roster,
                self.delegates,
                self.sessions,
                self.books,
            )
        )

    async def open(self) -> "EdgeHouse":
        """Read what is kept. `Failed` where something is missing without which readings could be lost."""
        await self.settings.load()
        await self.roster.load()
        await self.books.load()
        status = self.stores.buffer.status()
        if status.readings > status.sealed_readings and not self.roster.names:
            raise Failed(
                "storage_failed",
                f"{status.readings - status.sealed_readings} buffered readings have no names: names.json is missing;"
                " nothing was changed",
                "restore names.json from a backup",
            )
        self._use(self.settings.settings)
        await self.sessions.start()
        return self

    def work(self) -> Sequence[tuple[str, Coroutine[None, None, None]]]:
        """What runs as long as the gateway does, each in a task of its own."""
        return (
            ("intake", self.intake.run()),
            ("intake-probe", self.intake.probe()),
            ("uplink", self.uplink.run()),
            ("forwarding", self.forwarding.run()),
            ("keeper", self.keeper.run()),
            ("settings", self.settings.run()),
            ("roster", self.roster.run()),
            ("sessions", self.sessions.run()),
            ("books", self.books.run()),
            ("windows", self.aggregation.run()),
            ("reports", self.reports.run()),
        )

    def mqtt_door(self, tasks: asyncio.TaskGroup) -> MqttDoor:
        """The door of the local meters; its sign-ins run in `tasks`."""
        self.broker.on_will = DeviceWills(self.pipeline, self.broker, _nobody, tasks).take
        return MqttDoor(
            authenticator=self.delegates,
            provisioner=self.claims,
            pipeline=self.pipeline,
            connections=self.connections,
            sessions=self.sessions,
            broker=self.broker,
            clock=self.clock,
            tasks=tasks,
            limits=self._mqtt_limits,
            connections_max=CONNECTIONS_MAX,
            on_closed=lambda _: None,
            on_refused=self.books.refused,
            on_dropped=self.books.dropped,
        )

    async def close(self) -> None:
        """Make durable what was accepted, and seal it: sealed rows need no names, whoever opens the buffer next."""
        await self.intake.drain()
        await self.keeper.close()
        try:
            await self.books.keep()
        except Failed as failed:
            log.error("%s; refusals since the last entry into the books are not counted", failed.detail)
        await self.sessions.flush()

    # -- news between the rooms -----------------------------------------------------------------------------

    def _heard(self, name: str, payload: bytes) -> None:
        """The platform said something."""
        if name == "settings":
            self.settings.offer(payload)
        elif name == "roster":
            self.roster.offer(payload)
        elif name == "claims/answers":
            self.claims.answered(payload)

    def _apply(self, settings: GatewaySettings) -> None:
        """Other settings are in force, whole; the uplink shows whether they are good."""
        self._use(settings)
        self.uplink.reconnect()

    def _use(self, settings: GatewaySettings) -> None:
        self.forwarding.settings = self.keeper.settings = settings
        self.stores.limits(settings)
        self.aggregation.use(settings.windows)

    def _take_roster(self, roster: Roster) -> None:
        """Another roster is in force: who may no longer be here is cut, who may stay goes on as what it is now."""
        for key in self.delegates.take(roster):
            self.connections.changed(key)
            self.connections.cut(key, Refused("not_authorized", "this gateway no longer speaks for the device"))
        for key in self.connections.devices():
            principal = self.delegates.principal(key)
            if principal:
                for connection in self.connections.of(key):
                    connection.reauthorise(principal)
        self.reports.due()

    async def _part(self) -> None:
        await part_with_names(self.intake, self.stores.buffer, self.keeper, self.aggregation)

    def _uplink_changed(self) -> None:
        self.reports.uplink_changed()
        if self.uplink.is_up:
            log.info("the uplink is up")
            self.settings.connected()
        else:
            log.warning("the uplink is down: %s", self.uplink.trouble)
        self.forwarding.notice()

    def _buffer_broken(self, failed: Failed) -> None:
        log.critical("%s; nothing more is acknowledged, starting anew", failed.detail)
        self.broken.set()

    def _committed(self, news: Committed) -> None:
        self.books.committed(news)
        self.aggregation.committed(news.batch)


async def _nobody(_: DeviceKey) -> Principal | None:
    """Whose will it is that comes after its connection: none is put off here, for no session outlives its own."""
    return None

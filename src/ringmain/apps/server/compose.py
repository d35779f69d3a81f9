"""The composition of the platform: every room, wired once. Nothing else knows them all.

`House` owns what lives as long as the process. It takes its stores open and its clock as they are given, and closes
the stores with itself.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Self

from ringmain import __version__
from ringmain.apps.config import Config
from ringmain.apps.observe import Metrics, new_metrics
from ringmain.apps.server.announced import AnnouncedRegistry
from ringmain.apps.server.api.context import Context
from ringmain.apps.server.books import Books
from ringmain.apps.server.changes import Changes
from ringmain.apps.server.client_certificates import Issuer
from ringmain.apps.server.first_tenant import first_tenant
from ringmain.apps.server.front import Front
from ringmain.apps.server.gateways import GatewayRooms
from ringmain.apps.server.identity import Identity
from ringmain.apps.server.metering_rooms import MeteringRooms
from ringmain.apps.server.provisioning import ClaimDesk
from ringmain.apps.server.quarantine import Quarantine
from ringmain.apps.server.replay import Replay
from ringmain.apps.server.stores import MAINTAINED_SIZES, Stores
from ringmain.apps.server.tls import ServerTls
from ringmain.gateway.announced import Announcements
from ringmain.gateway.connections import Connections
from ringmain.gateway.mqtt import MqttDoor
from ringmain.model.device import Device
from ringmain.model.errors import Failed
from ringmain.model.ids import Offset
from ringmain.ports.clock import Clock
from ringmain.ports.timeseries import Appended
from ringmain.services.aggregation.service import Aggregation
from ringmain.services.ingestion.service import Ingestion
from ringmain.services.lifecycle.certificates import Certificates
from ringmain.services.lifecycle.claims import Claims, OnRedeemed
from ringmain.services.lifecycle.service import Lifecycle
from ringmain.services.lifecycle.tokens import TokenDigest
from ringmain.services.sessions.service import Sessions

log = logging.getLogger(__name__)

FAULT_LOOK_S = 0.5


class House:
    """The platform without its listeners."""

    def __init__(
        self, config: Config, identity: Identity, stores: Stores, clock: Clock, tls: ServerTls | None = None
    ) -> None:
        self.config = config
        self.clock = clock
        self.stores = stores
        self.registry = AnnouncedRegistry(stores.registry, lambda devices: self.changes.devices_made(devices))  # noqa: PLW0108 - made later
        self.directory = stores.directory
        self.credentials = stores.credentials
        self.ledger = stores.ledger
        self.queue = stores.queue
        self.timeseries = stores.timeseries
        self.zones = stores.zones
        self.metrics: Metrics = new_metrics()
        self.books = Books(self.metrics)
        self.connections = Connections()
        self.tokens = TokenDigest(identity.pepper)
        self.issue = Issuer(identity.ca)
        self.tls = tls
        self.on_redeemed: list[OnRedeemed] = []
        self.started_s = self.clock.monotonic_s()
        self.broken: asyncio.Event = asyncio.Event()
        self.draining = False

    async def open(self, identity: Identity) -> Self:
        """Wire the rooms and let them find out where they were."""
        digest = self.tokens.of(identity.admin_token)
        await first_tenant(self.stores, digest, self.config.site.zone, self.clock.now_ms())
        self._wire_services()
        self.gateways = GatewayRooms(
            self.stores, self.connections, self.sessions, self.clock, self.tokens, identity.pepper
        )
        self.on_redeemed.append(self.gateways.service.redeemed)
        self._wire_front()
        self._wire_news()
        await self.front.load()
        await self.zones.load(self.gateways.service.know)
        await self.gateways.service.start()
        await self.sessions.start()
        await self.ingestion.start()
        return self

    def _wire_services(self) -> None:
        self.sessions = Sessions(self.stores.presence, self.clock)
        self.aggregation = Aggregation(self.timeseries.windows, self.clock)
        self.ingestion = Ingestion(
            self.queue,
            self.timeseries,
            self.clock,
            retain_bytes=self.config.storage.log_retain_mib << 20,
            on_appended=self._appended,
        )
        self.lifecycle = Lifecycle(
            self.registry,
            self.directory,
            self.credentials,
            self.clock,
            self.tokens,
            [lambda device, before: self.changes.device_changed(device, before)],  # noqa: PLW0108 - made later
        )
        self.claims = Claims(
            self.lifecycle,
            self.registry,
            self.stores.claims,
            self.clock,
            self.tokens,
            self.issue,
            self.on_redeemed,
        )
        self.certificates = Certificates(
            self.lifecycle, self.registry, self.credentials, self.clock, self.tokens, self.issue
        )
        self.metering = MeteringRooms(self.stores, self.registry, self.ingestion, self.clock)

    def _wire_front(self) -> None:
        anchors = self.tls.anchors if self.tls else lambda: self.issue.ca_pem
        self.claim_desk = ClaimDesk(self.claims, self.connections, anchors)
        self.front = Front(
            self.config,
            self.stores,
            self.registry,
            self.gateways,
            self.connections,
            self.sessions,
            self.books,
            self.tokens,
            self.claim_desk,
            self.clock,
            self.tls,
            on_log_broken=self._log_broken,
            on_status=Announcements(self.sessions, self.clock).said,
            on_admitted=self.zones.note,
        )
        self.intake, self.pipeline, self.telemetry = self.front.intake, self.front.pipeline, self.front.telemetry
        self.broker, self.authenticator = self.front.broker, self.front.authenticator
        self.replay = Replay(self.registry, self.directory, self.pipeline, self.telemetry)

    def _wire_news(self) -> None:
        self.quarantine = Quarantine(
            self.registry,
            self.directory,
            self.connections,
            self.intake,
            self.queue,
            self.timeseries,
            self.ingestion,
            self.aggregation,
            lambda: self.draining,
        )
        self.changes = Changes(
            self.connections,
            self.zones,
            self.gateways.service,
            self.broker,
            self._activated,
        )
        if self.tls:
            self.tls.on_revoked = self.changes.certificates_revoked

    def work(self) -> Sequence[tuple[str, Coroutine[None, None, None]]]:
        """What runs as long as the house is open, by name."""
        return (
            *self.front.work(),
            ("ingestion", self.ingestion.run()),
            ("sessions", self.sessions.run()),
            ("aggregation", self.aggregation.run()),
            ("zones", self.zones.run()),
            ("gateways", self.gateways.service.run()),
            ("watch", self.watch()),
        )

    def mqtt_door(self, tasks: asyncio.TaskGroup) -> MqttDoor:
        """The MQTT door; its sign-ins, and what follows an activation, run in `tasks`."""
        self._tasks = tasks
        return self.front.mqtt_door(tasks)

    def context(self, addresses: Sequence[tuple[str, str]]) -> Context:
        """What the HTTP API may touch."""
        return Context(
            registry=self.registry,
            directory=self.directory,
            credentials=self.credentials,
            timeseries=self.metering.timeseries,
            outcomes=self.metering.outcomes,
            windows=self.metering.windows,
            ledger=self.ledger,
            clock=self.clock,
            tokens=self.tokens,
            lifecycle=self.lifecycle,
            claims=self.claims,
            certificates=self.certificates,
            claim_answer=self.claim_desk.answer,
            sessions=self.sessions,
            gateways=self.gateways.service,
            documents=self.metering.documents,
            billing=self.metering.billing,
            analytics=self.metering.analytics,
            street=self.metering.street,
            queue_status=self.queue.status,
            readiness=self.reasons_not_ready,
            metrics=self.render_metrics,
            version=__version__,
            started_monotonic_s=self.started_s,
            maintained_sizes=MAINTAINED_SIZES,
            replay=self.replay,
            telemetry=self.telemetry,
            tls_reload=self.tls.reload if self.tls else None,
            addresses=tuple(addresses),
        )

    async def close(self) -> None:
        """Make durable what was accepted, store it, and release every file."""
        self.draining = True
        self.front.goodbye()
        await self.intake.drain()
        try:
            await self.ingestion.finish()
        except Failed as failed:
            log.error("%s; the log keeps what the store has not taken", failed.detail)
        await self.sessions.flush()
        try:
            await self.gateways.service.documents.flush()
        except Failed as failed:
            log.error("%s; the last reports of gateways are those written before", failed.detail)
        await self.stores.close()

    # -- news between the rooms -----------------------------------------------------------------------------

    def _appended(self, news: Appended, _: Offset) -> None:
        self.books.appended(news)
        self.aggregation.notice(news)

    def _activated(self, device: Device) -> None:
        self._tasks.create_task(self.quarantine.release(device))

    def _log_broken(self, failed: Failed) -> None:
        log.critical("%s; nothing more is acknowledged, starting anew", failed.detail)
        self.broken.set()

    async def watch(self) -> None:
        """A registry whose state on disk is not known ends the process as a broken log does."""
        while (fault := self.stores.fault()) is None:  # noqa: ASYNC110 - it is set in the store's own thread
            await asyncio.sleep(FAULT_LOOK_S)
        log.critical("the registry is broken: %s; starting anew", fault.detail)
        self.broken.set()

    # -- how it is ------------------------------------------------------------------------------------------

    def reasons_not_ready(self) -> Sequence[str]:
        """Empty when readings are taken and stored."""
        reasons = ["shutting down"] if self.draining else []
        reasons += [failed.detail for failed in (self.intake.trouble, self.ingestion.trouble) if failed]
        return reasons

    def render_metrics(self) -> bytes:
        """The text of a scrape."""
        status = self.queue.extent()
        self.books.look(
            self.connections, self.sessions, status.bytes, status.limit_bytes, status.last, self.ingestion.stored
        )
        return self.metrics.render()

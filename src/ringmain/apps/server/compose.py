"""The composition of the platform: every room, wired once. Nothing else knows them all.

`House` owns what lives as long as the process. It takes its stores open and its clock as they are given, and closes
the stores with itself.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, Self

import msgspec

from ringmain import __version__
from ringmain.apps.config import Config
from ringmain.apps.observe import Metrics, new_metrics
from ringmain.apps.server.announced import AnnouncedRegistry
from ringmain.apps.server.api.context import Context
from ringmain.apps.server.api.context import Intake as Replayed
from ringmain.apps.server.books import Books
from ringmain.apps.server.client_certificates import Issuer
from ringmain.apps.server.fresh import (
    BILL_WAIT_S,
    QUERY_WAIT_S,
    FreshLoad,
    Freshness,
    FreshOutcomes,
    FreshTimeSeries,
    FreshWindows,
)
from ringmain.apps.server.front import Front
from ringmain.apps.server.gateways import GatewayRooms
from ringmain.apps.server.identity import Identity
from ringmain.apps.server.provisioning import ClaimDesk
from ringmain.apps.server.stores import MAINTAINED_SIZES, Stores
from ringmain.apps.server.tls import ServerTls
from ringmain.gateway.broker.access import DEVICE
from ringmain.gateway.connections import Connections
from ringmain.gateway.http import TELEMETRY
from ringmain.gateway.mqtt import MqttDoor
from ringmain.gateway.mqtt_connection import MqttConnection
from ringmain.gateway.route import Purpose
from ringmain.metering.analytics import Analytics
from ringmain.metering.billing import Billing
from ringmain.metering.documents import Documents
from ringmain.metering.street import Street
from ringmain.model.device import PERMISSIONS, Device, LifecycleState, Principal, Telemetry
from ringmain.model.errors import Failed, Refused
from ringmain.model.ids import DEFAULT_TENANT, DeviceKey, Offset
from ringmain.model.site import Site
from ringmain.ports.clock import Clock
from ringmain.ports.credentials import Holder, Role
from ringmain.ports.outcomes import StoredDeadLetter
from ringmain.ports.timeseries import Appended
from ringmain.services.aggregation.service import Aggregation
from ringmain.services.ingestion.service import Ingestion
from ringmain.services.lifecycle.certificates import Certificates
from ringmain.services.lifecycle.claims import Claims, OnRedeemed
from ringmain.services.lifecycle.service import Lifecycle
from ringmain.services.lifecycle.tokens import TokenDigest
from ringmain.services.sessions.service import Sessions
from ringmain.transports.stream import StreamDriver

log = logging.getLogger(__name__)

FAULT_LOOK_S = 0.5

CATCH_UP_S = 600.0
"""For the store to take what a crash left in the log; longer only where it takes nothing at all, and that is said."""

SLEEP_S_MAX = 30 * 86_400
"""A device may announce to be away for a month at most."""

REVOKED_S_MAX = 0.8
"""For the goodbye to a client whose certificate was revoked; within a second it is gone."""

RELEASE_AGAIN_S = 1.0
"""After an activation the last quarantined readings are still on their way through the log: look again so often."""


class _Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sleep_s: int


class House:
    """The platform without its listeners."""

    def __init__(
        self, config: Config, identity: Identity, stores: Stores, clock: Clock, tls: ServerTls | None = None
    ) -> None:
        self.config = config
        self.clock = clock
        self.stores = stores
        self.registry = AnnouncedRegistry(stores.registry, self._devices_made)
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
        if tls:
            tls.on_revoked = self._certificates_revoked
        self.on_redeemed: list[OnRedeemed] = []
        self.started_s = self.clock.monotonic_s()
        self.broken: asyncio.Event = asyncio.Event()
        self.draining = False

    async def open(self, identity: Identity) -> Self:
        """Wire the rooms and let them find out where they were."""
        await self._first_tenant(identity)
        self._wire_services()
        self.gateways = GatewayRooms(
            self.stores, self.connections, self.sessions, self.clock, self.tokens, identity.pepper
        )
        self.on_redeemed.append(self.gateways.service.redeemed)
        self._wire_front()
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
            self.registry, self.directory, self.credentials, self.clock, self.tokens, [self._device_changed]
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
        self.documents = Documents(self.ledger, self.registry, self.directory, self.clock)
        query = Freshness(self.ingestion, QUERY_WAIT_S, strict=False)
        bill = Freshness(self.ingestion, BILL_WAIT_S, strict=True)
        self.fresh = FreshTimeSeries(self.timeseries, query)
        self.fresh_outcomes = FreshOutcomes(self.timeseries.outcomes, query)
        self.fresh_windows = FreshWindows(self.timeseries.windows, query)
        billed = FreshTimeSeries(self.timeseries, bill)
        self.billing = Billing(self.documents, self.ledger, billed, self.registry, self.clock)
        self.analytics = Analytics(self.fresh, self.registry, self.directory)
        self.street = Street(
            FreshLoad(self.timeseries.load, query),
            self.fresh,
            self.registry,
            self.directory,
            self.documents,
            self.clock,
            MAINTAINED_SIZES,
        )

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
            self,
            self.tls,
            self.zones.note,
        )
        self.intake, self.pipeline, self.telemetry = self.front.intake, self.front.pipeline, self.front.telemetry
        self.broker, self.authenticator = self.front.broker, self.front.authenticator

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
            timeseries=self.fresh,
            outcomes=self.fresh_outcomes,
            windows=self.fresh_windows,
            ledger=self.ledger,
            clock=self.clock,
            tokens=self.tokens,
            lifecycle=self.lifecycle,
            claims=self.claims,
            certificates=self.certificates,
            claim_answer=self.claim_desk.answer,
            sessions=self.sessions,
            gateways=self.gateways.service,
            documents=self.documents,
            billing=self.billing,
            analytics=self.analytics,
            street=self.street,
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

    async def _first_tenant(self, identity: Identity) -> None:
        """The default tenant, its site in the configured zone, and the operator's token."""
        now_ms = self.clock.now_ms()
        if DEFAULT_TENANT not in await self.directory.tenants():
            await self.directory.add_tenant(DEFAULT_TENANT, now_ms)
            await self.directory.put_site(DEFAULT_TENANT, Site("main", self.config.site.zone))
        digest = self.tokens.of(identity.admin_token)
        if await self.credentials.holder(digest) is None:
            await self.credentials.grant(digest, Holder(DEFAULT_TENANT, "operator", role=Role.OPERATOR), now_ms)

    def _appended(self, news: Appended, _: Offset) -> None:
        self.books.appended(news)
        self.aggregation.notice(news)

    def log_broken(self, failed: Failed) -> None:
        log.critical("%s; nothing more is acknowledged, starting anew", failed.detail)
        self.broken.set()

    def status_said(self, device: DeviceKey, payload: bytes) -> None:
        """A device announced that it will sleep; anything else on its status topic says nothing to us."""
        try:
            status = msgspec.json.decode(payload, type=_Status)
        except msgspec.DecodeError:
            return
        if 0 < status.sleep_s <= SLEEP_S_MAX:
            self.sessions.sleeping(device, self.clock.now_ms() + status.sleep_s * 1000)

    def _devices_made(self, devices: Sequence[Device]) -> None:
        """A device behind a gateway never signs in: its zone has to be known before its first reading is stored."""
        for device in devices:
            self.zones.note(device)
        self.gateways.service.know(devices)

    def _device_changed(self, device: Device, before: LifecycleState) -> None:
        """A committed transition: those who may no longer be here are cut now, within the same turn of the loop."""
        self.connections.changed(device.key)
        self.zones.note(device)
        self.gateways.service.device_changed(device, before)
        notice = {"state": device.state, "before": before}
        self.connections.notify(device.key, "lifecycle", msgspec.json.encode(notice))
        if device.state is before:
            refused = Refused("bad_credentials", f"a credential of {device.id} ended", "sign in with another one")
            self.connections.cut(device.key, refused)
        elif device.state is LifecycleState.DECOMMISSIONED:
            self.connections.cut(device.key, Refused("device_not_active", f"device {device.id} is {device.state}"))
            self.broker.forget(device.tenant, f"{DEVICE}{device.key}")
        elif not PERMISSIONS[device.state].connect:
            code = "device_suspended" if device.state is LifecycleState.SUSPENDED else "device_not_active"
            self.connections.cut(device.key, Refused(code, f"device {device.id} is {device.state}"))
        elif PERMISSIONS[before].telemetry is Telemetry.QUARANTINED:
            self._tasks.create_task(self._release(device))

    def _certificates_revoked(self, drivers: Sequence[StreamDriver[Any]]) -> None:
        """Connections whose certificate is on a new list: whoever has signed in hears why, and nobody stays because it
        does not listen.
        """
        refused = Refused("bad_credentials", "the client certificate was revoked", "sign in with another one")
        ended = set(drivers)
        for connection in self.connections.all():
            if isinstance(connection, MqttConnection) and connection.driver in ended:
                connection.cut(refused)
        for driver in drivers:
            driver.close()
            asyncio.get_running_loop().call_later(REVOKED_S_MAX, driver.abort)

    async def _release(self, device: Device) -> None:
        """A device became active: its connections write to the store from now on, and what waited follows. What lies
        in the log with its quarantine mark follows too: the last look comes when the store has passed all of that.
        """
        marked: Offset | None = None
        while not self.draining:
            try:
                if marked is None:
                    await self._reauthorise(device)
                    await self.intake.drain()
                    marked = self.queue.extent().last
                last_look = self.ingestion.stored >= marked
                if await self.timeseries.release(device.key):
                    self.aggregation.notice()
                if last_look:
                    return
            except Failed as failed:
                log.error("quarantined readings of a device stay where they are for now: %s", failed.detail)
            await asyncio.sleep(RELEASE_AGAIN_S)

    async def release_left_behind(self) -> None:
        """Fetch what is still in quarantine of devices that became active just before the last process ended."""
        await self.ingestion.caught_up(CATCH_UP_S)
        try:
            left_behind = await self.timeseries.quarantined()
        except Failed as failed:
            log.error("%s; quarantined readings stay where they are until the next start", failed.detail)
            return
        for key in left_behind:
            device = await self.registry.by_key(key)
            if device is not None and PERMISSIONS[device.state].telemetry is Telemetry.ACCEPTED:
                await self._release(device)

    async def _reauthorise(self, device: Device) -> None:
        profile = await self.directory.profile(device.tenant, device.profile)
        if profile is not None:
            for connection in self.connections.of(device.key):
                connection.reauthorise(Principal(device, profile))

    async def replay(self, letter: StoredDeadLetter) -> Replayed:
        """Bring a dead letter through the door again, as its device is now."""
        device = await self.registry.by_key(letter.device)
        profile = await self.directory.profile(device.tenant, device.profile) if device else None
        if device is None or profile is None:
            raise Refused("not_found", "the device of this dead letter is not known", "it stays where it is")
        principal, topic = Principal(device, profile), letter.topic.encode()
        # A chunk's letter has the topic of its gateway, and readings of the device as plain telemetry.
        if self.pipeline.route(principal, topic).purpose is Purpose.REJECT:
            topic = TELEMETRY
        answer = await self.telemetry.take(principal, letter.payload, topic)
        return Replayed(answer.received, answer.accepted, answer.rejected, answer.dead_lettered)

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

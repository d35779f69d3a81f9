"""The front of the house: the intake, the pipeline, the broker, and the doors that lead to them."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence

import msgspec

from ringmain.apps.config import Config
from ringmain.apps.config_error import ConfigError
from ringmain.apps.server.announced import AnnouncedRegistry
from ringmain.apps.server.books import Books
from ringmain.apps.server.gateways import GatewayRooms
from ringmain.apps.server.provisioning import ClaimDesk
from ringmain.apps.server.stores import Stores
from ringmain.apps.server.tls import ServerTls
from ringmain.gateway.authenticate import Authenticator, OpenSignIn, SignIn
from ringmain.gateway.broker.message import Message
from ringmain.gateway.broker.service import Broker
from ringmain.gateway.connections import Connections
from ringmain.gateway.http import HttpTelemetry
from ringmain.gateway.intake import Intake
from ringmain.gateway.mqtt import DeviceWills, MqttDoor
from ringmain.gateway.pipeline import Pipeline
from ringmain.gateway.route import Purpose
from ringmain.gateway.translate.decoded import DecodedTelemetry
from ringmain.gateway.translate.decoder_files import Decoders
from ringmain.gateway.translate.decoder_paths import DecoderError
from ringmain.gateway.translate.gateway_claims import GatewayClaims
from ringmain.gateway.translate.sparkplug import SparkplugTelemetry
from ringmain.gateway.translate.sparkplug_host import SparkplugHost
from ringmain.gateway.translate.telemetry import TelemetryTranslator
from ringmain.model.device import Device, Principal
from ringmain.model.errors import Failed
from ringmain.model.ids import DeviceKey, TenantId
from ringmain.ports.clock import Clock
from ringmain.protocols.mqtt.events import Limits
from ringmain.services.lifecycle.tokens import TokenDigest
from ringmain.services.sessions.service import Sessions

OPEN_TENANT = TenantId("-open")
"""Of the open door. No tenant of the directory can have this name, so nothing else is ever in it."""

OPEN_KEEP_ALIVE_S_MAX = 60
"""Suites that compare brokers expect a server that lowers a keep-alive to a minute."""


class Front:
    """Wired once, by the house. `on_log_broken`: a sync failed, nothing more is acknowledged. `on_status`: what a
    device published on its status topic. `on_admitted`: the first reading of a device is about to be stored.
    """

    def __init__(
        self,
        config: Config,
        stores: Stores,
        registry: AnnouncedRegistry,
        gateways: GatewayRooms,
        connections: Connections,
        sessions: Sessions,
        books: Books,
        tokens: TokenDigest,
        claim_desk: ClaimDesk,
        clock: Clock,
        tls: ServerTls | None,
        *,
        on_log_broken: Callable[[Failed], None],
        on_status: Callable[[DeviceKey, bytes], None],
        on_admitted: Callable[[Device], None],
    ) -> None:
        self._config, self._stores, self._registry = config, stores, registry
        self._gateways = gateways
        self._connections = connections
        self._sessions = sessions
        self._books = books
        self._clock = clock
        self._claim_desk = claim_desk
        self.tasks: asyncio.TaskGroup | None = None
        self._announced: set[TenantId] = set()
        self.intake = Intake(stores.queue, clock, books.committed, on_log_broken)
        self.broker = Broker(
            self.intake,
            clock,
            queue_max=config.mqtt.session_queue_max,
            program_queue_max=config.mqtt.program_queue_max,
            on_dropped=books.message_dropped,
        )
        self.host = SparkplugHost(config.mqtt.sparkplug_host, self._say, books.sparkplug)
        self.authenticator = Authenticator(stores.credentials, registry, stores.directory, tokens, clock, tls)
        translator = TelemetryTranslator()
        self.pipeline = Pipeline(
            self.intake,
            translator,
            connections,
            lanes=gateways.lanes,
            translators={
                **gateways.translators,
                Purpose.CLAIMS: GatewayClaims(
                    lambda gateway, payload: claim_desk.passed_on(gateway.key, payload, self._running())
                ),
            },
            decoders=decoders_of(config),
            decoded=DecodedTelemetry(translator.arrivals, gateways.lanes, gateways.service.standings, gateways.seen),
            sparkplug=SparkplugTelemetry(
                self.host,
                gateways.service.standings,
                gateways.lanes,
                on_seen=gateways.seen,
                on_gone=lambda _node, _devices: None,  # they are missed when they are due, as any device is
            ),
            on_admitted=on_admitted,
            on_status=on_status,
            on_received=books.received,
        )
        self.telemetry = HttpTelemetry(
            authenticator=self.authenticator,
            pipeline=self.pipeline,
            sessions=sessions,
            clock=clock,
            body_bytes_max=config.http.body_bytes_max,
            on_refused=books.refused,
        )

    def work(self) -> Sequence[tuple[str, Coroutine[None, None, None]]]:
        """What runs as long as the house is open."""
        return (
            ("intake", self.intake.run()),
            ("intake-probe", self.intake.probe()),
            ("broker", self.broker.run()),
        )

    async def load(self) -> None:
        """Read back sessions, queues and retained messages; before any door opens."""
        await self.broker.load(self._stores.queue)

    def mqtt_door(self, tasks: asyncio.TaskGroup) -> MqttDoor:
        """The MQTT door; its sign-ins run in `tasks`."""
        self.tasks = tasks
        self.broker.on_asked = self._asked
        self.broker.on_will = DeviceWills(self.pipeline, self.broker, self._principal_of, tasks).take
        self.broker.tick()
        return self._door(tasks, self.authenticator, self._limits(), self._claim_desk, "mqtt")

    def open_door(self, tasks: asyncio.TaskGroup) -> MqttDoor:
        """The door without credentials (`mqtt.open_port`)."""
        mqtt = self._config.mqtt
        limits = msgspec.structs.replace(
            self._limits(),
            keep_alive_s_max=min(mqtt.keep_alive_s_max, OPEN_KEEP_ALIVE_S_MAX),
            reason_strings=False,  # byte-exact suites do not ask for them
            flags_as_mosquitto=True,
        )
        return self._door(tasks, OpenSignIn(OPEN_TENANT, mqtt.open_denied), limits, None, "mqtt-open")

    def _door(
        self, tasks: asyncio.TaskGroup, sign_in: SignIn, limits: Limits, claims: ClaimDesk | None, name: str
    ) -> MqttDoor:
        return MqttDoor(
            authenticator=sign_in,
            provisioner=claims,
            pipeline=self.pipeline,
            broker=self.broker,
            connections=self._connections,
            sessions=self._sessions,
            clock=self._clock,
            tasks=tasks,
            limits=limits,
            connections_max=self._config.mqtt.connections_max,
            on_closed=self._books.closed,
            on_refused=self._books.refused,
            on_dropped=self._books.dropped,
            on_listening=self._gateways.service.listening,
            name=name,
            server_reference=self._config.mqtt.server_reference,
        )

    def _limits(self) -> Limits:
        mqtt = self._config.mqtt
        return Limits(
            packet_bytes_max=mqtt.packet_bytes_max,
            receive_maximum=mqtt.receive_maximum,
            keep_alive_s_max=mqtt.keep_alive_s_max,
            connect_deadline_s=mqtt.connect_deadline_s,
            session_expiry_s_max=mqtt.session_expiry_s_max,
        )

    def _asked(self, tenant: TenantId, pattern: str) -> None:
        """Somebody listens to Sparkplug: from now on its tenant's nodes may know that their host is there."""
        if pattern.startswith("spBv1.0/") and tenant not in self._announced:
            self._announced.add(tenant)
            self.host.announce([tenant], self._clock.now_ms())

    def _say(self, tenant: TenantId, topic: str, payload: bytes, qos: int, retain: bool) -> None:  # noqa: FBT001
        self.broker.publish(tenant, Message(topic, payload, qos, retain))

    def goodbye(self) -> None:
        """What is said before the last commit."""
        self.host.withdraw(self._clock.now_ms())

    async def _principal_of(self, key: DeviceKey) -> Principal | None:
        device = await self._registry.by_key(key)
        profile = await self._stores.directory.profile(device.tenant, device.profile) if device else None
        return Principal(device, profile) if device and profile else None

    def _running(self) -> asyncio.TaskGroup:
        if self.tasks is None:
            raise Failed("unavailable", "the doors are not open yet", "try again later")
        return self.tasks


def decoders_of(config: Config) -> Decoders:
    """The operator's own are read now: with one that can not be used, the platform does not start."""
    decoders = Decoders(config.mqtt.decoders_dir)
    if config.mqtt.decoders_dir:
        try:
            decoders.check()
        except DecoderError as error:
            raise ConfigError(
                f"{error} - in `$.mqtt.decoders_dir`", "docs/protocols/decoders.md says what a decoder may say"
            ) from error
    return decoders

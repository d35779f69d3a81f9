"""A platform for tests of the API: the real services over homes of the ports, and two tenants in it.

`acme` has something of everything; `rival` has an admin and nothing else.
"""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec.structs import replace as replace_struct

from ringmain.adapters.simulated.claims import Claims as ClaimsHome
from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.credentials import Credentials
from ringmain.adapters.simulated.delegations import Delegations
from ringmain.adapters.simulated.directory import Directory
from ringmain.adapters.simulated.gateway_documents import GatewayDocuments
from ringmain.adapters.simulated.ledger import Ledger
from ringmain.adapters.simulated.presence import Presence
from ringmain.adapters.simulated.queue import SimulatedQueue
from ringmain.adapters.simulated.registry import Registry
from ringmain.adapters.simulated.timeseries import SimulatedTimeSeries
from ringmain.apps.server.announced import AnnouncedRegistry
from ringmain.apps.server.api.app import api
from ringmain.apps.server.api.context import Context, Intake
from ringmain.apps.server.certificates import new_ca
from ringmain.apps.server.client_certificates import Issuer
from ringmain.apps.server.provisioning import ClaimDesk
from ringmain.apps.server.tls_files import TlsInForce
from ringmain.gateway.connections import Connections
from ringmain.metering.analytics import Analytics
from ringmain.metering.billing import Billing
from ringmain.metering.documents import Documents
from ringmain.metering.street import Street
from ringmain.model.batch import FORMAT, Batch, Block, DeadLetter, Rejection, block_of, encode_batch
from ringmain.model.device import Device, LifecycleState
from ringmain.model.ids import DEFAULT_TENANT, DeviceId, DeviceKey, ProfileName, TenantId
from ringmain.model.time import instant_of
from ringmain.ports.credentials import Holder, Role
from ringmain.ports.outcomes import StoredDeadLetter
from ringmain.ports.queue import Entry
from ringmain.services.aggregation.windows import SitePlan
from ringmain.services.gateways.service import Gateways
from ringmain.services.lifecycle.certificates import Certificates
from ringmain.services.lifecycle.claims import Claims
from ringmain.services.lifecycle.service import Lifecycle
from ringmain.services.lifecycle.tokens import TokenDigest
from ringmain.services.sessions.service import Sessions

NOW_MS = instant_of(datetime(2014, 6, 1, tzinfo=UTC))
CA = new_ca(datetime(2014, 1, 1, tzinfo=UTC))
CSR = (
    x509.CertificateSigningRequestBuilder(x509.Name([]))
    .sign(ec.generate_private_key(ec.SECP256R1()), SHA256())
    .public_bytes(Encoding.PEM)
    .decode()
)
TLS = TlsInForce(
    context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
    subject="CN=front",
    expires_ms=NOW_MS,
    issuers="",
    foreign=False,
    revoked=frozenset(),
    distrusted=frozenset(),
    lists_until_ms=None,
    unlisted=(),
)
START_MS = instant_of(datetime(2013, 1, 1, tzinfo=UTC))
HALF_HOUR_MS = 1_800_000
STAMPS = [START_MS + n * HALF_HOUR_MS for n in range(96)]
ACME, RIVAL = TenantId("acme"), TenantId("rival")
TOKENS = {
    "operator": Holder(DEFAULT_TENANT, "operator", role=Role.OPERATOR),
    "admin": Holder(ACME, "admin", role=Role.ADMIN),
    "viewer": Holder(ACME, "viewer", role=Role.VIEWER),
    "root": Holder(ACME, "root", role=Role.OPERATOR),
    "rival": Holder(RIVAL, "admin", role=Role.ADMIN),
}
TARIFF = {
    "id": "flat",
    "name": "Flat",
    "currency": "GBP",
    "versions": [{"valid_from": "2013-01-01", "price": "0.14228"}],
}
INSTALLATION = {
    "usage_point": "home",
    "links": [{"device": "meter-1", "channel": "energy_wh", "from": "2012-12-31T00:00:00Z"}],
}

_METER_1 = Device(DeviceKey(1), ACME, DeviceId("meter-1"), ProfileName("meter"), LifecycleState.ACTIVE, "main", 0, 0)
CERTIFICATE = replace_struct(Issuer(CA)(CSR, _METER_1, NOW_MS).certificate, serial="a1")
"""Of `meter-1` in every world, so that two worlds show the same."""


@dataclass
class World:
    """The context of the API with what stands behind it."""

    context: Context
    clock: SimulatedClock
    queue: SimulatedQueue
    timeseries: Any
    replayed: list[StoredDeadLetter]
    not_ready: list[str]

    def client(self, token: str | None = "admin") -> httpx.AsyncClient:
        """A client that signs in with a token of `TOKENS`, any other text, or not at all."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        transport = httpx.ASGITransport(app=api(self.context))
        return httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers)

    async def store(self, *blocks: Block, **more: Any) -> None:
        """Let readings, dead letters and rejections arrive."""
        body = encode_batch(Batch(FORMAT, self.clock.now_ms(), blocks, **more))
        offset = await self.queue.append(body)
        await self.timeseries.append([Entry(offset, body)])

    async def key_of(self, id: str, tenant: TenantId = ACME) -> DeviceKey:
        """The key of a device."""
        device = await self.context.registry.device(tenant, DeviceId(id))
        assert device is not None
        return device.key


async def make_world(**changes: Any) -> World:
    """Two tenants without devices."""
    clock, queue = SimulatedClock(NOW_MS), SimulatedQueue()
    directory, ledger = Directory(), Ledger()
    credentials = Credentials(directory)
    home = Registry(directory, credentials)
    registry = AnnouncedRegistry(home, lambda devices: gateways.know(devices))  # noqa: PLW0108 - made below
    timeseries = SimulatedTimeSeries(SitePlan(("1h", "day"), lambda _: "Europe/London"), clock)
    tokens = TokenDigest(b"p" * 32)
    sessions = Sessions(Presence(), clock)
    await sessions.start()
    documents = Documents(ledger, registry, directory, clock)
    gateways = Gateways(
        Delegations(registry),
        GatewayDocuments(registry),
        registry,
        directory,
        clock,
        secrets=_no_secrets,
        salt=lambda _: b"s" * 32,
        send=lambda *_: True,
        is_there=lambda _: False,
    )
    lifecycle = Lifecycle(registry, directory, credentials, clock, tokens, [gateways.device_changed])
    issue = Issuer(CA)
    claims = Claims(lifecycle, registry, ClaimsHome(home, credentials), clock, tokens, issue)
    replayed: list[StoredDeadLetter] = []
    not_ready: list[str] = []

    async def replay(letter: StoredDeadLetter) -> Intake:
        replayed.append(letter)
        return Intake(1, 1, 0, 0)

    context = Context(
        registry=registry,
        directory=directory,
        credentials=credentials,
        timeseries=timeseries,
        outcomes=timeseries.outcomes,
        windows=timeseries.windows,
        ledger=ledger,
        clock=clock,
        tokens=tokens,
        lifecycle=lifecycle,
        claims=claims,
        certificates=Certificates(lifecycle, registry, credentials, clock, tokens, issue),
        claim_answer=ClaimDesk(claims, Connections(), lambda: issue.ca_pem).answer,
        sessions=sessions,
        gateways=gateways,
        documents=documents,
        billing=Billing(documents, ledger, timeseries, registry, clock),
        analytics=Analytics(timeseries, registry, directory),
        street=Street(timeseries.load, timeseries, registry, directory, documents, clock, ("1h", "day")),
        queue_status=queue.status,
        readiness=lambda: tuple(not_ready),
        metrics=lambda: b"# HELP up Up.\n# TYPE up gauge\nup 1.0\n",
        version="1.2.3",
        started_monotonic_s=clock.monotonic_s(),
        maintained_sizes=("1h", "day"),
        replay=replay,
        tls_reload=lambda: TLS,
        addresses=(("MQTT", "mqtt://127.0.0.1:1883"),),
    )
    for tenant in (DEFAULT_TENANT, ACME, RIVAL):
        if tenant not in await directory.tenants():
            await directory.add_tenant(tenant, NOW_MS)
    for token, holder in TOKENS.items():
        await credentials.grant(tokens.of(token), holder, NOW_MS)
    return World(replace(context, **changes), clock, queue, timeseries, replayed, not_ready)


async def _no_secrets(_: Sequence[DeviceKey]) -> Mapping[DeviceKey, Sequence[bytes]]:
    return {}


async def furnish(world: World) -> None:
    """Give `acme` a meter with two days of readings, a duplicate, a conflict, a rejection and a dead letter, and
    everything that a bill needs. All through the API, but for what a device says.
    """
    async with world.client() as client:
        await provision(client)
        assert (await client.post("/api/v1/devices", json={"id": "gw-1", "profile": "gateway"})).is_success
        assert (await client.put("/api/v1/gateways/gw-1/delegations", json={"devices": ["meter-1"]})).is_success
    key = await world.key_of("meter-1")
    holder, digest = Holder(ACME, "meter-1", device=key), world.context.tokens.of_certificate(CERTIFICATE.der)
    await world.context.credentials.grant(digest, holder, NOW_MS, certificate=CERTIFICATE)
    await world.store(block_of(("energy_wh",), [key] * 96, STAMPS, [100 + n for n in range(96)], exact=True))
    again = block_of(("energy_wh",), [key] * 2, STAMPS[:2], [100, 999], exact=True)
    letter = DeadLetter(key, NOW_MS, "mqtt", "telemetry", b"\xff{", "undecodable_payload", "not JSON")
    await world.store(again, dead_letters=(letter,), rejections=(Rejection(key, "device_suspended", 3),))
    world.context.sessions.connected(key, 1800, "mqtt", "127.0.0.1:50000")


async def provision(client: httpx.AsyncClient) -> str:
    """An active meter, and everything that its bill needs; the meter's token."""

    async def send(method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        response = await client.request(method, f"/api/v1/{path}", json=body)
        assert response.is_success, response.text
        return response.json()

    await send("PUT", "sites/main", {"zone": "Europe/London"})
    await send("POST", "devices", {"id": "meter-1", "profile": "meter"})
    token = (await send("POST", "devices/meter-1/provision"))["token"]
    await send("POST", "devices/meter-1/activate")
    await send("PUT", "usage-points/home", {"id": "home"})
    await send("PUT", "installations/home", INSTALLATION)
    await send("PUT", "tariffs/flat", TARIFF)
    await send("PUT", "accounts/smith", {"id": "smith", "usage_point": "home", "tariff": "flat"})
    return str(token)

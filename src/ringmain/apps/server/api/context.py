"""Context: everything the API may touch, named once. The composition fills it; routes get it with each call."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec
from starlette.types import ASGIApp

from ringmain.apps.server.provisioning import ClaimAnswer
from ringmain.apps.server.tls_files import TlsInForce
from ringmain.metering.analytics import Analytics
from ringmain.metering.billing import Billing
from ringmain.metering.documents import Documents
from ringmain.metering.street import Street
from ringmain.ports.clock import Clock
from ringmain.ports.credentials import Credentials
from ringmain.ports.directory import Directory
from ringmain.ports.ledger import Ledger
from ringmain.ports.outcomes import Outcomes, StoredDeadLetter
from ringmain.ports.queue import QueueStatus
from ringmain.ports.registry import Registry
from ringmain.ports.timeseries import TimeSeries
from ringmain.ports.windows import Windows
from ringmain.services.gateways.service import Gateways
from ringmain.services.lifecycle.certificates import Certificates
from ringmain.services.lifecycle.claims import Claims, Provisioned
from ringmain.services.lifecycle.service import Lifecycle
from ringmain.services.lifecycle.tokens import TokenDigest
from ringmain.services.sessions.service import Sessions


class Intake(msgspec.Struct, frozen=True):
    """What became of the readings of one request, each of them counted once: `received` is the sum of the others."""

    received: int
    accepted: int
    rejected: int
    dead_lettered: int


@dataclass(frozen=True, kw_only=True)
class Context:
    """Ports, services and a few callables.

    `readiness` answers with the reasons for not being ready, none of them being a secret. `metrics` is the
    Prometheus text. `replay` puts a dead letter through the intake again and returns when that is durable; without
    it the route is left out. `claim_answer` is what a claimant is told.
    `tls_reload` takes the TLS files anew, or refuses them; without it the route is left out.
    `telemetry` serves `POST /api/v1/telemetry`; without it the path is not there.
    `addresses` are shown on the plain page: (what, where).
    """

    registry: Registry
    directory: Directory
    credentials: Credentials
    timeseries: TimeSeries
    outcomes: Outcomes
    windows: Windows
    ledger: Ledger
    clock: Clock
    tokens: TokenDigest
    lifecycle: Lifecycle
    claims: Claims
    certificates: Certificates
    claim_answer: Callable[[Provisioned], ClaimAnswer]
    sessions: Sessions
    gateways: Gateways
    documents: Documents
    billing: Billing
    analytics: Analytics
    street: Street
    queue_status: Callable[[], Awaitable[QueueStatus]]
    readiness: Callable[[], Sequence[str]]
    metrics: Callable[[], bytes]
    version: str
    started_monotonic_s: float
    maintained_sizes: tuple[str, ...] = ()
    replay: Callable[[StoredDeadLetter], Awaitable[Intake]] | None = None
    telemetry: ASGIApp | None = None
    tls_reload: Callable[[], TlsInForce] | None = None
    addresses: tuple[tuple[str, str], ...] = ()

"""Platform: how it is doing, and its tenants. For operators, because it tells of all tenants together."""

import msgspec

from ringmain.apps.server.api.context import Context
from ringmain.apps.server.api.kit.declaration import Call, Reply, Route
from ringmain.apps.server.api.kit.problems import Rejected
from ringmain.apps.server.api.paging import Page
from ringmain.apps.server.api.words import Name, Timestamp
from ringmain.model.ids import TenantId
from ringmain.model.session import SessionState
from ringmain.model.time import format_rfc3339
from ringmain.ports.credentials import Holder, Role
from ringmain.ports.queue import QueueStatus
from ringmain.services.lifecycle.tokens import new_token


class PlatformAnswer(msgspec.Struct, frozen=True):
    """`not_ready` lists the reasons, empty when all is well."""

    version: str
    uptime_s: float
    not_ready: list[str]
    queue: QueueStatus
    sessions: dict[SessionState, int]


class TenantToMake(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Name


class TenantParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Name


class TenantAnswer(msgspec.Struct, frozen=True):
    id: str


class TenantToken(msgspec.Struct, frozen=True):
    """An admin's token for a tenant. It is told here and never again."""

    tenant: str
    token: str


class TlsAnswer(msgspec.Struct, frozen=True):
    """What new connections meet. `revoked` counts the certificates on the revocation lists; the first of these is to be
    renewed until `lists_until`.
    """

    certificate: str
    expires: Timestamp
    revoked: int
    lists_until: Timestamp | None


async def get_platform(context: Context, _call: Call[msgspec.Struct, None]) -> PlatformAnswer:
    return PlatformAnswer(
        context.version,
        round(context.clock.monotonic_s() - context.started_monotonic_s, 3),
        list(context.readiness()),
        await context.queue_status(),
        context.sessions.counts(),
    )


async def list_tenants(context: Context, _call: Call[msgspec.Struct, None]) -> Page[TenantAnswer]:
    """In the order of their names."""
    return Page([TenantAnswer(tenant) for tenant in await context.directory.tenants()], None)


async def make_tenant(context: Context, call: Call[msgspec.Struct, TenantToMake]) -> Reply:
    """With a site `main`, and a first admin whose token is in the answer."""
    tenant = TenantId(call.body.id)
    await context.directory.add_tenant(tenant, context.clock.now_ms())
    return Reply(await _grant(context, tenant))


async def make_tenant_token(context: Context, call: Call[TenantParams, None]) -> Reply:
    """One more, for a tenant whose admin lost theirs. Those given before stay valid."""
    tenant = TenantId(call.params.id)
    if tenant not in await context.directory.tenants():
        raise Rejected("not_found", f"There is no tenant {tenant}.", "GET /api/v1/tenants lists those there are.")
    return Reply(await _grant(context, tenant))


async def _grant(context: Context, tenant: TenantId) -> TenantToken:
    token = new_token()
    holder = Holder(tenant, "admin", role=Role.ADMIN)
    await context.credentials.grant(context.tokens.of(token), holder, context.clock.now_ms())
    return TenantToken(tenant, token)


async def reload_tls(context: Context, _call: Call[msgspec.Struct, None]) -> TlsAnswer:
    """Files of no use are refused, and those in force stay."""
    assert context.tls_reload is not None
    taken = context.tls_reload()
    until = taken.lists_until_ms
    return TlsAnswer(
        taken.subject,
        format_rfc3339(taken.expires_ms),
        len(taken.revoked),
        None if until is None else format_rfc3339(until),
    )


_TAG = "Platform"
TLS_RELOAD = Route(
    "POST",
    "/api/v1/platform/tls/reload",
    reload_tls,
    "Take the TLS files anew",
    _TAG,
    TlsAnswer,
    Role.OPERATOR,
    problems=("unprocessable",),
)
ROUTES = (
    Route(
        "GET", "/api/v1/platform", get_platform, "Show how the platform is doing", _TAG, PlatformAnswer, Role.OPERATOR
    ),
    Route("GET", "/api/v1/tenants", list_tenants, "List tenants", _TAG, Page[TenantAnswer], Role.OPERATOR),
    Route(
        "POST",
        "/api/v1/tenants",
        make_tenant,
        "Make a tenant",
        _TAG,
        TenantToken,
        Role.OPERATOR,
        body=TenantToMake,
        body_example={"id": "acme"},
        statuses=(201,),
        problems=("already_exists", "unprocessable"),
    ),
    Route(
        "POST",
        "/api/v1/tenants/{id}/tokens",
        make_tenant_token,
        "Make an admin's token for a tenant",
        _TAG,
        TenantToken,
        Role.OPERATOR,
        TenantParams,
        statuses=(201,),
        problems=("not_found",),
    ),
)

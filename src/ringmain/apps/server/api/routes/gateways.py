"""Gateways: whom each speaks for, how it is to work, and what it last said of itself."""

from typing import Annotated

import msgspec

from ringmain.apps.server.api.context import Context
from ringmain.apps.server.api.kit.declaration import MIB, Call, Reply, Route
from ringmain.apps.server.api.paging import Page, long_page_of, page_of, read_cursor
from ringmain.apps.server.api.routes.gateway_answers import (
    Delegated,
    GatewayAnswer,
    GatewaySummary,
    SettingsAnswer,
    SettingsVersion,
    delegated,
    gateway_answer,
    gateway_summary,
    settings_answer,
)
from ringmain.apps.server.api.scope import device_of, gateway_of
from ringmain.apps.server.api.words import LIMIT, Cursor, Limit, Moment, Name
from ringmain.model.gateway import DELEGATIONS_MAX, GatewaySettings
from ringmain.model.ids import DeviceId
from ringmain.model.time import format_rfc3339
from ringmain.ports.credentials import Role

DELEGATIONS_BYTES_MAX = 2 * MIB
"""All devices of the largest gateway by their longest names have 1.3 MB."""


class GatewaysQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    limit: Limit = LIMIT
    cursor: Cursor | None = None


class GatewayParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Name


class GatewayQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Name
    limit: Limit = LIMIT
    cursor: Cursor | None = None


class PairParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Name
    device: Name
    at: Moment | None = None


class DelegationsToPut(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Devices that the gateway is to speak for, in event time; without `from` whatever their stamps, without `to`
    until further notice.
    """

    devices: Annotated[list[Name], msgspec.Meta(min_length=1, max_length=DELEGATIONS_MAX)]
    from_: Moment | None = None
    to: Moment | None = None


class DelegationsPut(msgspec.Struct, frozen=True):
    """How many devices were delegated now, and how many the gateway speaks for with them."""

    put: int
    delegated: int


async def list_gateways(context: Context, call: Call[GatewaysQuery, None]) -> Page[GatewaySummary]:
    """In the order of their ids, each with the summary of its last report."""
    key = read_cursor(call.params.cursor, str)
    after = str(key[0]) if key else ""
    rows = [device for device in context.gateways.of_tenant(call.caller.tenant) if device.id > after]
    return page_of(
        rows, call.params.limit, lambda device: (device.id,), lambda device: gateway_summary(context, device)
    )


async def get_gateway(context: Context, call: Call[GatewayParams, None]) -> GatewayAnswer:
    """With all of its last report, which is kept over restarts of the platform."""
    return gateway_answer(context, await gateway_of(context, call.caller, call.params.id))


async def list_delegations(context: Context, call: Call[GatewayQuery, None]) -> Page[Delegated]:
    """In the order of the devices' ids and then of time, ended ones included."""
    gateway = await gateway_of(context, call.caller, call.params.id)
    key = read_cursor(call.params.cursor, str, int)
    rows = sorted(
        (id, span[0], span[1], standing)
        for id, standing in context.gateways.standings.of(gateway.key).items()
        for span in standing.spans
        if key is None or (id, span[0]) > key
    )
    return await long_page_of(
        rows, call.params.limit, lambda row: (row[0], row[1]), lambda row: delegated(row[3], row[1:3])
    )


async def put_delegations(context: Context, call: Call[GatewayParams, DelegationsToPut]) -> DelegationsPut:
    """All of them or none. A delegation that overlaps others of the same gateway and device takes their place, so that
    the same request twice changes nothing.
    """
    gateway = await gateway_of(context, call.caller, call.params.id)
    body = call.body
    ids = [DeviceId(id) for id in body.devices]
    await context.gateways.delegate(gateway, ids, 0 if body.from_ is None else body.from_, body.to)
    return DelegationsPut(len(set(ids)), gateway_summary(context, gateway).delegated)


async def end_delegation(context: Context, call: Call[PairParams, None]) -> Page[Delegated]:
    """Now, or at the event time `at`; answers with what the pair had or still has. What was stamped before the end is
    still taken; with an end before its begin, the delegation never was.
    """
    gateway = await gateway_of(context, call.caller, call.params.id)
    device = await device_of(context, call.caller, call.params.device)
    await context.gateways.undelegate(gateway, device, call.params.at)
    standing = context.gateways.standings.of(gateway.key).get(device.id)
    return Page([delegated(standing, span) for span in standing.spans] if standing else [], None)


async def get_gateway_settings(context: Context, call: Call[GatewayParams, None]) -> SettingsAnswer:
    """The newest version. Version 0 are the defaults: nothing was given yet, and nothing is sent."""
    return settings_answer(context, await gateway_of(context, call.caller, call.params.id))


async def put_gateway_settings(context: Context, call: Call[GatewayParams, GatewaySettings]) -> Reply:
    """Writes the next version, whole: a key that is left out is at its default. None where the newest says the same.
    The gateway takes it, and takes it back by itself where its uplink does not come up again.
    """
    gateway = await gateway_of(context, call.caller, call.params.id)
    before = context.gateways.documents.settings(gateway.key)
    after = await context.gateways.put_settings(gateway, call.body)
    unchanged = before is not None and before.version == after.version
    return Reply(settings_answer(context, gateway), status=200 if unchanged else 201)


async def list_gateway_settings(context: Context, call: Call[GatewayQuery, None]) -> Page[SettingsVersion]:
    """Every version that is kept, the newest first."""
    gateway = await gateway_of(context, call.caller, call.params.id)
    key = read_cursor(call.params.cursor, int)
    rows = await context.gateways.documents.settings_history(
        gateway.key, before=int(key[0]) if key else None, limit=call.params.limit + 1
    )
    return page_of(
        rows,
        call.params.limit,
        lambda row: (row.version,),
        lambda row: SettingsVersion(row.version, format_rfc3339(row.created_ms), msgspec.Raw(row.body)),
    )


_TAG = "Gateways"
_ONE = "/api/v1/gateways/{id}"
ROUTES = (
    Route(
        "GET",
        "/api/v1/gateways",
        list_gateways,
        "List gateways",
        _TAG,
        Page[GatewaySummary],
        params=GatewaysQuery,
        problems=("unprocessable",),
    ),
    Route(
        "GET", _ONE, get_gateway, "Show a gateway", _TAG, GatewayAnswer, params=GatewayParams, problems=("not_found",)
    ),
    Route(
        "GET",
        _ONE + "/delegations",
        list_delegations,
        "List whom a gateway speaks for",
        _TAG,
        Page[Delegated],
        params=GatewayQuery,
        problems=("not_found", "unprocessable"),
    ),
    Route(
        "PUT",
        _ONE + "/delegations",
        put_delegations,
        "Let a gateway speak for devices",
        _TAG,
        DelegationsPut,
        Role.ADMIN,
        GatewayParams,
        DelegationsToPut,
        problems=("not_found", "unprocessable"),
        body_bytes_max=DELEGATIONS_BYTES_MAX,
        body_example={"devices": ["meter-1", "meter-2"], "from": "2026-01-05T10:00:00Z"},
    ),
    Route(
        "DELETE",
        _ONE + "/delegations/{device}",
        end_delegation,
        "End what a gateway has of a device",
        _TAG,
        Page[Delegated],
        Role.ADMIN,
        PairParams,
        problems=("not_found",),
    ),
    Route(
        "GET",
        _ONE + "/settings",
        get_gateway_settings,
        "Show a gateway's settings",
        _TAG,
        SettingsAnswer,
        params=GatewayParams,
        problems=("not_found",),
    ),
    Route(
        "PUT",
        _ONE + "/settings",
        put_gateway_settings,
        "Give a gateway other settings",
        _TAG,
        SettingsAnswer,
        Role.ADMIN,
        GatewayParams,
        GatewaySettings,
        (200, 201),
        ("not_found", "unprocessable"),
        body_example={"keep_alive_s": 20, "policy": "drop_oldest"},
        misfit="unprocessable",
    ),
    Route(
        "GET",
        _ONE + "/settings/versions",
        list_gateway_settings,
        "List every version of a gateway's settings",
        _TAG,
        Page[SettingsVersion],
        params=GatewayQuery,
        problems=("not_found", "unprocessable"),
    ),
)

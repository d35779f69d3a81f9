"""Devices: registering them, leading them through their lifecycle, and importing a whole list of them."""

from typing import Any

import msgspec

from ringmain.apps.server.api.context import Context
from ringmain.apps.server.api.kit.declaration import MIB, Call, Handler, Reply, Route
from ringmain.apps.server.api.kit.problems import LineError, Rejected, printable
from ringmain.apps.server.api.paging import Page, page_of, read_cursor
from ringmain.apps.server.api.scope import device_of
from ringmain.apps.server.api.words import LIMIT, Cursor, Limit, Name, Timestamp
from ringmain.model.device import Device, LifecycleState
from ringmain.model.ids import DeviceId, ProfileName
from ringmain.model.time import format_rfc3339
from ringmain.ports.credentials import Role
from ringmain.ports.registry import NewDevice
from ringmain.services.lifecycle.importing import ImportRefused
from ringmain.services.lifecycle.service import ImportResult

IMPORT_BYTES_MAX = 16 * MIB
"""The 250,000 devices that an import may hold, with a token each, have some 16 MB."""


class DevicesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    state: LifecycleState | None = None
    limit: Limit = LIMIT
    cursor: Cursor | None = None


class DeviceParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Name


class DeviceToRegister(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device that is not known yet. Its id is never given to another device."""

    id: Name
    profile: Name = "generic"
    site: Name = "main"


class DeviceAnswer(msgspec.Struct, frozen=True):
    """A device as the registry holds it."""

    id: str
    profile: str
    state: LifecycleState
    site: str
    created_at: Timestamp
    state_since: Timestamp


class DeviceToken(msgspec.Struct, frozen=True):
    """A device and its new token, which is told here and never again."""

    device: DeviceAnswer
    token: str


class JournalEntry(msgspec.Struct, frozen=True):
    """One transition of a device's lifecycle, and who made it."""

    at: Timestamp
    from_: LifecycleState = msgspec.field(name="from")
    to: LifecycleState
    by: str


def device_answer(device: Device) -> DeviceAnswer:
    """A device as the API tells it."""
    return DeviceAnswer(
        device.id,
        device.profile,
        device.state,
        device.site,
        format_rfc3339(device.created_ms),
        format_rfc3339(device.state_since_ms),
    )


async def list_devices(context: Context, call: Call[DevicesQuery, None]) -> Page[DeviceAnswer]:
    """In the order of their ids."""
    query = call.params
    key = read_cursor(query.cursor, str)
    rows = await context.registry.page(
        call.caller.tenant,
        after=DeviceId(str(key[0])) if key else None,
        limit=query.limit + 1,
        state=query.state,
    )
    return page_of(rows, query.limit, lambda device: (device.id,), device_answer)


async def register_device(context: Context, call: Call[msgspec.Struct, DeviceToRegister]) -> Reply:
    """It has no token yet and may not speak: provision it, then activate it."""
    new = NewDevice(DeviceId(call.body.id), ProfileName(call.body.profile), site=call.body.site)
    device = await context.lifecycle.register(call.caller.tenant, new)
    return Reply(device_answer(device), headers={"location": f"/api/v1/devices/{device.id}"})


async def get_device(context: Context, call: Call[DeviceParams, None]) -> DeviceAnswer:
    return device_answer(await device_of(context, call.caller, call.params.id))


async def provision_device(context: Context, call: Call[DeviceParams, None]) -> DeviceToken:
    """The token is told once. What the device sends is kept in quarantine until it is active."""
    device, token = await context.lifecycle.provision(call.caller.tenant, DeviceId(call.params.id), by=call.caller.name)
    return DeviceToken(device_answer(device), token)


async def replace_device_token(context: Context, call: Call[DeviceParams, None]) -> DeviceToken:
    """The old token ends with this call, and connections made with it are cut."""
    device, token = await context.lifecycle.rotate_token(call.caller.tenant, DeviceId(call.params.id))
    return DeviceToken(device_answer(device), token)


async def activate_device(context: Context, call: Call[DeviceParams, None]) -> DeviceAnswer:
    """From provisioned or suspended. What was kept in quarantine is stored."""
    id = DeviceId(call.params.id)
    return device_answer(await context.lifecycle.activate(call.caller.tenant, id, by=call.caller.name))


async def suspend_device(context: Context, call: Call[DeviceParams, None]) -> DeviceAnswer:
    """Its connection is cut and its readings are refused until it is activated again; its token stays."""
    id = DeviceId(call.params.id)
    return device_answer(await context.lifecycle.suspend(call.caller.tenant, id, by=call.caller.name))


async def decommission_device(context: Context, call: Call[DeviceParams, None]) -> DeviceAnswer:
    """For good: its tokens are revoked and its id is never used again. Its readings are kept."""
    id = DeviceId(call.params.id)
    return device_answer(await context.lifecycle.decommission(call.caller.tenant, id, by=call.caller.name))


async def get_device_journal(context: Context, call: Call[DeviceParams, None]) -> Page[JournalEntry]:
    device = await device_of(context, call.caller, call.params.id)
    rows = await context.registry.journal(device.key)
    return Page([JournalEntry(format_rfc3339(at), from_=seen, to=to, by=by) for at, seen, to, by in rows], None)


async def import_devices(context: Context, call: Call[msgspec.Struct, bytes]) -> ImportResult:
    """Columns `id,profile[,token]`. All devices of the file become active, or none is made. Tokens are made where
    the file gives none, and told once.
    """
    try:
        text = call.body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = call.body.count(b"\n", 0, error.start) + 1
        raise Rejected(
            "unprocessable", f"Line {line} is not UTF-8; no device was made.", "Save it as UTF-8."
        ) from error
    try:
        return await context.lifecycle.import_csv(call.caller.tenant, text)
    except ImportRefused as error:
        told = tuple(LineError(one.line, one.field, printable(one.problem)) for one in error.problems)
        raise Rejected(error.code, error.detail, error.hint, errors=told) from error


_ONE = "/api/v1/devices/{id}"


def _of_one(method: str, verb: str, handler: Handler, summary: str, answer: Any, role: Role = Role.ADMIN) -> Route:
    """A route of one device; those that change it may find it in the wrong state."""
    problems = ("not_found",) if method == "GET" else ("not_found", "invalid_transition")
    return Route(method, _ONE + verb, handler, summary, _TAG, answer, role, DeviceParams, problems=problems)


_TAG = "Devices"
ROUTES = (
    Route(
        "GET",
        "/api/v1/devices",
        list_devices,
        "List devices",
        _TAG,
        Page[DeviceAnswer],
        params=DevicesQuery,
        problems=("unprocessable",),
    ),
    Route(
        "POST",
        "/api/v1/devices",
        register_device,
        "Register a device",
        _TAG,
        DeviceAnswer,
        Role.ADMIN,
        body=DeviceToRegister,
        body_example={"id": "meter-1", "profile": "meter", "site": "main"},
        statuses=(201,),
        problems=("already_exists", "not_found", "unprocessable"),
    ),
    Route(
        "POST",
        "/api/v1/devices/import",
        import_devices,
        "Import devices from CSV",
        _TAG,
        ImportResult,
        Role.ADMIN,
        body=bytes,
        body_media="text/csv",
        body_bytes_max=IMPORT_BYTES_MAX,
        body_example="id,profile,token\nmeter-1,meter,\n",
        problems=("already_exists", "not_found", "unprocessable"),
    ),
    _of_one("GET", "", get_device, "Show a device", DeviceAnswer, Role.VIEWER),
    _of_one(
        "GET", "/journal", get_device_journal, "Show every transition of a device", Page[JournalEntry], Role.VIEWER
    ),
    _of_one("POST", "/provision", provision_device, "Provision a device and give it a token", DeviceToken),
    _of_one("POST", "/token", replace_device_token, "Replace a device's token", DeviceToken),
    _of_one("POST", "/activate", activate_device, "Activate a device", DeviceAnswer),
    _of_one("POST", "/suspend", suspend_device, "Suspend a device", DeviceAnswer),
    _of_one("POST", "/decommission", decommission_device, "Decommission a device", DeviceAnswer),
)

"""Scope: what a caller's tenant owns. Every look-up by a name from the request goes through here.

A thing of another tenant is not found, in the same words as a thing that never was.
"""

from collections.abc import Mapping, Sequence

from ringmain.apps.server.api.context import Context
from ringmain.apps.server.api.kit.problems import Rejected
from ringmain.model.device import Device
from ringmain.model.gateway import SPEAKING_PROFILES
from ringmain.model.ids import DeviceId, DeviceKey, TenantId
from ringmain.model.site import Site
from ringmain.ports.credentials import Holder

KEYS_PAGE = 10_000
"""Devices read at a time where a whole tenant is meant: some 10 ms of SQLite each."""


async def device_of(context: Context, caller: Holder, id: str) -> Device:
    """The caller's device of that id; `not_found` where the tenant has none."""
    device = await context.registry.device(caller.tenant, DeviceId(id))
    if device is None or device.tenant != caller.tenant:
        raise Rejected("not_found", f"There is no device {id}.", "GET /api/v1/devices lists those there are.")
    return device


async def gateway_of(context: Context, caller: Holder, id: str) -> Device:
    """The caller's gateway of that id; `not_found` where the tenant has none, or where it is another kind of device."""
    device = await device_of(context, caller, id)
    if device.profile not in SPEAKING_PROFILES:
        raise Rejected(
            "not_found",
            f"{id} is no gateway: it has the profile {device.profile}.",
            "GET /api/v1/gateways lists those there are.",
        )
    return device


async def devices_of(context: Context, caller: Holder, id: str | None) -> Mapping[DeviceKey, Device]:
    """One device of the caller's tenant, or all of them, by key."""
    if id is not None:
        device = await device_of(context, caller, id)
        return {device.key: device}
    return {device.key: device for device in await _all(context, caller.tenant)}


async def zone_of_site(context: Context, tenant: TenantId, site: str) -> str:
    """The time zone a device's days are counted in. The registry lets no device stand at a site that is not there."""
    sites: Sequence[Site] = await context.directory.sites(tenant)
    return next(known.zone for known in sites if known.id == site)


async def _all(context: Context, tenant: TenantId) -> Sequence[Device]:
    found: list[Device] = []
    while True:
        after = found[-1].id if found else None
        rows = await context.registry.page(tenant, after=after, limit=KEYS_PAGE)
        found += rows
        if len(rows) < KEYS_PAGE:
            return found

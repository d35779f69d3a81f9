"""What a new installation holds before anybody asked for anything."""

from ringmain.apps.server.stores import Stores
from ringmain.model.ids import DEFAULT_TENANT
from ringmain.model.site import Site
from ringmain.ports.credentials import Holder, Role


async def first_tenant(stores: Stores, admin_token: bytes, zone: str, now_ms: int) -> None:
    """The default tenant, its site in the configured zone, and the operator's token (its digest)."""
    if DEFAULT_TENANT not in await stores.directory.tenants():
        await stores.directory.add_tenant(DEFAULT_TENANT, now_ms)
        await stores.directory.put_site(DEFAULT_TENANT, Site("main", zone))
    if await stores.credentials.holder(admin_token) is None:
        await stores.credentials.grant(admin_token, Holder(DEFAULT_TENANT, "operator", role=Role.OPERATOR), now_ms)

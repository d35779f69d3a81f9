"""Import without a platform: takes the directory's lock, opens the registry alone, and uses the same service.

Also the first thing ever done with a directory: it then makes the identity, exactly as `ringmain up` would.
"""

import click

from ringmain.adapters.embedded.clock import EmbeddedClock
from ringmain.adapters.embedded.credentials import Credentials
from ringmain.adapters.embedded.database import Database
from ringmain.adapters.embedded.directory import Directory
from ringmain.adapters.embedded.registry import Registry
from ringmain.apps.config import Config
from ringmain.apps.ownership import own
from ringmain.apps.server.identity import Identity, load_or_create
from ringmain.model.ids import DEFAULT_TENANT, TenantId
from ringmain.model.site import Site
from ringmain.services.lifecycle.service import ImportResult, Lifecycle
from ringmain.services.lifecycle.tokens import TokenDigest


async def import_offline(config: Config, tenant: TenantId, text: str) -> ImportResult:
    """Import a CSV file. Only the default tenant is made where it is missing. Raises `Owned` where a platform has
    come up in the meantime.
    """
    clock = EmbeddedClock()
    with own(config.storage_dir):
        identity = load_or_create(config.storage_dir, clock.now_ms(), config.tls.names)
        if identity.created:
            _announce(identity)
        database = await Database.open(config.registry_path)
        try:
            directory = Directory(database)
            if DEFAULT_TENANT not in await directory.tenants():
                await directory.add_tenant(DEFAULT_TENANT, clock.now_ms())
                await directory.put_site(DEFAULT_TENANT, Site("main", config.site.zone))
            lifecycle = Lifecycle(
                Registry(database), directory, Credentials(database), clock, TokenDigest(identity.pepper)
            )
            return await lifecycle.import_csv(tenant, text)
        finally:
            await database.close()


def _announce(identity: Identity) -> None:
    """Told once, by whoever comes first."""
    click.echo(f"made the admin token in {identity.admin_token_path}", err=True)
    click.echo(f"made the CA that devices are pinned to in {identity.ca_path}", err=True)

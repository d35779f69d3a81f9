"""Stores: all of them open, or none; closed in the reverse order; the house needs nothing of them but the ports."""

import pytest

from ringmain.adapters.embedded.clock import EmbeddedClock
from ringmain.adapters.embedded.database import Database
from ringmain.adapters.embedded.queue import EmbeddedQueue
from ringmain.adapters.embedded.timeseries import EmbeddedTimeSeries
from ringmain.apps.config import Config, Storage
from ringmain.apps.server.stores import open_stores
from ringmain.model.errors import Failed
from ringmain.model.ids import DEFAULT_TENANT


@pytest.fixture
def closed(monkeypatch):
    """The homes in the order of their closing."""
    order = []
    for home in (Database, EmbeddedQueue, EmbeddedTimeSeries):

        async def close(self, home=home, real=home.close):
            order.append(home)
            await real(self)

        monkeypatch.setattr(home, "close", close)
    return order


async def opened(directory):
    return await open_stores(Config(storage=Storage(dir=str(directory))), EmbeddedClock())


@pytest.mark.slow
async def test_they_close_in_the_reverse_order_and_open_again(tmp_path, closed):
    stores = await opened(tmp_path)
    await stores.directory.add_tenant(DEFAULT_TENANT, 1)
    assert await stores.queue.append(b"body") == stores.queue.extent().last
    assert stores.fault() is None
    await stores.close()
    assert closed == [EmbeddedTimeSeries, EmbeddedQueue, Database]

    stores = await opened(tmp_path)
    assert list(await stores.directory.tenants()) == [DEFAULT_TENANT]
    assert stores.queue.extent().last == 1
    await stores.close()


async def test_where_one_does_not_open_the_others_are_closed(tmp_path, closed):
    (tmp_path / "log.sqlite").write_bytes(b"this is no database, and long enough to be seen as none" * 20)
    with pytest.raises(Failed) as raised:
        await opened(tmp_path)
    assert raised.value.code == "storage_failed"
    assert closed == [Database]

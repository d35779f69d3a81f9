"""The metering rooms of a platform, over stores that answer with what was acknowledged before the question."""

from ringmain.apps.server.fresh import (
    BILL_WAIT_S,
    QUERY_WAIT_S,
    FreshLoad,
    Freshness,
    FreshOutcomes,
    FreshTimeSeries,
    FreshWindows,
)
from ringmain.apps.server.stores import MAINTAINED_SIZES, Stores
from ringmain.metering.analytics import Analytics
from ringmain.metering.billing import Billing
from ringmain.metering.documents import Documents
from ringmain.metering.street import Street
from ringmain.ports.clock import Clock
from ringmain.ports.registry import Registry
from ringmain.services.ingestion.service import Ingestion


class MeteringRooms:
    """Wired once, by the house. A question waits for the store a moment; a bill waits long, or is refused."""

    def __init__(self, stores: Stores, registry: Registry, ingestion: Ingestion, clock: Clock) -> None:
        query = Freshness(ingestion, QUERY_WAIT_S, strict=False)
        bill = Freshness(ingestion, BILL_WAIT_S, strict=True)
        self.timeseries = FreshTimeSeries(stores.timeseries, query)
        self.outcomes = FreshOutcomes(stores.timeseries.outcomes, query)
        self.windows = FreshWindows(stores.timeseries.windows, query)
        self.documents = Documents(stores.ledger, registry, stores.directory, clock)
        billed = FreshTimeSeries(stores.timeseries, bill)
        self.billing = Billing(self.documents, stores.ledger, billed, registry, clock)
        self.analytics = Analytics(self.timeseries, registry, stores.directory)
        load = FreshLoad(stores.timeseries.load, query)
        self.street = Street(load, self.timeseries, registry, stores.directory, self.documents, clock, MAINTAINED_SIZES)

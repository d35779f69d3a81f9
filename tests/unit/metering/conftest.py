"""Ports of the vertical in memory, and the household of the Low Carbon London trial."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from ringmain.metering.data import sample_household
from ringmain.metering.documents import Documents
from ringmain.metering.interval_file import read_interval_file
from ringmain.metering.intervals import EnergyInterval
from ringmain.model.device import BUILT_IN_PROFILES, Device, LifecycleState
from ringmain.model.ids import DeviceId, DeviceKey, ProfileName, TenantId
from ringmain.model.site import Site
from ringmain.ports.ledger import BillRecord, Record
from ringmain.ports.timeseries import Reading

TENANT = TenantId("default")
HALF_HOUR_MS = 1_800_000


@pytest.fixture(scope="session")
def figures():
    vectors = Path(__file__).parents[2] / "vectors" / "lcl" / "figures.json"
    return json.loads(vectors.read_text())


@pytest.fixture(scope="session")
def household_rows():
    return tuple(read_interval_file(sample_household()))


@pytest.fixture(scope="session")
def household(household_rows):
    """Unique intervals of the whole file."""
    first = {}
    for row in household_rows:
        first.setdefault(row.start_ms, row.energy_wh)
    return tuple(EnergyInterval(at, at + HALF_HOUR_MS, energy) for at, energy in sorted(first.items()))


class MemoryLedger:
    def __init__(self):
        self.documents = {}
        self.issued = []

    async def put(self, tenant, kind, id, body, at_ms):
        versions = self.documents.setdefault((tenant, kind, id), [])
        if not versions or versions[-1].body != body:
            versions.append(Record(kind, id, len(versions) + 1, body))
        return versions[-1]

    async def get(self, tenant, kind, id, version=None):
        versions = self.documents.get((tenant, kind, id), [])
        return versions[-1 if version is None else version - 1] if versions else None

    async def page(self, tenant, kind, *, after, limit):
        ids = sorted(key[2] for key in self.documents if key[:2] == (tenant, kind) and key[2] > (after or ""))
        return [self.documents[tenant, kind, id][-1] for id in ids[:limit]]

    async def add_bill(self, tenant, account, period, sha256, body, at_ms):
        for bill in self.issued:
            if (bill.account, bill.period_start_ms, bill.period_end_ms, bill.sha256) == (account, *period, sha256):
                return bill
        self.issued.append(BillRecord(account, len(self.issued) + 1, *period, sha256, body, at_ms))
        return self.issued[-1]

    async def bills(self, tenant, account, *, after, limit):
        found = [bill for bill in self.issued if bill.number > after and bill.account == account][:limit]
        await asyncio.sleep(0)  # a real one answers from its thread: meanwhile others go on
        return found


class MemoryTimeSeries:
    def __init__(self):
        self.values = {}
        self.looks = 0

    def store(self, device, channel, pairs):
        self.values.setdefault((device, channel), {}).update(pairs)

    async def readings(self, device, channel, span, *, after, limit):
        self.looks += 1
        assert limit <= 10_000
        start = span.start if after is None else max(span.start, after[0] + 1)
        found = sorted(at for at in self.values.get((device, channel), {}) if start <= at < span.end)
        values = self.values.get((device, channel), {})
        return [Reading(device, channel, at, values[at]) for at in found[:limit]]


class MemoryRegistry:
    def __init__(self):
        self.known = {}

    def register(self, id, profile="meter", site="london"):
        key = DeviceKey(len(self.known) + 1)
        self.known[id] = Device(
            key, TENANT, DeviceId(id), ProfileName(profile), LifecycleState.ACTIVE, site, created_ms=0, state_since_ms=0
        )
        return key

    async def device(self, tenant, id):
        return self.known.get(id)


class MemoryDirectory:
    async def sites(self, tenant):
        return [Site("london", "Europe/London"), Site("main", "UTC")]

    async def profile(self, tenant, name):
        return next((each for each in BUILT_IN_PROFILES if each.name == name), None)


class StoppedClock:
    now = 1_700_000_000_000

    def now_ms(self):
        return self.now

    def monotonic_s(self):
        return 0.0


@pytest.fixture
def house():
    """Ports in memory and the documents over them."""
    ledger, registry, directory, clock = MemoryLedger(), MemoryRegistry(), MemoryDirectory(), StoppedClock()
    return SimpleNamespace(
        tenant=TENANT,
        ledger=ledger,
        registry=registry,
        directory=directory,
        clock=clock,
        timeseries=MemoryTimeSeries(),
        documents=Documents(ledger, registry, directory, clock),
    )

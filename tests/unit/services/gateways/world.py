"""Two tenants with gateways and meters on simulated homes, and a gateway that remembers what it is sent."""

import asyncio
from contextlib import asynccontextmanager

import msgspec

from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.credentials import Credentials
from ringmain.adapters.simulated.delegations import Delegations
from ringmain.adapters.simulated.directory import Directory
from ringmain.adapters.simulated.gateway_documents import GatewayDocuments
from ringmain.adapters.simulated.registry import Registry
from ringmain.model.device import LifecycleState
from ringmain.model.gateway import Count, GatewayReport, Roster, SettingsState, VersionedSettings, token_sha256
from ringmain.ports.registry import NewDevice
from ringmain.services.gateways.service import Gateways

REPORT = GatewayReport(
    version="1.2.3", at_ms=1_700_000_000_000, started_ms=1_600_000_000_000, settings_version=3,
    settings_state=SettingsState.CONFIRMED, settings_detail="", roster_version=7, meters_known=20, meters_connected=19,
    uplink="up", uplink_since_ms=1_650_000_000_000, uplink_connections=2, buffered_readings=5, buffered_bytes=50,
    file_bytes=4096, in_flight=1, backlog_readings=0, backlog_bytes=0, drain_s=None, books=(Count("forwarded", "", 9),),
)  # fmt: skip
KINDS = {"settings": VersionedSettings, "roster": Roster}


class World:
    """`gw` and `other` are gateways of `acme` with the meters m1 to m3; `rival` has a gateway and a meter too."""

    @classmethod
    async def made(cls):
        self = cls()
        self.clock = SimulatedClock(1_700_000_000_000)
        self.directory = Directory()
        self.registry = Registry(self.directory, Credentials(self.directory))
        for tenant in ("acme", "rival"):
            await self.directory.add_tenant(tenant, 0)
        active = LifecycleState.ACTIVE
        new = [NewDevice("gw", "gateway", active), NewDevice("other", "gateway", active)]
        new += [NewDevice(f"m{n}", "meter", active) for n in (1, 2, 3)]
        self.gw, self.other, self.m1, self.m2, self.m3 = await self.registry.add("acme", new, 0)
        rivals = [NewDevice("gw", "gateway", active), NewDevice("m1", "meter", active)]
        self.rival_gw, self.rival_m1 = await self.registry.add("rival", rivals, 0)
        self.devices = [self.gw, self.other, self.m1, self.m2, self.m3, self.rival_gw, self.rival_m1]
        self.port = GatewayDocuments(self.registry)
        self.delegations = Delegations(self.registry)
        self.tokens = {device.key: f"token of {device.id}" for device in self.devices}
        self.there = {device.key for device in self.devices}
        self.choked = False
        self.sent = []
        self.came = asyncio.Event()
        return self

    async def service(self):
        """A service as one start of the platform has it."""
        made = Gateways(
            self.delegations,
            self.port,
            self.registry,
            self.directory,
            self.clock,
            secrets=self._secrets,
            salt=lambda gateway: bytes((gateway,)) * 32,
            send=self._send,
            is_there=self.there.__contains__,
        )
        made.know(self.devices)
        await made.start()
        return made

    @asynccontextmanager
    async def running(self):
        """A service that runs."""
        made = await self.service()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(made.run())
            yield made
            task.cancel()

    async def _secrets(self, devices):
        return {key: [token_sha256(self.tokens[key])] for key in devices if key in self.tokens}

    def _send(self, gateway, name, body):
        self.came.set()
        if self.choked:
            return False
        self.sent.append((gateway, name, msgspec.json.decode(body, type=KINDS[name])))
        return True

    async def wait_for(self, count):
        """What was sent, once there are so many."""
        async with asyncio.timeout(5):
            while len(self.sent) < count:
                self.came.clear()
                await self.came.wait()
        return self.sent

    async def move(self, service, device, to):
        """What the lifecycle does: the database, then the news."""
        self.clock.advance(1)
        moved = await self.registry.move(device.key, device.state, to, self.clock.now_ms(), "test")
        service.device_changed(moved, device.state)
        return moved

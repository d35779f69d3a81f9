"""The edge of the world: the house of `ringmain edge`, whole, on simulated homes, with a real MQTT uplink (no TLS)."""

import asyncio

from tests.simulation import platform_node
from tests.simulation.durable import Durable, Store
from tests.simulation.lifetime import Lifetime
from tests.simulation.oracle import require

from ringmain.adapters.embedded.uplink_target import Target
from ringmain.adapters.simulated.blobs import SimulatedBlobs
from ringmain.adapters.simulated.buffer import SimulatedBuffer
from ringmain.apps.edge.compose import EdgeHouse, EdgeStores
from ringmain.apps.edge.membership import Membership
from ringmain.apps.edge.presence import EdgePresence
from ringmain.model.gateway import GatewaySettings
from ringmain.model.ids import DEFAULT_TENANT, DeviceId
from ringmain.protocols.mqtt.client_events import ClientSettings
from ringmain.protocols.mqtt.events import Limits

NAME, PORT, TOKEN = "edge", 1884, "secret-edge"
MEMBERSHIP = Membership(platform_node.NAME, platform_node.PORT, DEFAULT_TENANT, DeviceId(NAME), TOKEN)


def dial(settings: GatewaySettings) -> Target:
    """As `apps/edge/main` does, but for TLS."""
    return Target(
        settings.platform_host or MEMBERSHIP.host,
        settings.platform_port or MEMBERSHIP.port,
        ClientSettings(
            MEMBERSHIP.device,
            f"{MEMBERSHIP.tenant}/{MEMBERSHIP.device}",
            MEMBERSHIP.token.encode(),
            keep_alive_s=settings.keep_alive_s,
            answer_s=float(settings.answer_s),
        ),
    )


async def open_stores(mount) -> EdgeStores:
    """A buffer and documents in two files. What is settled needs no sync: it would be sent again, and recognised."""
    buffer = Store(mount, "buffer", {"buffer": SimulatedBuffer()})
    documents = Store(mount, "documents", {"blobs": SimulatedBlobs()})
    for each in (buffer, documents):
        await each.open()
    return EdgeStores(
        Durable(buffer, "buffer", {"append": True, "settle": False, "replace": True}, ("wait",)),
        Durable(documents, "blobs", {"put": True, "remove": True}),
        EdgePresence(),
        lambda _: None,
    )


class Edge(Lifetime):
    """The program of the edge's node."""

    async def open(self, mount) -> EdgeHouse:
        stores = await open_stores(mount)
        return await EdgeHouse(MEMBERSHIP, stores, self.node.clock, self.world.chance, dial, Limits()).open()

    async def serve(self, house: EdgeHouse, tasks: asyncio.TaskGroup):
        running = [tasks.create_task(work, name=name) for name, work in house.work()]
        door = house.mqtt_door(tasks)
        return running, door, await asyncio.get_running_loop().create_server(door.protocol, port=PORT)

    def check_books(self) -> None:
        """Everything that was taken is settled, and nothing was dropped."""
        status = self.house.stores.buffer.status()
        require(status.taken == status.settled, f"the edge took {status.taken} readings and settled {status.settled}")
        require(not status.dropped, f"the edge dropped {status.dropped}")

    @property
    def is_empty(self) -> bool:
        """Whether everything that it took is settled."""
        return self.house is not None and not self.house.stores.buffer.status().readings

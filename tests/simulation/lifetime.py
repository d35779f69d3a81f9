"""The life of a box's program, as `apps/server/main` and `apps/edge/main` lead it, without signals, TLS and HTTP."""

import asyncio

from tests.simulation.node import Node, Process
from tests.simulation.oracle import require

from ringmain.model.errors import Failed
from ringmain.model.session import SessionState


class Lifetime:
    """Opens a house, serves, ends in order when it is asked to, and at once when a store broke."""

    def __init__(self, world, name: str):
        self.world = world
        self.node: Node = world.add(name, self.run)
        self.stopping: asyncio.Event | None = None
        self._open: tuple[Process, object] | None = None

    @property
    def house(self):
        """The house while its doors are open."""
        if self._open and self._open[0] is self.node.process:
            return self._open[1]
        return None

    @property
    def is_sound(self) -> bool:
        """Whether it is up and has no reason to start anew."""
        return self.house is not None and not self.house.broken.is_set()

    def stop(self) -> bool:
        """SIGTERM."""
        if self.house is None or self.stopping.is_set():
            return False
        self.stopping.set()
        return True

    async def run(self, mount) -> None:
        try:
            house = await self.open(mount)
        except (Failed, OSError) as failed:
            self.world.note(f"{self.node.name} does not start: {failed}")
            return
        stopping = self.stopping = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            running, door, listener = await self.serve(house, tasks)
            self._open = self.node.process, house
            await _first(stopping, house.broken)
            self._open = None
            house.draining = True
            listener.close()
            if not house.broken.is_set():
                await house.intake.drain()
            door.close_all()
            for task in running:
                task.cancel()
        if not house.broken.is_set():
            await house.close()

    def check_sessions(self) -> None:
        """At any moment: the connection that a session names keeps it from being OFFLINE."""
        house = self.house
        if house is None:
            return
        for key, of_device in house.connections._open.items():
            session = house.sessions.get(key)
            named = any(it._epoch == session.epoch for it in of_device.values())
            require(
                not named or session.state is not SessionState.OFFLINE,
                f"{self.node.name}: device {key} is OFFLINE, and the connection of its session is open",
            )

    def require_seen(self, key, name: str) -> None:
        """Its connection is open, so it is not OFFLINE."""
        state = self.house.sessions.get(key).state
        require(state is not SessionState.OFFLINE, f"{name} is connected to {self.node.name} and shown {state.name}")


async def _first(*events: asyncio.Event) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()

"""The uplink, simulated: a platform that answers when it is told to, or by itself."""

import asyncio
from collections.abc import Callable

from ringmain.model.errors import Failed

Answer = Callable[[str, bytes], None]
"""What the platform does with a message: returns (acknowledged) or raises `Refused` or `Failed`."""


class SimulatedUplink:
    """Home of `ports.uplink.Uplink`. `connect` and `cut` bring it up and down; while `held`, nothing is answered."""

    def __init__(self, answer: Answer = lambda _, __: None) -> None:
        self.answer = answer
        self.is_up = False
        self.connections = 0
        self.held = False
        self.payload_bytes_max = 1_000_000
        self.sent: list[tuple[str, bytes]] = []
        """Everything that was acknowledged, in order."""
        self._waiting: list[tuple[str, bytes, asyncio.Future[None]]] = []
        self._came_up = asyncio.Event()

    async def up(self) -> None:
        """See `ports.uplink`."""
        while not self.is_up:
            await self._came_up.wait()

    async def send(self, name: str, payload: bytes) -> None:
        """See `ports.uplink`."""
        if not self.is_up:
            raise Failed("unavailable", "the uplink is down")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((name, payload, done))
        if not self.held:
            asyncio.get_running_loop().call_soon(self.answer_all)
        await done

    @property
    def waiting(self) -> int:
        """Messages that were sent and not answered."""
        return len(self._waiting)

    def answer_all(self) -> None:
        """Answer what was sent, in order."""
        waiting, self._waiting = self._waiting, []
        for name, payload, done in waiting:
            if done.done():
                continue
            try:
                self.answer(name, payload)
            except Exception as error:  # noqa: BLE001 - handed to who sent it
                done.set_exception(error)
            else:
                self.sent.append((name, payload))
                done.set_result(None)

    def connect(self) -> None:
        """A new connection."""
        self.is_up = True
        self.connections += 1
        self._came_up.set()

    def cut(self, *, arrived: bool = False) -> None:
        """The connection is gone. What was under way has `arrived` or not; who sent it can not know."""
        self.is_up = False
        self._came_up = asyncio.Event()
        waiting, self._waiting = self._waiting, []
        for name, payload, done in waiting:
            if arrived:
                self.sent.append((name, payload))
            if not done.done():
                done.set_exception(Failed("unavailable", "the uplink was cut"))

"""A machine of the world: a host on the network, a disk, and a process that can die at any moment."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context

from tests.simulation.disk import Disk, Mount

from ringmain.transports.simulated import CALLER

PROCESS: ContextVar["Process | None"] = ContextVar("PROCESS", default=None)
"""Whose code is running; None is the world itself."""

EPOCH_MS = 1_780_000_000_000
"""Where the wall clocks of all machines stand at virtual second 0."""

CANCEL_ROUNDS_MAX = 1_000


class Process:
    """One start of a program, with every task and timer it has."""

    def __init__(self, node: "Node", mount: Mount):
        self.node, self.mount = node, mount
        self.tasks: dict[asyncio.Task, None] = {}
        self.alive = True


def keep_tasks(loop, coro, **options):
    """Task factory: every task belongs to the process that made it."""
    context = options.get("context")
    process = context.get(PROCESS) if context else PROCESS.get()
    task = asyncio.Task(coro, loop=loop, **options)
    if process:
        process.tasks[task] = None
        task.add_done_callback(lambda it: process.tasks.pop(it, None))
    return task


class Clock:
    """A machine's clocks: virtual time, with an error and a drift of its own."""

    def __init__(self, loop, error_s: float = 0.0, drift: float = 0.0):
        self._loop = loop
        self.error_s, self.drift = error_s, drift

    def now_ms(self) -> int:
        return EPOCH_MS + int((self._loop.time() * (1 + self.drift) + self.error_s) * 1000)

    def monotonic_s(self) -> float:
        return self._loop.time()


class Node:
    """`program` is what runs on it, given the mounted disk; it returns when the process ended by itself."""

    def __init__(self, world, name: str, program: Callable[[Mount], Coroutine[None, None, None]]):
        self.world = world
        self.name = name
        self.host = world.network.host(name)
        self.disk = Disk(world.chance, lambda text: world.note(f"{name}: {text}"))
        self.clock = Clock(world.loop)
        self.program = program
        self.process: Process | None = None
        self.starts = self.crashes = 0
        self._restart: asyncio.TimerHandle | None = None

    @property
    def is_running(self) -> bool:
        return self.process is not None

    def start(self) -> None:
        """Power it on and run the program; again, where it ends without being told to."""
        if self._restart:
            self._restart.cancel()
            self._restart = None
        if self.process:
            return
        self.host.is_up = True
        self.starts += 1
        self.world.note(f"{self.name} starts")
        process = self.process = Process(self, self.disk.mount())
        context = copy_context()
        context.run(CALLER.set, self.host)
        context.run(PROCESS.set, process)
        main = self.world.loop.create_task(self.program(process.mount), context=context, name=self.name)
        main.add_done_callback(lambda task: self._ended(process, task), context=self.world.context)

    def _ended(self, process: Process, task: asyncio.Task) -> None:
        if process is not self.process or not process.alive:
            return
        error = None if task.cancelled() else task.exception()
        if error:
            self.world.violated(f"{self.name} failed: {error!r}", error)
        self.world.note(f"{self.name} ends")
        self.process = None
        self._bury(process)
        self.host.end_process()
        self.disk.end_process()
        self.restart_in(self.world.chance.uniform(0.2, 1.0))

    def crash(self, *, power: bool, down_s: float | None) -> None:
        """SIGKILL, or the power goes; and back after `down_s`, if it comes back."""
        process, self.process = self.process, None
        if process is None:
            return
        self.crashes += 1
        self.world.note(f"{self.name} {'loses power' if power else 'is killed'}")
        process.alive = False
        if power:
            self.host.lose_power(self.world.chance)
            self.disk.lose_power()
        else:
            self.host.end_process()
            self.disk.end_process()
        self._bury(process)
        if down_s is not None:
            self.restart_in(down_s)

    def restart_in(self, seconds: float) -> None:
        self._restart = self.world.loop.call_later(seconds, self.start, context=self.world.context)

    def _bury(self, process: Process) -> None:
        """Nothing that belongs to it runs again, but for the end of its tasks. Its disk and network are gone already,
        so whatever they do on the way out reaches nobody.
        """
        process.alive = False
        loop = self.world.loop
        for task in list(process.tasks):
            task.cancel()
        for handle in loop._scheduled:
            if handle._context.get(PROCESS) is process:
                handle.cancel()


async def settled(process: Process) -> None:
    """Wait until every task of a buried process is over."""
    for _ in range(CANCEL_ROUNDS_MAX):
        if not process.tasks:
            return
        for task in list(process.tasks):
            task.cancel()
        await asyncio.sleep(0)
    raise AssertionError(f"{process.node.name}: tasks do not end: {list(process.tasks)[:3]}")

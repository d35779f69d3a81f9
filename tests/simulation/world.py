"""One seed's world: platform and meters in one process, under one virtual time; and what must be true of it.

Everything that happens by chance is drawn from the seed, so a seed is a whole history: `python -m
tests.simulation.run --seed N --trace` tells it again.
"""

import asyncio
import gc
import logging
from contextvars import copy_context
from dataclasses import dataclass
from hashlib import sha256
from random import Random

from tests.simulation import edge_node, platform_node
from tests.simulation.edge_node import Edge
from tests.simulation.faults import Faults
from tests.simulation.lifetime import Lifetime
from tests.simulation.meter import Meter, Plan
from tests.simulation.node import PROCESS, Node, keep_tasks
from tests.simulation.oracle import Oracle, Violation
from tests.simulation.platform_node import Platform

from ringmain.model.errors import Failed
from ringmain.transports.simulated import SimulatedNetwork
from ringmain.transports.simulated_line import Conditions
from ringmain.transports.simulated_loop import VirtualLoop

LIVENESS_S_MAX = 300.0
"""Virtual seconds after the last fault in which everything has to be delivered and acknowledged. The slowest timer on
the way is a keep-alive of 30 s, of which the door waits 1.5; backoffs end at some seconds.
"""

ENDING_TURNS_MAX = 1_000
"""Turns of the loop for everybody to be over after being cancelled."""

LAST_BLOW_S = 3.0
"""What the last fault set off comes out within so long: a failed sync ends the process half a second later."""

LOOK_EVERY_S = 1.0


@dataclass
class Outcome:
    """What a seed came to."""

    seed: int
    trace: str
    virtual_s: float
    readings: int
    acknowledgements: int
    again: int
    crashes: int
    torn: int
    duplicates: int
    has_edge: bool
    faults: dict[str, int]
    violation: str = ""


class World:
    """Built by a seed. `run` it once."""

    def __init__(self, seed: int, tell=None):
        self.seed = seed
        self.chance = Random(seed)
        self.loop = VirtualLoop()
        self.loop.set_task_factory(keep_tasks)
        self.loop.set_exception_handler(self._unhandled)
        self.context = copy_context()
        self._tell = tell
        self._trace = sha256()
        self.network = SimulatedNetwork(self.loop, self.chance, self.note, Conditions())
        self.loop.network = self.network
        self.oracle = Oracle()
        self.violations: list[str] = []
        self.failure: BaseException | None = None
        self._life: asyncio.Task | None = None
        self.nodes: dict[str, Node] = {}
        self._build()

    def _build(self) -> None:
        chance = self.chance
        self.program = Platform(self, lazy_store=chance.random() < 0.5)
        self.platform = self.program.node
        self.platform.disk.fragile = ("log", "log", "registry")
        self.programs: list[Lifetime] = [self.program]
        self.edge: Edge | None = None
        self.pairs = []
        if chance.random() < 0.7:
            self.edge = Edge(self, edge_node.NAME)
            self.edge.node.disk.fragile = ("buffer", "buffer", "documents")
            self.programs.append(self.edge)
            self.pairs += [(edge_node.NAME, platform_node.NAME)] * 3
        self.boxes = [program.node for program in self.programs]
        plans = [self._plan(n) for n in range(chance.randint(2, 5))]
        self.meters = {plan.name: Meter(self, plan) for plan in plans}
        self.meter_nodes = [self.add(name, meter.run) for name, meter in self.meters.items()]
        self.pairs += [(plan.name, plan.where) for plan in plans]
        self.quarantined = chance.choice((None, *(plan.name for plan in plans if plan.where == platform_node.NAME)))

    def add(self, name: str, program) -> Node:
        """A machine with that program."""
        node = self.nodes[name] = Node(self, name, program)
        return node

    def _plan(self, number: int) -> Plan:
        chance = self.chance
        box = edge_node if self.edge and chance.random() < 0.7 else platform_node
        return Plan(
            name=f"meter-{number}",
            token=f"secret-{number}",
            where=box.NAME,
            port=box.PORT,
            hasty=chance.random() < 0.3,
            every_s=chance.choice((1.0, 2.5)),
            per_message_max=chance.choice((1, 1, 4)),
            keep_alive_s=chance.choice((5, 12, 30)),
            stall_s=chance.choice((3.0, 8.0)),
            window=chance.choice((1, 4, 64)),
            changes_name=chance.random() < 0.5,
        )

    # -- what happens ---------------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """One line of the history."""
        line = f"{self.loop.time():.6f} {text}\n"
        self._trace.update(line.encode())
        if self._tell:
            self._tell(line)

    def violated(self, text: str, error: BaseException | None = None) -> None:
        self.note(f"VIOLATION {text}")
        self.violations.append(text)
        self.failure = self.failure or error
        if self._life:
            self._life.cancel()

    def _unhandled(self, _, context) -> None:
        error = context.get("exception")
        self.violated(f"unhandled: {context.get('message')}: {error!r}", error)

    async def _live(self) -> None:
        chance = self.chance
        await self._up(self.platform)
        await self.program.furnish(
            [it.plan for it in self.meters.values()],
            quarantined=self.quarantined,
            edge=(edge_node.NAME, edge_node.TOKEN) if self.edge else None,
            behind=[it.plan.name for it in self.meters.values() if it.plan.where == edge_node.NAME],
        )
        for node in self.boxes:
            node.start()
        for node in self.meter_nodes:
            node.start()
        faults = self.faults = Faults(self)
        looking = self.loop.create_task(self._look())
        activating = self.loop.create_task(self._activate(chance.uniform(0, 40)))
        await faults.run(self.loop.time() + chance.choice((40, 80)))
        for meter in self.meters.values():
            meter.counting = False
        await activating
        await asyncio.sleep(LAST_BLOW_S)
        await self._delivered()
        looking.cancel()
        if self.edge:
            self.edge.check_books()
        await self.program.check_all(self.oracle, self.meters)
        await self._everybody_is_seen()

    async def _up(self, node: Node) -> None:
        node.start()
        while self.program.house is None:
            await asyncio.sleep(0.05)

    async def _activate(self, after_s: float) -> None:
        """The operator's click on the device that waits, again and again until it is done."""
        await asyncio.sleep(after_s)
        while self.quarantined:
            process, house = self.platform.process, self.program.house
            if process and house and process.alive:
                click = self.operate(self.program.activate(house, self.quarantined))
                done, _ = await asyncio.wait((click,), timeout=5)
                if done and not click.cancelled() and click.exception() is None and click.result():
                    self.note(f"{self.quarantined} is active")
                    return
            await asyncio.sleep(0.5)

    def operate(self, work) -> asyncio.Task:
        """What an operator does on the platform: it ends with the platform's process."""
        context = copy_context()
        context.run(PROCESS.set, self.platform.process)
        return self.loop.create_task(work, context=context)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                for program in self.programs:
                    program.check_sessions()
            except Violation as error:
                self.violated(str(error))

    async def _delivered(self) -> None:
        """Liveness: without faults everything is acknowledged in bounded time."""
        ends_s = self.loop.time() + LIVENESS_S_MAX
        while self.loop.time() < ends_s:
            if not self.oracle.outstanding() and self._is_calm() and not self._unsent():
                self.note("all delivered")
                return
            await asyncio.sleep(0.5)
        left = {name: len(rows) - len(self.oracle.acked.get(name, {})) for name, rows in self.oracle.readings.items()}
        left["buffered"] = self.edge.house.stores.buffer.status().readings if self.edge and self.edge.house else 0
        raise Violation(f"not everything was acknowledged {LIVENESS_S_MAX:g} s after the last fault: {left}")

    def _is_calm(self) -> bool:
        return all(program.is_sound for program in self.programs) and (self.edge is None or self.edge.is_empty)

    def _unsent(self) -> bool:
        return any(meter.client is None or meter.client.unacknowledged for meter in self.meters.values())

    async def _everybody_is_seen(self) -> None:
        """A meter that holds its connection is not OFFLINE; after every late disconnect had its time."""
        await asyncio.sleep(50)
        for name, meter in self.meters.items():
            if meter.link and not meter.link.over.done():
                program = self.edge if meter.plan.where == edge_node.NAME else self.program
                program.require_seen(await self.program.key_of(name), name)
        for program in self.programs:
            program.check_sessions()

    def run(self) -> Outcome:
        """Live through it; the outcome names the first violation."""
        with _Logs(self):
            try:
                self._life = self.loop.create_task(self._live())
                self.loop.run_until_complete(self._life)
            except (Exception, asyncio.CancelledError) as error:
                self._life = None
                if not self.violations:
                    self.violated(f"{type(error).__name__}: {error}", error)
            finally:
                self._end()
        return Outcome(
            seed=self.seed,
            trace=self._trace.hexdigest(),
            virtual_s=self.loop.time(),
            readings=sum(map(len, self.oracle.readings.values())),
            acknowledgements=self.oracle.acknowledgements,
            again=self.oracle.again,
            crashes=sum(node.crashes for node in self.nodes.values()),
            torn=sum(node.disk.torn for node in self.nodes.values()),
            duplicates=self.oracle.duplicates,
            has_edge=self.edge is not None,
            faults=self.faults.counts if hasattr(self, "faults") else {},
            violation=self.violations[0] if self.violations else "",
        )

    def _end(self) -> None:
        """Take everything down, without a word."""
        self._tell, self._life = None, None
        self.loop.set_exception_handler(lambda *_: None)
        for node in self.nodes.values():
            node.crash(power=False, down_s=None)
        for _ in range(ENDING_TURNS_MAX):
            left = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))
        else:
            self.violations.append(f"tasks do not end: {[task.get_name() for task in left]}")
        self.loop.close()


class _Logs(logging.Handler):
    """What the rooms say: into the trace; and a traceback in a log is a fault of ours."""

    def __init__(self, world: World):
        super().__init__(logging.INFO)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        process = PROCESS.get()
        if process and not process.alive:
            return
        if record.exc_info and not isinstance(record.exc_info[1], Failed):
            self._world.violated(f"logged: {record.getMessage()}: {record.exc_info[1]!r}", record.exc_info[1])
        elif self._world._tell:
            self._world._tell(f"{self._world.loop.time():.6f}   {record.name}: {record.getMessage()}\n")

    def __enter__(self):
        self._root = logging.getLogger()
        self._before = self._root.handlers[:], self._root.level
        self._root.handlers[:] = [self]
        self._root.setLevel(logging.INFO if self._world._tell else logging.ERROR)
        self._gc = gc.isenabled()
        gc.disable()

    def __exit__(self, *_):
        self._root.handlers[:] = self._before[0]
        self._root.setLevel(self._before[1])
        if self._gc:
            gc.enable()


def live(seed: int, tell=None) -> Outcome:
    """The outcome of one seed."""
    return World(seed, tell).run()

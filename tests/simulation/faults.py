"""What goes wrong: drawn from the seed, one thing after another, until the faults end and everything comes back."""

import asyncio

from ringmain.model.gateway import GatewaySettings

LATENCY_S = (0.001, 0.02)
CLOCK_ERROR_S = 60.0
"""Beyond an interval or two a step makes devices stale until their next report, and that is as it should be."""


class Faults:
    """The saboteur of one world."""

    def __init__(self, world):
        self.world = world
        self.chance = world.chance
        self.counts: dict[str, int] = {}
        self._ends: list[asyncio.TimerHandle] = []
        chance = self.chance
        # Each seed has its own taste: with all of it all the time, the rarer meetings of two faults would be rarer.
        self._weights = {
            kind: weight * chance.choice((0, 1, 1, 4))
            for kind, weight in (
                (self.cut, 4),
                (self.half_open, 3),
                (self.partition, 3),
                (self.slow, 2),
                (self.kill, 3),
                (self.power, 3),
                (self.crash_in_sync, 3),
                (self.crash_meter, 2),
                (self.disk_full, 1),
                (self.sync_fails, 1),
                (self.stop_orderly, 1),
                (self.step_clock, 1),
                (self.new_settings, 1),
            )
        }
        if not any(self._weights.values()):
            self._weights = dict.fromkeys(self._weights, 1)
        self._pause_s = chance.choice((1.0, 3.0, 8.0))

    async def run(self, until_s: float) -> None:
        """Sabotage until then, and repair everything."""
        loop, chance = self.world.loop, self.chance
        while loop.time() < until_s:
            await asyncio.sleep(chance.expovariate(1 / self._pause_s))
            kinds = list(self._weights)
            (kind,) = chance.choices(kinds, [self._weights[it] for it in kinds])
            if kind():
                name = kind.__name__
                self.counts[name] = self.counts.get(name, 0) + 1
                self.world.note(f"fault {name}")
        self.repair()

    def repair(self) -> None:
        """The faults end: what is blocked opens, who is down starts, disks have room."""
        world = self.world
        world.note("the faults end")
        for timer in self._ends:
            timer.cancel()
        for line in world.network.lines():
            line.latency_s = LATENCY_S
            if line.blocked:
                line.open(self.chance)
        for node in world.nodes.values():
            node.disk.full = False
            node.disk.failing.clear()
            node.disk.on_sync = None
            node.start()

    def _later(self, seconds: float, work, *args) -> None:
        self._ends.append(self.world.loop.call_later(seconds, work, *args, context=self.world.context))

    # -- the network ----------------------------------------------------------------------------------------

    def _connection(self):
        open_ones = self.world.network.connections()
        return self.chance.choice(open_ones) if open_ones else None

    def cut(self) -> bool:
        connection = self._connection()
        if connection:
            self.world.network.cut(connection)
        return connection is not None

    def half_open(self) -> bool:
        """Nobody hears of it; sometimes one direction still works."""
        connection = self._connection()
        if connection is None:
            return False
        ways = self.chance.choice(((connection,), (connection.peer,), (connection, connection.peer)))
        for end in ways:
            end.mute()
        return True

    def _pair(self):
        pairs = self.world.pairs
        one, other = self.chance.choice(pairs)
        there, back = self.world.network.line(one, other), self.world.network.line(other, one)
        return self.chance.choice(((there,), (back,), (there, back), (there, back)))

    def partition(self) -> bool:
        lines = [line for line in self._pair() if not line.blocked]
        for line in lines:
            line.block()
            self._later(self.chance.choice((0.5, 3, 12, 40)) * self.chance.random(), line.open, self.chance)
        return bool(lines)

    def slow(self) -> bool:
        lines = self._pair()
        worst_s = self.chance.choice((0.1, 1.0, 5.0))
        for line in lines:
            line.latency_s = (0.001, worst_s)
            self._later(self.chance.uniform(1, 20), setattr, line, "latency_s", LATENCY_S)
        return True

    # -- machines -------------------------------------------------------------------------------------------

    def _box(self):
        return self.chance.choice(self.world.boxes)

    def _down_s(self) -> float:
        return self.chance.choice((0.2, 2.0, 15.0)) * self.chance.random()

    def kill(self) -> bool:
        return self._crash(self._box(), power=False)

    def power(self) -> bool:
        return self._crash(self._box(), power=True)

    def _crash(self, node, *, power: bool) -> bool:
        was_running = node.is_running
        down_s = self._down_s()
        node.crash(power=power, down_s=down_s)
        if was_running and self.chance.random() < 0.3:
            # and again as soon as it is back: what a start has read is not yet what the disk holds
            again_s = self.chance.choice((0.1, 3.0)) * self.chance.random()
            self._later(down_s + again_s, lambda: node.crash(power=True, down_s=self._down_s()))
        return was_running

    def crash_in_sync(self) -> bool:
        """The power goes while the disk works: the moment that everything is built for."""
        node = self._box()
        left = self.chance.randint(0, 6)

        def on_sync():
            nonlocal left
            left -= 1
            if left < 0:
                node.disk.on_sync = None
                power = self.chance.random() < 0.6
                self._later(self.chance.uniform(0, 0.01), lambda: self._crash(node, power=power))

        node.disk.on_sync = on_sync
        return True

    def crash_meter(self) -> bool:
        node = self.chance.choice(self.world.meter_nodes)
        was_running = node.is_running
        node.crash(power=self.chance.random() < 0.7, down_s=self._down_s())
        return was_running

    def stop_orderly(self) -> bool:
        return self.chance.choice(self.world.programs).stop()

    def step_clock(self) -> bool:
        """Somebody corrects the wall clock; timers run on."""
        self._box().clock.error_s = self.chance.uniform(-CLOCK_ERROR_S, CLOCK_ERROR_S)
        return True

    def new_settings(self) -> bool:
        """Somebody gives the edge other settings; some of them lead nowhere, and it has to come back from there."""
        if self.world.edge is None or self.world.program.house is None:
            return False
        chance = self.chance
        settings = GatewaySettings(
            platform_port=chance.choice((0, 0, 9)),
            keep_alive_s=chance.choice((5, 20)),
            answer_s=chance.choice((2, 15)),
            commit_every_ms=chance.choice((0, 100, 1000)),
            send_every_ms=chance.choice((0, 500, 3000)),
            confirm_s=chance.choice((5, 30)),
        )
        self.world.operate(self.world.program.put_settings(self.world.edge.node.name, settings))
        return True

    # -- disks ----------------------------------------------------------------------------------------------

    def disk_full(self) -> bool:
        disk = self._box().disk
        disk.full = True
        self._later(self.chance.uniform(0.5, 10), setattr, disk, "full", False)
        return True

    def sync_fails(self) -> bool:
        node = self._box()
        node.disk.failing.add(self.chance.choice(node.disk.fragile))
        return True

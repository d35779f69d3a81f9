"""The storm over a town that is played: what counts as a kill, what is waited for, and what ends it."""

import time

import msgspec
import pytest

from ringmain.apps.lab import storm as storm_module
from ringmain.apps.lab.edge import EdgeStatus
from ringmain.apps.lab.faults import Kill, LinkFault, Plan
from ringmain.apps.lab.processes import StepFailed
from ringmain.apps.lab.relay import Stats
from ringmain.apps.lab.storm import Town, storm
from ringmain.simulator.progress import Entry

pytestmark = pytest.mark.slow  # seconds together; the fast tier has its neighbours

QUIET = Stats(*("pass", *[0] * 11))
CUT = LinkFault("cut", 0.0, ("cut",), 0.0)
HOLE = LinkFault("black-hole", 0.0, ("black-hole",), 0.01)


class Process:
    """A child that is alive until it is told otherwise."""

    def __init__(self, code=None):
        self.code, self.killed = code, 0

    def exit_code(self):
        return self.code

    def check_alive(self):
        if self.code is not None:
            raise StepFailed("ended unasked")

    def failed(self, what):
        return StepFailed(what)


class PlayedBox:
    """Ready `looks` looks after each start; `on_kill` is told."""

    def __init__(self, looks=2, on_kill=lambda: None):
        self.child, self.looks, self.left, self.starts = self, looks, 0, 0
        self.on_kill = on_kill
        self.kills = []
        self.gone = False

    def check_alive(self):
        if self.gone:
            raise StepFailed("ended unasked")

    def kill(self):
        at_s = time.monotonic()
        self.kills.append(at_s)
        self.on_kill()
        return at_s

    def start(self):
        self.starts += 1
        self.left = self.looks

    def is_ready(self):
        self.left -= 1
        return self.left <= 0


class World:
    """A meter that says ten and hears of four; an edge that took 100 and has 60 forwarded; a relay."""

    def __init__(self, tmp_path):
        self.diary = tmp_path / "diary"
        self.entries = []
        self.note(1, 10, 4)
        self.status = EdgeStatus(True, 1, 3, 1, 1, forwarded=60, buffered=40, given_up=0)
        self.told = []
        self.carried = 1
        self.stats = msgspec.structs.replace(QUIET, open=1)
        self.edge = PlayedBox(on_kill=self.meter_comes_again)
        self.platform = PlayedBox()
        self.meter, self.relay_child = Process(), Process()

    def note(self, connection, sent, acknowledged):
        self.entries.append(Entry(time.monotonic(), connection, True, sent, acknowledged))
        self.diary.write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in self.entries))

    def meter_comes_again(self):
        self.note(self.entries[-1].connection + 1, 10, 4)

    def tell(self, command):
        self.told.append(command)
        self.status = msgspec.structs.replace(self.status, forwarded=self.status.forwarded + self.carried)
        return self.stats

    def brew(self, *kills, link=()):
        town = Town(self.platform, self.edge, self, self.relay_child, self.meter, self.diary, lambda: self.status)
        self.said = []
        return storm(Plan(tuple(link), tuple(kills)), town, self.said.append)

    @property
    def commands(self):
        return [command for command in self.told if command != "stats"]


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(storm_module, "TICK_S", 0.001)
    monkeypatch.setattr(storm_module, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(storm_module, "WATCH_EVERY_S", 0.0)
    monkeypatch.setattr(storm_module, "ARM_S_MAX", 0.3)
    return World(tmp_path)


def test_a_meter_that_is_done_too_soon_ends_it(world):
    world.meter.code = 0
    with pytest.raises(StepFailed, match="was done before the storm was"):
        world.brew(link=[HOLE])


def test_a_relay_that_dies_ends_it(world):
    world.relay_child.code = 1
    with pytest.raises(StepFailed, match="ended unasked"):
        world.brew(link=[HOLE])


@pytest.mark.parametrize("box", ["edge", "platform"])
def test_a_box_that_dies_though_nobody_killed_it_ends_it(world, box):
    getattr(world, box).gone = True
    with pytest.raises(StepFailed, match="ended unasked"):
        world.brew(link=[HOLE])


def test_an_uplink_that_never_comes_back_ends_it(world):
    world.stats = msgspec.structs.replace(QUIET, open=2, dead=2)
    with pytest.raises(StepFailed, match=r"the uplink did not come back within 0\.3 s"):
        world.brew(link=[CUT])
    assert world.commands == []


def test_a_meter_with_nothing_unacknowledged_spares_the_edge(world):
    world.note(1, 10, 10)
    with pytest.raises(StepFailed, match="the meter had nothing unacknowledged"):
        world.brew(Kill("edge", 0.0))
    assert world.edge.kills == []


@pytest.mark.parametrize("change", [{"in_flight": 0}, {"uplink_is_up": False}])
def test_an_edge_with_nothing_on_its_way_spares_the_platform(world, change):
    world.status = msgspec.structs.replace(world.status, **change)
    with pytest.raises(StepFailed, match="the edge had nothing on its way"):
        world.brew(Kill("platform", 0.0))
    assert world.platform.kills == []


def test_a_meter_that_does_not_come_back_ends_it(world):
    world.edge.on_kill = lambda: None
    with pytest.raises(StepFailed, match="the meter did not come back to the edge"):
        world.brew(Kill("edge", 0.0))


def test_an_uplink_that_carries_nothing_is_spared_by_all_but_a_cut(world):
    world.carried = 0
    world.brew(link=[CUT])
    with pytest.raises(StepFailed, match="the uplink did not come back"):
        world.brew(
            link=[msgspec.structs.replace(CUT, carrying=False), msgspec.structs.replace(CUT, carrying=False), HOLE]
        )
    assert world.commands == ["cut", "pass", "pass", "cut", "pass", "cut", "pass"]


def test_an_edge_that_got_nothing_through_since_the_last_fault_spares_the_platform(world):
    world.carried = 0
    with pytest.raises(StepFailed, match="the edge had nothing on its way"):
        world.brew(Kill("platform", 0.05), link=[CUT])
    assert world.platform.kills == []


def test_faults_are_told_in_order_and_each_is_taken_back(world):
    delay = LinkFault("delay", 0.0, ("delay 20 5",), 0.0)
    refuse = LinkFault("refuse", 0.0, ("refuse", "cut"), 0.0)
    damage = world.brew(link=[CUT, HOLE, delay, refuse, CUT])
    assert world.commands == [
        *("cut", "pass", "black-hole", "pass", "delay 20 5", "pass", "refuse", "cut", "pass", "cut", "pass"),
        "pass",
    ]
    assert damage.faults == {"cut": 2, "black-hole": 1, "delay": 1, "refuse": 1}


def test_kills_count_with_what_they_hit_and_both_boxes_come_back(world):
    world.edge.on_kill = world.meter_comes_again
    damage = world.brew(Kill("edge", 0.0), Kill("platform", 0.0), Kill("edge", 0.0))
    assert damage.unacknowledged_at_kill == {"edge": [6, 6], "platform": [40]}
    assert (world.edge.starts, world.platform.starts, damage.kills_idle) == (2, 1, 0)
    assert damage.edge_backlog_max == 40
    assert world.said == [
        "edge killed with 6 messages of the meter unacknowledged, and back",
        "platform killed with 40 readings of the edge unacknowledged, and back",
        "edge killed with 6 messages of the meter unacknowledged, and back",
    ]


def test_a_kill_of_the_edge_that_hit_nothing_after_all_is_repeated(world):
    def answered_in_time():
        world.note(1, 10, 10)
        world.note(2, 10, 10)
        world.note(2, 20, 10)
        world.edge.on_kill = lambda: world.note(3, 20, 15)

    world.edge.on_kill = answered_in_time
    damage = world.brew(Kill("edge", 0.0))
    assert (damage.unacknowledged_at_kill["edge"], damage.kills_idle, len(world.edge.kills)) == ([10], 1, 2)


def test_a_kill_of_the_platform_whose_answers_were_on_their_way_is_repeated(world):
    def answered_in_time():
        world.status = msgspec.structs.replace(world.status, forwarded=100, buffered=50)
        world.platform.on_kill = lambda: None

    world.platform.on_kill = answered_in_time
    damage = world.brew(Kill("platform", 0.0))
    assert (damage.unacknowledged_at_kill["platform"], damage.kills_idle) == ([50], 1)


def test_what_the_next_connection_acknowledges_does_not_absolve(world):
    def reconnected():
        world.status = msgspec.structs.replace(world.status, uplink_connections=2, forwarded=100, buffered=0)

    world.platform.on_kill = reconnected
    assert world.brew(Kill("platform", 0.0)).unacknowledged_at_kill["platform"] == [40]


def test_kills_that_hit_nothing_again_and_again_end_it(world, monkeypatch):
    monkeypatch.setattr(storm_module, "MISSES_MAX", 2)

    def answered_in_time():
        last = world.entries[-1]
        world.note(last.connection, last.sent, last.sent)
        world.note(last.connection + 1, last.sent + 5, last.sent)

    world.edge.on_kill = answered_in_time
    with pytest.raises(StepFailed, match="3 kills hit nothing unacknowledged"):
        world.brew(Kill("edge", 0.0))


def test_faults_and_kills_run_side_by_side(world):
    slow = LinkFault("delay", 0.0, ("delay 20",), 0.1)
    world.platform.on_kill = lambda: world.told.append("killed")
    world.brew(Kill("platform", 0.03), link=[slow])
    assert world.commands == ["delay 20", "killed", "pass", "pass"]

"""A demo played on a stage without processes: what keys do, what is told, and that it always ends."""

import time
from types import SimpleNamespace

import pytest
from tests.unit.apps.demo.played import PlayedApi, fleet, full

from ringmain.apps.demo import run, scene
from ringmain.apps.demo.plan import Kept, Options, Ports
from ringmain.apps.demo.run import play
from ringmain.apps.demo.watch import Latest
from ringmain.model.time import format_rfc3339

KEPT = Kept("tenant", "t" * 43, 0, 200, 1)


class PlayedStage:
    """Remembers what was asked of it, in order."""

    def __init__(self, tmp_path):
        self.ports = Ports(1, 2, 3, 4, 5)
        self.edge_joined = False
        self.progress_path = tmp_path / "homes.json"
        self.killed = {"edge": 0, "platform": 0}
        self.down = set()
        self.told = []
        self.done = []

    def __getattr__(self, name):
        return lambda *given, **named: self.done.append((name, *given[:1], *named.values()))

    def wait_for_platform(self):
        self.done.append(("wait_for_platform",))
        return "operator"

    def start_homes(self, kept, after):
        self.done.append(("start_homes", after.name if after else None))

    def join_edge(self, claim):
        self.done.append(("join_edge", claim))

    def kill(self, name):
        if name in self.down:
            return False
        self.down.add(name)
        self.killed[name] += 1
        return True

    def is_up(self, name):
        return name not in self.down

    def supervise(self):
        told, self.told = self.told, []
        return told


class PlayedKeys:
    """One string of keys a wait; Ctrl-C at the end."""

    def __init__(self, *pressed):
        self.pressed = list(pressed)

    def wait(self, seconds):
        if not self.pressed:
            raise KeyboardInterrupt
        return self.pressed.pop(0)


@pytest.fixture
def world(monkeypatch, tmp_path):
    figures = full()
    figures.own = ()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "Api", lambda port, token: SimpleNamespace(token=token, close=lambda: None))
    monkeypatch.setattr(run, "Office", lambda *_: SimpleNamespace(start=lambda: None, stop=lambda: None))
    monkeypatch.setattr(run, "Watch", lambda *_: SimpleNamespace(figures=figures, look=lambda: figures))
    profiles = []
    api = PlayedApi(lambda *_: {})
    api.close = lambda: None
    monkeypatch.setattr(scene, "new_street", lambda _: KEPT)
    monkeypatch.setattr(scene, "prepare", lambda *_: (KEPT, api))
    monkeypatch.setattr(scene, "gateway_claim", lambda *_: "rmc_claim")
    monkeypatch.setattr(scene, "last_stamps", lambda *_: True)
    monkeypatch.setattr(scene, "put_profile", lambda _, speed: profiles.append(speed))
    options = Options(200, 3600.0, 1, tmp_path / "p", tmp_path / "e", tmp_path, ())
    return SimpleNamespace(
        figures=figures, stage=PlayedStage(tmp_path), said=[], seen=[], profiles=profiles, options=options
    )


def played(world, *keys, kept=None, at=lambda demo: None):
    def show(figures, now):
        world.seen.append(now)

    return play(world.options, kept, world.stage, 0.0, PlayedKeys(*keys), show, world.said.append, at)


def test_a_new_street_starts_its_homes_before_there_is_a_platform(world):
    played(world, "q")
    steps = [step[0] for step in world.stage.done]
    assert steps == ["prepare_edge", "start_homes", "wait_for_platform", "join_edge", "start_edge", "end"]
    assert ("join_edge", "rmc_claim") in world.stage.done
    assert ("start_homes", None) in world.stage.done


def test_one_that_was_there_goes_on_behind_its_last_stamps(world):
    world.stage.edge_joined = True
    report = played(world, "q", kept=KEPT)
    assert [step[0] for step in world.stage.done] == [
        "prepare_edge", "wait_for_platform", "start_edge", "start_homes", "end",
    ]  # fmt: skip
    assert ("start_homes", "last.csv") in world.stage.done
    assert report.resumed


def test_ctrl_c_is_a_good_end_with_a_report(world):
    report = played(world, "x")
    assert world.stage.done[-1] == ("end",)
    assert report.readings_stored == 1_239_000


def test_what_fails_ends_every_process(world):
    def fails(_):
        raise RuntimeError("the terminal is gone")

    with pytest.raises(RuntimeError):
        played(world, at=fails)
    assert world.stage.done[-1] == ("end",)


def test_the_uplink_is_cut_and_mended(world):
    played(world, "c", "c", "q")
    assert [step for step in world.stage.done if step[0] == "cut"] == [("cut", True), ("cut", False)]
    assert [now.cut for now in world.seen] == [False, True, False]
    assert world.said[-2:] == [
        "uplink cut: the edge keeps everything; press c to mend it",
        "uplink mended: the edge held 9,000 readings; watch the backlog go",
    ]


def test_one_that_is_down_is_not_killed_again_and_its_return_is_told_once(world):
    def at(demo):
        world.demo = demo

    class Keys(PlayedKeys):
        def wait(self, seconds):
            if not self.pressed:
                world.stage.down.clear()
                world.demo._welcome()
                world.demo._welcome()
            return super().wait(seconds)

    play(
        world.options, None, world.stage, 0.0, Keys("p", "p", "e"), lambda *now: world.seen.append(now),
        world.said.append, at,
    )  # fmt: skip
    assert world.stage.killed == {"edge": 1, "platform": 1}
    assert [line.split(" (")[0] for line in world.said[:2]] == ["platform killed", "edge killed"]
    assert [line.split(" after ")[0] for line in world.said[2:]] == ["edge answers again", "platform answers again"]


def test_what_the_stage_tells_is_told(world):
    world.stage.told = ["edge is started again; its buffer on disk holds 12 readings"]
    played(world, "q")
    assert "edge is started again; its buffer on disk holds 12 readings" in world.said
    assert world.said[-1] in world.seen[-1].said


@pytest.mark.parametrize(("kept", "told"), [(None, True), (KEPT, False)])
def test_a_value_of_ones_own_device_is_told_unless_it_is_from_an_earlier_start(world, kept, told):
    world.figures.own = (Latest("temperature_cel", "2026-10-26T07:05:00Z", 21.5), Latest("raw", "x", None))
    played(world, "q", kept=kept)
    assert ("your own device was heard: temperature_cel 21.5" in world.said) is told


@pytest.mark.parametrize(
    ("ago_s", "real_time", "profiles"),
    [(4.9 * 3600, False, [1.0]), (5.1 * 3600, False, []), (0, True, [1.0]), (30 * 86_400, True, [1.0])],
)
def test_a_little_before_the_present_the_platform_is_told_of_half_hours_once(world, ago_s, real_time, profiles):
    virtual = format_rfc3339(int(time.time() - ago_s) * 1000)
    world.figures.homes = fleet(virtual=virtual, real_time=real_time)
    played(world, "x", "x", "q")
    assert world.profiles == profiles
    told = [line for line in world.said if "has reached the present" in line]
    assert len(told) == real_time


def test_the_time_that_was_given_ends_it(world):
    world.options = Options(200, 3600.0, 1, *[world.options.storage_dir] * 3, (), seconds=0.001)
    assert played(world).ended_in_s >= 0
    assert world.seen == []


def test_the_addresses_come_and_go_and_their_paths_are_short(world):
    banners = []

    def at(demo):
        banners.append(demo.banner())
        assert demo._press("a")
        assert demo.page
        assert demo._press("a")
        assert not demo.page
        assert not demo._press("x")

    played(world, "q", at=at)
    assert "admin token  p/identity/admin.token\n" in banners[0]
    assert "data         p and e\n" in banners[0]
    assert f"-P {'t' * 43} " in banners[0]


def test_a_demo_without_a_report_of_the_edge_can_be_mended(world):
    world.figures.edge = None
    played(world, "c", "c", "q")
    assert "the edge held 0 readings" in world.said[-1]

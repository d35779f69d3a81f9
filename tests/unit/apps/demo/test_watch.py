"""Looking: what is there is taken, what is away stays as it was and is marked."""

import msgspec
import pytest
from tests.unit.apps.demo.played import PlayedApi, fleet, gateway

from ringmain.apps.demo import watch
from ringmain.apps.demo.watch import Watch
from ringmain.apps.lab.api import ApiError


class World:
    """What everybody says; None for one who is away."""

    def __init__(self, tmp_path, monkeypatch):
        self.stored = 0
        self.platform = True
        self.edge = None
        self.now_s = 100.0
        self.progress = tmp_path / "homes.json"
        monkeypatch.setattr(watch, "ask_edge", lambda _: self.edge)
        monkeypatch.setattr(watch.time, "monotonic", lambda: self.now_s)
        self.api = PlayedApi(self.answer)
        self.watch = Watch(self.api, self.api, tmp_path, self.progress, 97.0)

    def answer(self, method, path, query):
        if not self.platform:
            return ApiError(0, "no answer")
        return {
            "/api/v1/tally": {
                "received": self.stored + 1,
                "items": [
                    {"outcome": "stored", "reason": "", "count": self.stored},
                    {"outcome": "duplicate", "reason": "", "count": 1},
                ],
            },
            "/api/v1/platform": {"sessions": {"online": 3}},
            "/api/v1/street/load": {"start": "2026-10-25T00:00:00Z", "interval_s": 1800, "energy_wh": [1, 2, 3]},
            "/api/v1/devices/hello/latest": {"items": [{"channel": "t", "at": "2026-10-26T00:00:00Z", "value": 2.5}]},
        }[path]


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


def test_with_everybody_away_there_is_nothing_and_no_error(world):
    world.platform = False
    figures = world.watch.look()
    assert not figures.platform_answers
    assert not figures.edge_answers
    assert figures.virtual_ms is figures.first_reading_s is figures.edge is figures.curve is None
    assert figures.stored == figures.rate == 0


def test_what_was_known_stays_when_all_go(world):
    world.stored, world.edge = 30, msgspec.json.encode(gateway())
    world.progress.write_bytes(msgspec.json.encode(fleet()))
    world.watch.look()
    world.platform, world.edge = False, None
    world.progress.unlink()
    figures = world.watch.look()
    assert (figures.stored, figures.sessions, figures.tally.unaccounted) == (30, {"online": 3}, 0)
    assert figures.edge == gateway()
    assert figures.homes == fleet()
    assert (figures.platform_answers, figures.edge_answers) == (False, False)
    assert figures.own[0].value == 2.5


@pytest.mark.parametrize("piece", [b"", b"{", msgspec.json.encode(gateway())[:-9], b"[]"])
def test_one_that_was_killed_in_the_middle_of_its_answer_is_away(world, piece):
    world.edge = piece
    world.progress.write_bytes(piece)
    figures = world.watch.look()
    assert figures.edge is None
    assert figures.homes is None
    assert not figures.edge_answers


def test_the_first_reading_counts_from_the_start_of_the_process(world):
    world.watch.look()
    world.now_s, world.stored = 101.5, 3
    assert world.watch.look().first_reading_s == pytest.approx(4.5)
    world.now_s = 150.0
    assert world.watch.look().first_reading_s == pytest.approx(4.5)


def test_the_rate_is_that_of_the_last_seconds(world):
    for second in range(20):
        world.now_s, world.stored = 100.0 + second, 50 * second
        world.watch.look()
    assert world.watch.figures.rate == pytest.approx(50)
    world.now_s += 60
    world.watch.look()
    assert world.watch.figures.rate == 0
    assert len(world.watch.figures.rates) == 21
    assert world.watch.figures.rates[5] == pytest.approx(50)


def test_the_curve_ends_at_the_time_of_the_street_and_is_asked_for_now_and_then(world):
    world.stored = 3
    world.progress.write_bytes(msgspec.json.encode(fleet(virtual="2026-10-25T01:10:00Z")))
    curve = world.watch.look().curve
    assert len(curve.energy_wh) == 96
    assert curve.energy_wh[-3:] == (None, 1, 2)
    world.watch.look()
    assert [path for _, path, _ in world.api.asked].count("/api/v1/street/load") == 1
    assert next(query for _, path, query in world.api.asked if path.endswith("load"))["from"] == "2026-10-23"

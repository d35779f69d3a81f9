"""A platform's API that is played, and figures of a demo in the middle of its life."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from ringmain.apps.demo.chart import Curve
from ringmain.apps.demo.situation import Situation
from ringmain.apps.demo.watch import Bill, Figures, Latest, Outcome, Tally
from ringmain.apps.lab.api import ApiError
from ringmain.model.gateway import Count, GatewayReport, SettingsState
from ringmain.simulator.fleet_report import FleetReport

Answers = Callable[[str, str, Any], Any]


class PlayedApi:
    """Answers by `answers(method, path, body)`; an ApiError among them is raised."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, Any]] = []

    def _answer(self, method: str, path: str, body: Any = None) -> Any:
        self.asked.append((method, path, body))
        answer = self.answers(method, path, body)
        if isinstance(answer, ApiError):
            raise answer
        return answer

    def raw(self, method: str, path: str, body: object = None) -> Any:
        return self._answer(method, path, body)

    def upload(self, path: str, text: str, content_type: str) -> Any:
        return self._answer("UPLOAD", path, text)

    def send(self, method: str, path: str, type_: Any, body: object = None) -> Any:
        return msgspec.convert(self._answer(method, path, body), type_)

    def get(self, path: str, type_: Any, **query: object) -> Any:
        return msgspec.convert(self._answer("GET", path, query), type_)

    def pages(self, path: str, type_: Any, limit: int = 0, **query: object) -> Iterator[Any]:
        yield from msgspec.convert(self._answer("GET", path, query), list[type_])


def fleet(**changed: Any) -> FleetReport:
    report = FleetReport(
        meters=200, connected=200, published=1_234_567, readings=3_703_701, acknowledged=1_234_560, unacknowledged=7,
        resent=3, connections=201, cuts=1, refused=0, reboots=0, behind=2, seconds=40.0, rate_per_s=400.0, cpu_s=3.0,
        virtual="2026-10-26T07:05:00Z", real_time=False,
    )  # fmt: skip
    return msgspec.structs.replace(report, **changed)


def gateway(**changed: Any) -> GatewayReport:
    report = GatewayReport(
        version="1", at_ms=0, started_ms=0, settings_version=1, settings_state=SettingsState.CONFIRMED,
        settings_detail="", roster_version=1, meters_known=200, meters_connected=199, uplink="up", uplink_since_ms=0,
        uplink_connections=1, buffered_readings=9_000, buffered_bytes=80_000, file_bytes=2_440 * 1024, in_flight=1,
        backlog_readings=8_790, backlog_bytes=70_000, drain_s=3.4,
        books=(Count("forwarded", "", 38_286), Count("buffered", "", 9_000)),
    )  # fmt: skip
    return msgspec.structs.replace(report, **changed)


def full() -> Figures:
    """Everything is there."""
    figures = Figures()
    figures.tally = Tally(1_240_000, (Outcome("stored", "", 1_239_000), Outcome("duplicate", "", 1_000)))
    figures.sessions = {"never_seen": 0, "online": 129, "sleeping": 0, "stale": 60, "offline": 12}
    figures.edge, figures.homes = gateway(), fleet()
    day = [50_000 + 1_000 * (at % 48) for at in range(90)]
    figures.curve = Curve("2026-10-24T07:00:00Z", 1800, (None, None, *day, None, 0, 0, 0), (200,) * 96, (200,) * 96)
    figures.platform_answers = figures.edge_answers = True
    figures.rate = 1_188.4
    figures.rates.extend([0.0, 3.0, *(1_200.0 for _ in range(100))])
    figures.backlogs.extend([0.0, 12_111.0])
    figures.bills = tuple(Bill(n, f"home-{n:04d}", "26 Oct-1 Nov", "123.456", "101.66") for n in range(200, 176, -1))
    figures.bills_issued = 200
    figures.first_reading_s = 3.3
    figures.own = (Latest("temperature_cel", "2026-10-26T07:05:00Z", 21.5),)
    return figures


def situation(**changed: Any) -> Situation:
    now = Situation(
        homes=200, speed=3600.0, seconds=41.2, cut=False, edge_runs=True, platform_runs=True, kills_edge=0,
        kills_platform=0, said=("one", "two", "three", "four " * 40),
    )  # fmt: skip
    return msgspec.structs.replace(now, **changed)

"""What a demo knows of itself: asked of the platform's API, the edge's socket and the street's progress file.

Each part may be away (it was killed, or its way is cut): then what was known of it last stays, and it is marked so.
"""

import time
from collections import deque
from pathlib import Path

import msgspec

from ringmain.apps.demo import plan
from ringmain.apps.demo.chart import Curve
from ringmain.apps.demo.edge_state import ask_edge
from ringmain.apps.lab.api import Api, ApiError
from ringmain.model.gateway import GatewayReport
from ringmain.model.time import DAY_MS, format_rfc3339, parse_rfc3339
from ringmain.simulator.fleet_report import FleetReport

RATE_OVER_S = 5.0
"""The rate on the screen is the mean over so long."""

CURVE_DAYS = 2
CURVE_EVERY_S = 2.0
BILLS_SHOWN = 24
"""As many as a very tall terminal shows."""

SAMPLES = 120
SAMPLE_EVERY_S = 1.0
"""Rates and backlogs are kept for two minutes, for the bars."""

OWN_EVERY_S = 1.0
"""So often the device of the user's own is looked for."""


class Tally(msgspec.Struct, frozen=True):
    """The tenant's books."""

    received: int
    items: tuple["Outcome", ...]

    def count(self, outcome: str) -> int:
        """Over all reasons."""
        return sum(item.count for item in self.items if item.outcome == outcome)

    @property
    def unaccounted(self) -> int:
        """What was received and came to no outcome that is told: 0, or something is wrong."""
        return self.received - sum(item.count for item in self.items)


class Outcome(msgspec.Struct, frozen=True):
    """One line of them."""

    outcome: str
    reason: str
    count: int


class Platform(msgspec.Struct, frozen=True):
    """How the platform is."""

    sessions: dict[str, int]


class Bill(msgspec.Struct, frozen=True):
    """A bill as the list has it, with its amount."""

    number: int
    account: str
    period: str
    energy_kwh: str
    total: str


class Latest(msgspec.Struct, frozen=True):
    """The newest value of a channel."""

    channel: str
    at: str
    value: float | None = None


class _Items(msgspec.Struct, frozen=True):
    items: tuple[Latest, ...]


class Figures:
    """The newest figures of everything."""

    def __init__(self) -> None:
        self.tally = Tally(0, ())
        self.sessions: dict[str, int] = {}
        self.edge: GatewayReport | None = None
        self.homes: FleetReport | None = None
        self.curve: Curve | None = None
        self.platform_answers = self.edge_answers = False
        self.rate = 0.0
        self.rates: deque[float] = deque(maxlen=SAMPLES)
        self.backlogs: deque[float] = deque(maxlen=SAMPLES)
        self.own: tuple[Latest, ...] = ()
        self.bills: tuple[Bill, ...] = ()
        self.bills_issued = 0
        self.first_reading_s: float | None = None

    @property
    def stored(self) -> int:
        """Readings on the platform."""
        return self.tally.count("stored")

    @property
    def virtual_ms(self) -> int | None:
        """What time it is in the street."""
        return None if self.homes is None else parse_rfc3339(self.homes.virtual)


class Watch:
    """Looks, and never changes anything."""

    def __init__(self, operator: Api, tenant: Api, edge_dir: Path, progress: Path, began_s: float) -> None:
        self.figures = Figures()
        self._operator = operator
        self._tenant = tenant
        self._edge_dir = edge_dir
        self._progress = progress
        self._began_s = began_s
        self._history: deque[tuple[float, int]] = deque()
        self._curve_at_s = self._own_at_s = 0.0
        self._sampled_s, self._sampled = began_s, 0

    def look(self) -> Figures:
        """Ask everybody."""
        figures = self.figures
        figures.homes = self._homes() or figures.homes
        report = self._edge()
        figures.edge_answers = report is not None
        figures.edge = report or figures.edge
        try:
            figures.tally = self._tenant.get("/api/v1/tally", Tally)
            figures.sessions = self._operator.get("/api/v1/platform", Platform).sessions
            figures.platform_answers = True
            self._look_at_the_street()
            self._look_for_the_own()
        except ApiError:
            figures.platform_answers = False
        self._reckon()
        return figures

    def _reckon(self) -> None:
        """Rate and first reading."""
        now_s, stored = time.monotonic(), self.figures.stored
        if stored and self.figures.first_reading_s is None:
            self.figures.first_reading_s = now_s - self._began_s
        self._history.append((now_s, stored))
        while now_s - self._history[0][0] > RATE_OVER_S:
            self._history.popleft()
        then_s, before = self._history[0]
        self.figures.rate = (stored - before) / (now_s - then_s) if now_s > then_s else 0.0
        if (passed_s := now_s - self._sampled_s) >= SAMPLE_EVERY_S:
            self.figures.rates.append((stored - self._sampled) / passed_s)
            self.figures.backlogs.append(self.figures.edge.backlog_readings if self.figures.edge else 0)
            self._sampled_s, self._sampled = now_s, stored

    def _edge(self) -> GatewayReport | None:
        try:
            return msgspec.json.decode(ask_edge(self._edge_dir) or b"", type=GatewayReport)
        except msgspec.DecodeError:  # killed while it answered, too
            return None

    def _homes(self) -> FleetReport | None:
        try:
            return msgspec.json.decode(self._progress.read_bytes(), type=FleetReport)
        except (OSError, msgspec.DecodeError):
            return None

    def _look_at_the_street(self) -> None:
        """The load curve of the last two days, now and then."""
        at_ms, now_s = self.figures.virtual_ms, time.monotonic()
        if at_ms is None or now_s - self._curve_at_s < CURVE_EVERY_S or not self.figures.stored:
            return
        self._curve_at_s = now_s
        since, until = format_rfc3339(at_ms - CURVE_DAYS * DAY_MS)[:10], format_rfc3339(at_ms + DAY_MS)[:10]
        query = {"channel": "energy_wh", "from": since, "to": until, "interval_s": plan.INTERVAL_S}
        found = self._tenant.get("/api/v1/street/load", Curve, **query)
        slots = CURVE_DAYS * DAY_MS // 1000 // plan.INTERVAL_S
        self.figures.curve = found.last(slots, at_ms)

    def _look_for_the_own(self) -> None:
        """What the device of the banner's line said last."""
        now_s = time.monotonic()
        if now_s - self._own_at_s >= OWN_EVERY_S:
            self._own_at_s = now_s
            self.figures.own = self._tenant.get(f"/api/v1/devices/{plan.HELLO}/latest", _Items).items

"""A street: meters with names, made from one plan. The same plan makes the same street, whatever it did before.

Home number n of a seed is always the same home, however many there are; those that replay a file come first.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from ringmain.model.time import DAY_MS, SECOND_MS, format_rfc3339
from ringmain.simulator.fleet_meter import Identity, Meter, Span
from ringmain.simulator.household.block import HouseholdBlock
from ringmain.simulator.household.days import Place
from ringmain.simulator.household.traits import HOMES
from ringmain.simulator.meters import MeterBank
from ringmain.simulator.mqtt_client import Settings
from ringmain.simulator.payload import DEFAULT_CHANNELS, Form, encoder
from ringmain.simulator.registers import HouseholdEnergy
from ringmain.simulator.replayed import ReplayedEnergy

_REPLAYS = 1_000_000
"""Blocks of homes that replay files are numbered from here, apart from those of made-up homes."""

_GOLDEN = 0.6180339887498949
"""Multiples of it, less their whole parts, spread evenly whatever their number."""


class ReplayFile(msgspec.Struct, frozen=True):
    """Intervals to replay, by start and Wh."""

    starts_ms: Sequence[int]
    energy_wh: Sequence[int]


class StreetPlan(msgspec.Struct, frozen=True):
    """Everything that a street follows from. The first `replaying` meters replay `files`, in turns; the others belong
    to homes `first_home`, `first_home + 1`, and so on. A meter named in `last_ms` goes on behind that stamp and says
    `repeat` readings before it once more, all others begin at `start_ms`; none reads an interval that ends behind
    `until_ms`. Registers count from `from_ms`.
    `topic` and `client_id` are templates with `{id}`.
    """

    identities: Sequence[Identity]
    start_ms: int
    from_ms: int
    every_ms: int = 1_800_000
    until_ms: int | None = None
    last_ms: Mapping[str, int] = {}
    repeat: int = 0
    seed: int = 1
    first_home: int = 0
    place: Place = Place()
    pv_share: float = 0.0
    files: Sequence[ReplayFile] = ()
    replaying: int = 0
    drift_ppm: float = 20.0
    spread: float = 1.0
    topic: str = "devices/{id}/telemetry"
    client_id: str = "{id}"
    form: Form = Form.OBJECT
    channels: Sequence[str] = DEFAULT_CHANNELS
    readings_max: int = 1
    window: int = 16
    keep_alive_s: int = 60
    stall_s: float = 20.0


class Street:
    """The meters of a plan, their banks, and what they count."""

    def __init__(self, plan: StreetPlan) -> None:
        if plan.every_ms < SECOND_MS or DAY_MS % plan.every_ms:
            raise ValueError(
                f"readings every {plan.every_ms} ms: a day must hold a whole number of them, of 1 s at least"
            )
        self.meters: list[Meter] = []
        self.banks: list[MeterBank] = []
        self._households: list[HouseholdEnergy] = []
        self._plan = plan
        self._seats = iter(self._rows())
        self._encoders = {
            exporting: encoder(plan.form, plan.channels, exporting=exporting) for exporting in (False, True)
        }
        for identity in plan.identities:
            self._move_in(identity)

    def prepare(self, at_ms: int) -> Iterator[tuple[int, int]]:
        """Count the registers up to a time; tells (blocks done, blocks in all) after each day of each block."""
        for done, energy in enumerate(self._households):
            while energy.prepare(at_ms):
                yield done, len(self._households)
        yield len(self._households), len(self._households)

    def _move_in(self, identity: Identity) -> None:
        plan, place = self._plan, len(self.meters)
        bank, row = next(self._seats)
        settings = Settings(
            plan.client_id.replace("{id}", identity.id),
            identity.user,
            identity.password,
            window=plan.window,
            keep_alive_s=plan.keep_alive_s,
            stall_s=plan.stall_s,
        )
        meter = Meter(
            place,
            settings,
            plan.topic.replace("{id}", identity.id),
            bank,
            row,
            self._span(identity),
            int((place + plan.first_home) * _GOLDEN % 1.0 * plan.spread * plan.every_ms),
            self._encoders[bank.exporting[row]],
            plan.readings_max if plan.form is Form.LIST else 1,
        )
        self.meters.append(meter)

    def _span(self, identity: Identity) -> Span:
        plan = self._plan
        first = -(-plan.start_ms // plan.every_ms)
        last_ms = plan.last_ms.get(identity.id)
        if last_ms is not None:
            earliest = -(-plan.from_ms // plan.every_ms)
            first = max(last_ms // plan.every_ms + 1 - plan.repeat, min(earliest, last_ms // plan.every_ms + 1))
        if first * plan.every_ms < plan.from_ms:
            raise ValueError(
                f"meter {identity.id} would begin at {format_rfc3339(first * plan.every_ms)}, but registers count from"
                f" {format_rfc3339(plan.from_ms)}: let them count from an earlier time"
            )
        return Span(first, None if plan.until_ms is None else max(first, plan.until_ms // plan.every_ms))

    def _rows(self) -> Iterator[tuple[MeterBank, int]]:
        """Banks and rows, one for each meter: replays first, then homes by number."""
        plan = self._plan
        if plan.replaying:
            for turn, file in enumerate(plan.files):
                rows = len(range(turn, plan.replaying, len(plan.files)))
                if rows:
                    energy = ReplayedEnergy(file.starts_ms, file.energy_wh, rows, plan.from_ms)
                    self._bank(energy, _REPLAYS + turn)
            for number in range(plan.replaying):
                yield self.banks[number % len(plan.files)], number // len(plan.files)
        home = plan.first_home
        while True:
            block, row = divmod(home, HOMES)
            if row == 0 or home == plan.first_home:
                household = HouseholdEnergy(HouseholdBlock(plan.seed, block, plan.place, plan.pv_share), plan.from_ms)
                self._households.append(household)
                bank = self._bank(household, block)
            yield bank, row
            home += 1

    def _bank(self, energy: HouseholdEnergy | ReplayedEnergy, block: int) -> MeterBank:
        plan = self._plan
        bank = MeterBank(energy, plan.seed, block, plan.every_ms, plan.drift_ppm)
        self.banks.append(bank)
        return bank

"""Installation: which meter measures which usage point, since when, and which account pays for it.

The usage point is a place and outlives its meters; the meter is a device; an installation links one channel of a
device to the place for a time. A meter exchange is the end of one link and the start of the next. Frozen documents
with canonical JSON; the ledger keeps every version of each.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from ringmain.metering.canonical import Fault
from ringmain.model.ids import is_channel, is_name
from ringmain.model.time import DAY_MS, INSTANT_MAX, Instant, Interval, instant_of

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""An instant as RFC 3339 with a zone; a time without one is refused."""

LINKS_MAX = 200
"""Meters of one usage point over time: one exchange a month for 16 years."""

MULTIPLIER_MAX = Decimal(1_000_000)
"""Current times voltage transformer ratios of 400 kV feeders stay below it."""

_NAME_EXPECTED = "expected a name of 1-64 letters, digits and ._:@~-"


class UsagePoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The place where energy is used. Its site gives it its local time."""

    id: str
    site: str = "main"
    description: Annotated[str, msgspec.Meta(max_length=200)] = ""

    def faults(self) -> Iterator[Fault]:
        yield from _name_faults("$.id", self.id)
        yield from _name_faults("$.site", self.site)


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who pays: for one usage point, on one tariff."""

    id: str
    usage_point: str
    tariff: str
    name: Annotated[str, msgspec.Meta(max_length=200)] = ""

    def faults(self) -> Iterator[Fault]:
        yield from _name_faults("$.id", self.id)
        yield from _name_faults("$.usage_point", self.usage_point)
        yield from _name_faults("$.tariff", self.tariff)


class Installation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One channel of a meter, linked from `from` until before `to` (None: still there).

    `reading` says what a value of the channel is: the energy of the interval that starts at its stamp, or the count
    of a register. `multiplier` is the transformer ratio. `modulus` is where a register starts again at 0, in `unit`.
    """

    device: str
    channel: str
    from_: Moment = msgspec.field(name="from")
    to: Moment | None = None
    unit: Literal["Wh", "kWh"] = "Wh"
    reading: Literal["interval", "register"] = "interval"
    interval_s: int = 1800
    multiplier: Decimal = Decimal(1)
    modulus: int | None = None

    @property
    def span(self) -> Interval:
        """Its time as an interval; an open end lies at the end of all stamps."""
        end = INSTANT_MAX if self.to is None else instant_of(self.to)
        return Interval(instant_of(self.from_), Instant(end))

    @property
    def interval_ms(self) -> int:
        return self.interval_s * 1000

    def faults(self, path: str) -> Iterator[Fault]:
        """What is wrong with one link, under its path."""
        yield from _name_faults(f"{path}.device", self.device)
        if not is_channel(self.channel):
            yield Fault(f"{path}.channel", f"expected the name of a channel, got {self.channel!r}")
        if not 0 <= instant_of(self.from_) <= INSTANT_MAX:
            yield Fault(f"{path}.from", f"expected a time from 1970 to 2099, got {self.from_.isoformat()}")
        if self.to is not None and not self.from_ < self.to:
            yield Fault(f"{path}.to", f"{self.to.isoformat()} is not after from")
        elif self.to is not None and instant_of(self.to) > INSTANT_MAX:
            yield Fault(f"{path}.to", f"expected a time until 2099, or nothing, got {self.to.isoformat()}")
        if self.interval_s < 1 or DAY_MS % self.interval_ms:
            yield Fault(f"{path}.interval_s", f"expected seconds that divide a day, got {self.interval_s}")
        if not (self.multiplier.is_finite() and 0 < self.multiplier <= MULTIPLIER_MAX):
            yield Fault(
                f"{path}.multiplier", f"expected a number above 0 up to {MULTIPLIER_MAX}, got {self.multiplier}"
            )
        elif len(self.multiplier.as_tuple().digits) > 12:
            yield Fault(f"{path}.multiplier", f"expected at most 12 digits, got {self.multiplier}")
        if self.modulus is not None and (self.reading != "register" or not 0 < self.modulus < 2**63):
            yield Fault(f"{path}.modulus", "expected a positive 64-bit number, and only for a register")


class Installations(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """All links of one usage point, oldest first, none overlapping: no energy is counted twice."""

    usage_point: str
    links: tuple[Installation, ...]

    def faults(self) -> Iterator[Fault]:
        """Faults of each link, then of their order."""
        yield from _name_faults("$.usage_point", self.usage_point)
        if len(self.links) > LINKS_MAX:
            yield Fault("$.links", f"expected at most {LINKS_MAX} links, got {len(self.links)}")
            return
        faults = [fault for index, link in enumerate(self.links) for fault in link.faults(f"$.links[{index}]")]
        yield from faults or self._order_faults()

    def _order_faults(self) -> Iterator[Fault]:
        for index, link in enumerate(self.links[1:], start=1):
            before = self.links[index - 1]
            if before.to is None or before.to > link.from_:
                until = "is still there" if before.to is None else f"leaves at {before.to.isoformat()}"
                yield Fault(f"$.links[{index}].from", f"overlap: {before.device} before it {until}")


def _name_faults(path: str, name: str) -> Iterator[Fault]:
    if not is_name(name):
        yield Fault(path, f"{_NAME_EXPECTED}, got {name!r}")

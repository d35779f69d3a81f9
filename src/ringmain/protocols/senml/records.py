"""SenML's data model (RFC 8428 §4): labels, and a record as it stands after resolution (§4.6), with no base fields.

Pure. What a name, a unit or a string value means is for whoever reads the records.
"""

from decimal import Decimal
from typing import TypeAlias

import msgspec

VERSION = 10
"""§4.4: the version of the media type. A lower one is a draft's with the same fields (the RFC's own examples say 5)."""

RELATIVE_BELOW_S = 1 << 28
"""§4.5.3: a time below this is relative to now; from it on it counts from 1970 (it is July 1978)."""

RECORDS_MAX = 50_000
"""Records of a pack: as many as readings of one payload, some 25 ms of a loop."""

NAME_LENGTH_MAX = 256
"""Characters of base name and name together: a URN with an IMEI and a path of LwM2M has some 60."""

INTEGER_BITS_MAX = 1024
"""A larger integer is not a double either, and costs more to convert the larger it is."""

Value: TypeAlias = int | float | bool | str | bytes | None

LABELS = {
    "bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5, "bs": -6,
    "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "s": 5, "t": 6, "ut": 7, "vd": 8,
}  # fmt: skip
"""§6, table 4: the label in JSON, and its integer in CBOR."""


class SenmlError(ValueError):
    """The bytes are no SenML pack, or one that may not be used; the text says where and why."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One measurement, resolved. `time_s` is exact, and relative to now where it is below `RELATIVE_BELOW_S`;
    0 is "roughly now". `sum` is the integral over time (§4.5.5); a record has a value, a sum or both.
    """

    name: str
    value: Value = None
    unit: str = ""
    time_s: Decimal = Decimal(0)
    sum: int | float | None = None

    @property
    def is_relative(self) -> bool:
        """Whether the time counts from now."""
        return self.time_s < RELATIVE_BELOW_S

    @property
    def time_ms(self) -> int:
        """The time in whole milliseconds, of now or of 1970."""
        return round(self.time_s * 1000)

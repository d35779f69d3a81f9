"""Resolution (RFC 8428 §4.6): base fields go into the records that follow them, until another one takes their place.

It takes the fields by their JSON labels, whichever format they came in. Sums are exact: 0.1 and 0.2 are 0.3, because
what a sender wrote in decimals is added in decimals and only then becomes a double again.
"""

import math
from collections.abc import Mapping, Sequence
from decimal import Context, Decimal, DecimalException

from ringmain.protocols.senml.records import (
    INTEGER_BITS_MAX,
    LABELS,
    NAME_LENGTH_MAX,
    RECORDS_MAX,
    VERSION,
    Record,
    SenmlError,
    Value,
)

_EXACT = Context(prec=60, Emax=2_000, Emin=-2_000)
"""Digits of a sum: a double has 17, and the exponents of two that belong together do not differ by 40."""

_VALUES = ("v", "vs", "vb", "vd")
_OF_A_READING = {"n", "s", "t", "u", "ut", *_VALUES}
_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(("bt", "bv", "bs", "v", "s", "t", "ut"), ((int, float, Decimal), "a number")),
    **dict.fromkeys(("bn", "bu", "n", "u", "vs"), ((str,), "a string")),
    "bver": ((int,), "an integer"),
    "vb": ((bool,), "true or false"),
    "vd": ((bytes,), "data"),
}
Number = int | float | Decimal


def resolve(pack: object) -> list[Record]:
    """The records of a decoded pack, in its order. SenmlError where it is none, or may not be used."""
    if not isinstance(pack, Sequence) or isinstance(pack, str | bytes) or not pack:
        raise SenmlError("a pack is an array of one record or more")
    if len(pack) > RECORDS_MAX:
        raise SenmlError(f"a pack of {len(pack)} records, at most {RECORDS_MAX}")
    base: dict[str, object] = {}
    records = []
    for place, raw in enumerate(pack):
        try:
            fields = _checked(raw)
            base.update((label, value) for label, value in fields.items() if label[0] == "b")
            if not _OF_A_READING.isdisjoint(fields):
                records.append(_resolved(base, fields))
        except SenmlError as error:
            raise SenmlError(f"record {place}: {error}") from error
    return records


def _checked(raw: object) -> dict[str, object]:
    """The fields that we know, each of its kind. Others are ignored, but not those that must be understood (§4.4)."""
    if not isinstance(raw, Mapping):
        raise SenmlError("a record is an object")
    fields: dict[str, object] = {}
    for label, value in raw.items():
        if not isinstance(label, str):
            raise SenmlError("a label is a string (in CBOR also a small integer)")
        if label not in LABELS:
            if label.endswith("_"):
                raise SenmlError(f"the field {label[:32]!r} has to be understood and is not")
            continue
        kinds, words = _KINDS[label]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise SenmlError(f"{label} has to be {words}")
        fields[label] = _bounded(label, value) if isinstance(value, int | float | Decimal) else value
    version = fields.get("bver", VERSION)
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise SenmlError(f"version {version}, this platform knows {VERSION}")
    return fields


def _bounded(label: str, value: Number) -> Number:
    if isinstance(value, int):
        if value.bit_length() > INTEGER_BITS_MAX:
            raise SenmlError(f"{label} is beyond any double")
    elif not (value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)):
        raise SenmlError(f"{label} is not a finite number")
    return value


def _resolved(base: Mapping[str, object], fields: Mapping[str, object]) -> Record:
    name = f"{base.get('bn', '')}{fields.get('n', '')}"
    if not name or len(name) > NAME_LENGTH_MAX:
        raise SenmlError(f"a name of {len(name)} characters, it has 1 to {NAME_LENGTH_MAX}")
    given = [label for label in _VALUES if label in fields]
    if len(given) > 1:
        raise SenmlError(f"it has {' and '.join(given)}, and only one value is allowed")
    # §4.5.4: of base value and value the missing one is zero, and where both are missing there is none.
    value: Value = _sum(base.get("bv"), fields.get("v"))
    if given and given[0] != "v":
        value = fields[given[0]]  # type: ignore[assignment]  # of its kind, see `_checked`
    total = _sum(base.get("bs"), fields.get("s"))
    if value is None and total is None:
        raise SenmlError("it has neither a value nor a sum")
    time_s = _exact(base.get("bt", 0)) + _exact(fields.get("t", 0))
    if abs(time_s) > 1 << 53:
        raise SenmlError("its time is beyond every calendar")
    return Record(name, value, str(fields.get("u", base.get("bu", ""))), time_s, total)


def _sum(base: object, value: object) -> int | float | None:
    """Of two numbers of which one or both may be missing."""
    given = [number for number in (base, value) if isinstance(number, int | float | Decimal)]
    if all(isinstance(number, int) for number in given):
        return sum(int(number) for number in given) if given else None
    if len(given) == 1 and isinstance(given[0], float):
        return given[0]
    try:
        exact = _EXACT.create_decimal(0)
        for number in given:
            exact = _EXACT.add(exact, _exact(number))
    except DecimalException as error:
        raise SenmlError("its value is out of range") from error
    found = float(exact)
    if not math.isfinite(found):
        raise SenmlError("its value is beyond any double")
    return found


def _exact(number: object) -> Decimal:
    """What the sender wrote: the shortest decimal that is this double."""
    assert isinstance(number, int | float | Decimal)
    if isinstance(number, Decimal):
        if number.adjusted() > 400 or number.adjusted() < -400:  # beyond any double, either way
            return Decimal(0) if number.adjusted() < 0 else _raise_range()
        return number
    return Decimal(repr(number))


def _raise_range() -> Decimal:
    raise SenmlError("a number is beyond any double")

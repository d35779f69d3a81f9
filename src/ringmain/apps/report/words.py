"""Figures in words: units that fit, whole numbers with their thousands apart, and times of the site's clock."""

from datetime import date, datetime, timedelta

from ringmain.apps.report.load import LoadCurve
from ringmain.model.site import zone_of

_SCALES = ((1e9, "GW"), (1e6, "MW"), (1e3, "kW"), (1.0, "W"))
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def scale_of(greatest_w: float) -> tuple[float, str]:
    """The unit in which the greatest power of a drawing reads well: (watts in it, its name)."""
    return next(((scale, name) for scale, name in _SCALES if greatest_w >= scale), _SCALES[-1])


def power(value_w: float) -> str:
    """Three digits and a unit: `5.99 kW`, `158 W`."""
    scale, name = scale_of(value_w)
    value = value_w / scale
    if round(value) >= 1000:
        scale, name = scale_of(value_w * 1.001)
        value = value_w / scale
    digits = 0 if name == "W" or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f} {name}"


def energy(value_wh: int) -> str:
    """Exact: kWh with every Wh."""
    whole, rest = divmod(value_wh, 1000)
    return f"{whole:,}.{rest:03d} kWh"


def day(value: date) -> str:
    """`1 Jan 2013`, in no language but the page's."""
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"


def month(value: date) -> str:
    """`Jan`."""
    return _MONTHS[value.month - 1]


def clock(moment: datetime, zone: str) -> str:
    """`22 Feb 2013, 20:00`, by the site's clock."""
    there = moment.astimezone(zone_of(zone))
    return f"{day(there.date())}, {there:%H:%M}"


def span(curve: LoadCurve) -> str:
    """The days of a curve, the last one included, as people count them."""
    last = curve.to - timedelta(days=1)
    return day(last) if curve.from_ == last else f"{day(curve.from_)} to {day(last)}"


def interval(interval_s: int) -> str:
    """`30 min`, `1 h`, `10 s`."""
    for length_s, name in ((3600, "h"), (60, "min")):
        if interval_s % length_s == 0:
            return f"{interval_s // length_s} {name}"
    return f"{interval_s} s"

"""Load curves to draw, made by the platform's own arithmetic."""

from datetime import date, timedelta

import msgspec

from ringmain.apps.report.load import LoadCurve
from ringmain.apps.server.api.routes.load import _answer
from ringmain.metering.curve import curve_of, grid_of
from ringmain.metering.street import StreetLoad

LONDON = "Europe/London"


def curve(first: date, days: int, powers, *, interval_s=1800, homes=1, expected=None, revised=None, zone=LONDON):
    """Of `days` local days; `powers(slot)` is the energy of a slot, and the homes it came from: None for nothing, a
    number for all of them, or a pair.
    """
    period = first, first + timedelta(days=days), zone
    grid = grid_of(*period, interval_s * 1000)
    found = [powers(slot) for slot in range(grid.count)]
    pairs = [(0, 0) if each is None else each if isinstance(each, tuple) else (each, homes) for each in found]
    wanted = [homes] * grid.count if expected is None else expected
    done = curve_of(grid, period, [wh for wh, _ in pairs], [came for _, came in pairs], wanted, revised)
    answer = _answer(StreetLoad(homes, zone, period[0], period[1], interval_s, grid.span, 0, done))
    return msgspec.json.decode(msgspec.json.encode(answer), type=LoadCurve)

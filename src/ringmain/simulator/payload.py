"""What a meter puts into a message: readings as JSON, in the form that a server wants.

Pure. It must never say more than was asked for: channels are chosen once, for the whole fleet.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum

from ringmain.simulator.meters import Reading

CHANNELS = ("energy_wh", "import_wh", "export_wh", "power_w", "voltage_v")
DEFAULT_CHANNELS = ("energy_wh", "import_wh", "export_wh", "power_w")

Encode = Callable[[Sequence[Reading]], bytes]


class Form(StrEnum):
    """`object`: `{"ts": ms, "values": {...}}`; `flat`: `{"ts": ms, ...}`; `list`: a list of such objects."""

    OBJECT = "object"
    FLAT = "flat"
    LIST = "list"


def encoder(form: Form, channels: Sequence[str], *, exporting: bool) -> Encode:
    """A function from readings to a payload; forms other than `list` take exactly one. `export_wh` is left out for a
    meter without the register. ValueError for a channel that no meter has.
    """
    unknown = set(channels) - set(CHANNELS)
    if unknown or not channels:
        raise ValueError(f"channels are {', '.join(CHANNELS)}; not {', '.join(sorted(unknown)) or 'none'}")
    names = [name for name in channels if exporting or name != "export_wh"]
    fields = ",".join(f'"{name}":{{0.{name}}}' for name in names)
    # Braces that stay are doubled: the template is filled by str.format, once for each reading.
    template = '{{"ts":{0.start_ms},' + (fields if form is Form.FLAT else f'"values":{{{{{fields}}}}}') + "}}"
    fill = template.format
    if form is Form.LIST:
        return lambda readings: ("[" + ",".join(map(fill, readings)) + "]").encode()
    return lambda readings: fill(readings[0]).encode()

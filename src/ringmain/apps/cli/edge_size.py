"""`ringmain edge size`: how much disk an outage takes, how long a disk lasts, how long the backlog drains."""

import click
import msgspec

from ringmain.apps.cli.exits import Exit
from ringmain.model.gateway import GatewaySettings
from ringmain.planning.edge_buffer import Load, drain_s, hours_that_fit
from ringmain.planning.edge_buffer import size as size_of

GIB = 1 << 30


@click.command()
@click.option("--meters", type=click.IntRange(1, 1_000_000), required=True, help="Meters behind the gateway.")
@click.option("--every-s", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="Interval.")
@click.option("--hours", type=click.FloatRange(0), default=48.0, show_default=True, help="How long the uplink is away.")
@click.option("--registers", type=click.IntRange(0), default=1, show_default=True, help="Integer registers a message.")
@click.option("--decimals", type=click.IntRange(0), default=0, show_default=True, help="Noisy values with decimals.")
@click.option("--fulls", type=click.IntRange(0), default=0, show_default=True, help="Values of full double precision.")
@click.option("--regular", is_flag=True, help="Stamps keep their step to the millisecond.")
@click.option("--disk", "disk_gib", type=click.FloatRange(0, min_open=True), help="GiB for the buffer; else 8.")
@click.option("--uplink-kbit-s", type=click.FloatRange(0, min_open=True), default=1000.0, show_default=True)
@click.option("-o", "--output", type=click.Choice(("table", "json")), default="table", show_default=True)
def size(
    meters: int,
    every_s: float,
    hours: float,
    registers: int,
    decimals: int,
    fulls: int,
    regular: bool,
    disk_gib: float | None,
    uplink_kbit_s: float,
    output: str,
) -> int:
    """Tell how much disk an outage takes. Pure arithmetic from measured figures; nothing is asked or changed."""
    load = Load(meters, every_s, registers, decimals, fulls, jitter=not regular)
    if not load.channels:
        raise click.UsageError("a message has at least one value: --registers, --decimals or --fulls")
    held = size_of(load, hours)
    disk = round(disk_gib * GIB) if disk_gib else GatewaySettings().buffer_bytes_max
    seconds = drain_s(load, held, uplink_kbit_s * 1000 / 8)
    answer = {
        "readings": held.readings,
        "readings_per_s": round(load.readings_s, 3),
        "file_bytes": held.file_bytes,
        "bytes_per_reading": round(held.bytes_per_reading, 2),
        "uplink_bytes": held.chunk_bytes,
        "disk_bytes": disk,
        "fits": held.file_bytes <= disk,
        "hours_that_fit": round(hours_that_fit(load, disk), 1),
        "drain_s": None if seconds is None else round(seconds),
    }
    if output == "json":
        click.echo(msgspec.json.encode(answer).decode())
        return Exit.OK
    drain = "never: live readings alone take more" if seconds is None else _duration(seconds)
    fits = "fits" if answer["fits"] else "DOES NOT FIT: the policy acts (reject: meters wait; drop_oldest; downsample)"
    for name, text in (
        ("readings", f"{held.readings:,} in {hours:g} h ({load.readings_s:,.1f}/s)"),
        ("disk", f"{_bytes(held.file_bytes)}, {held.bytes_per_reading:.2f} bytes a reading, everything included"),
        ("a buffer of", f"{_bytes(disk)}: {fits}; it lasts {_duration(hours_that_fit(load, disk) * 3600)}"),
        ("drains in", f"{drain} at {uplink_kbit_s:,.0f} kbit/s with live readings first"),
    ):
        click.echo(f"{name:<12} {text}")
    return Exit.OK


def _bytes(count: int) -> str:
    for unit, factor in (("GiB", GIB), ("MiB", 1 << 20)):
        if count >= factor:
            return f"{count / factor:,.2f} {unit}"
    return f"{count / 1024:,.0f} KiB"


def _duration(seconds: float) -> str:
    if seconds >= 2 * 86_400:
        return f"{seconds / 86_400:,.1f} days"
    return f"{seconds / 3600:,.1f} h" if seconds >= 7200 else f"{seconds / 60:,.0f} min"

"""`ringmain report`: a meter's load, or that of the whole street, on one page for people: PNG or SVG.

The platform adds up and judges; this command asks once, draws, and writes each file whole or not at all.
"""

from datetime import date, datetime
from importlib.util import find_spec
from pathlib import Path

import click
import msgspec

from ringmain import __version__
from ringmain.apps.cli.client import Client, device_path
from ringmain.apps.cli.exits import CommandError, Exit
from ringmain.apps.cli.settings import configuration, tenant
from ringmain.apps.report.load import LoadCurve
from ringmain.apps.report.words import interval, span

STREET = "street"
_FILE = click.Path(path_type=Path, dir_okay=False)
_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("subject", metavar="DEVICE|street")
@click.option("--png", type=_FILE, help="Write a picture of 1600 x 1000 pixels to this file.")
@click.option("--svg", type=_FILE, help="Write a drawing that scales to this file.")
@click.option("--from", "from_", type=_DAY, help="First local day; default: what there is, at most a year of it.")
@click.option("--to", type=_DAY, help="First local day that is left out.")
@click.option("--channel", default="energy_wh", show_default=True, help="Energy of each interval.")
@click.option("--interval-s", type=click.IntRange(1, 86_400), help="Length of an interval; default: the meter's own.")
@click.option("--site", help="Of the street: only the homes at this site.")
@click.option("--title", help="Title; default: whose load it is.")
@click.option("--source", help="Whom the data is owed to; added to the line at the foot.")
def report(
    subject: str,
    png: Path | None,
    svg: Path | None,
    from_: datetime | None,
    to: datetime | None,
    channel: str,
    interval_s: int | None,
    site: str | None,
    title: str | None,
    source: str | None,
) -> None:
    """Draw the load of a device or of the whole street.

    On one page: load curve, day windows with their quality, heat map, duration curve, and the figures in words.
    """
    files = [(path, form) for path, form in ((png, "png"), (svg, "svg")) if path is not None]
    if not files:
        raise click.UsageError("name a file to write: --png FILE, --svg FILE, or both")
    if site is not None and subject != STREET:
        raise click.UsageError("--site goes with the street: a device stands at one site")
    _check_library()
    _check_folders([path for path, _ in files])
    query = {
        "channel": channel,
        "from": _day(from_),
        "to": _day(to),
        "interval_s": interval_s,
        "site": site,
    }
    with Client(configuration(), tenant()) as client:
        path = "/api/v1/street/load" if subject == STREET else device_path(subject, "load")
        curve = msgspec.convert(client.get(path, query), LoadCurve)
    _check_load(curve, subject, channel)
    _draw(curve, subject, files, (channel, title, source))
    click.echo(_told(curve, subject))
    for file, _ in files:
        click.echo(f"  {file}")


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()


def _check_library() -> None:
    if find_spec("matplotlib") is None:
        raise CommandError(
            Exit.UNAVAILABLE, "nothing can be drawn: matplotlib is not installed", "pip install 'ringmain[report]'"
        )


def _check_folders(paths: list[Path]) -> None:
    """Before the platform is asked for a year."""
    for path in paths:
        if not path.parent.is_dir():
            raise CommandError(Exit.REFUSED, f"there is no folder {path.parent}", "make it, or name another file")


def _check_load(curve: LoadCurve, subject: str, channel: str) -> None:
    """Where there is nothing to draw, say what there is."""
    if curve.load is not None:
        return
    if subject == STREET and curve.homes == 0:
        raise CommandError(
            Exit.REFUSED,
            f"there is no home on the street: no usage point and no active device has a reading of {channel};"
            " nothing was drawn",
            "register meters and let them send, or name their --channel",
        )
    has = "it has none at all"
    if curve.readings_from is not None and curve.readings_to is not None:
        has = f"what there is lies in {curve.readings_from:%Y-%m-%d} to {curve.readings_to:%Y-%m-%d}"
    raise CommandError(
        Exit.REFUSED,
        f"{subject} has no reading of {channel} from {curve.from_} up to, not including, {curve.to}, and {has};"
        " nothing was drawn",
        "ask for other days with --from and --to, or leave them out",
    )


def _draw(
    curve: LoadCurve, subject: str, files: list[tuple[Path, str]], said: tuple[str, str | None, str | None]
) -> None:
    # The library takes half a second to import, and the command line must not.
    from ringmain.apps.report.figure import Words, draw, save  # noqa: PLC0415

    channel, title, source = said
    homes = f"{curve.homes:,} home{'' if curve.homes == 1 else 's'}"
    whose = f"Load of the street, {homes}" if subject == STREET else f"Load of {subject}"
    line = f"Source: Ringmain {__version__}, channel {channel} of {subject if subject != STREET else homes}."
    figure = draw(
        curve,
        Words(
            title or whose,
            f"{channel} of {homes}" if subject == STREET else channel,
            line + (f" {source}" if source else ""),
        ),
    )
    for path, form in files:
        try:
            save(figure, path, "png" if form == "png" else "svg")
        except OSError as error:
            raise CommandError(
                Exit.UNAVAILABLE,
                f"{path} could not be written: {error.strerror}; nothing is left of it",
                "name another file",
            ) from error


def _told(curve: LoadCurve, subject: str) -> str:
    assert curve.load is not None
    kwh = f"{curve.load.energy_wh / 1000:,.3f} kWh"
    return f"{subject}, {span(curve)}: {kwh} in {curve.load.intervals:,} intervals of {interval(curve.interval_s)}"

"""`ringmain simulate`: devices that are not there, against any server. So far: electricity meters over MQTT."""

from pathlib import Path

import click

from ringmain.apps.cli.exits import CommandError, Exit
from ringmain.apps.cli.lazy import Lazy, LazyGroup

COMMANDS = {
    "meters": Lazy("ringmain.apps.cli.simulate:meters", "Electricity meters of made-up homes, over MQTT."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def simulate() -> None:
    """Devices that are not there, to any server."""


_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--count", type=click.IntRange(1, 100_000), help="Meters; default: all of --tokens, else 10.")
@click.option("--first", type=click.IntRange(1), default=1, show_default=True, help="Number of the first home and id.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Decides everything the homes do.")
@click.option("--every-s", type=click.IntRange(1, 86_400), default=1800, show_default=True, help="Interval length.")
@click.option("--start", metavar="TIME", help="Virtual time to begin at (RFC 3339); default: now.")
@click.option("--until", metavar="TIME", help="Virtual time to end at; default: never.")
@click.option("--speed", type=click.FloatRange(0, min_open=True), default=1.0, help="Virtual seconds per real second.")
@click.option("--then-real-time", is_flag=True, help="At now, slow down to real time.")
@click.option("--for", "for_s", type=click.FloatRange(0, min_open=True), metavar="S", help="End after so many seconds.")
@click.option("--drain-s", type=float, default=30.0, show_default=True, help="Then wait so long for the rest.")
@click.option("--resume-after", type=_FILE, metavar="FILE", help="CSV id,last: each goes on behind that stamp.")
@click.option("--resume-overlap", type=click.IntRange(0), default=0, help="... and says the last so many once more.")
@click.option("--registers-from", metavar="TIME", help="When registers begin to count; default: the day of the start.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The MQTT server.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Default: 1883, with --ca 8883.")
@click.option("--ca", type=_FILE, metavar="FILE", help="Speak TLS, and trust this certificate alone.")
@click.option("--tokens", type=_FILE, metavar="FILE", help="CSV id,token as `ringmain device import` prints it.")
@click.option("--id-prefix", default="meter-", show_default=True, help="Without --tokens: ids are this and a number.")
@click.option("--user", "--user-template", "user", metavar="TEXT", help="User name; {id} is the id, which is default.")
@click.option("--password", envvar="METER_PASSWORD", metavar="TEXT", help="Without --tokens: or $METER_PASSWORD.")
@click.option("--client-id", default="{id}", show_default=True, help="MQTT client id.")
@click.option("--topic", default="devices/{id}/telemetry", show_default=True, help="Where meters publish.")
@click.option("--qos", type=click.IntRange(0, 1), default=1, show_default=True)
@click.option("--payload", type=click.Choice(["object", "flat", "list"]), default="object", show_default=True)
@click.option("--readings-max", type=click.IntRange(1, 1000), default=48, help="Of a backlog in one `list`.  [48]")
@click.option("--channels", default="energy_wh,import_wh,export_wh,power_w", show_default=True, help="Also: voltage_v.")
@click.option("--window", type=click.IntRange(1, 1000), default=16, show_default=True, help="Unacknowledged per meter.")
@click.option("--pv", type=click.FloatRange(0, 1), default=0.0, show_default=True, help="Share of homes with panels.")
@click.option("--zone", default="Europe/London", show_default=True, help="Whose clocks the homes live by.")
@click.option(
    "--latitude", type=click.FloatRange(-66, 66), default=51.5, show_default=True, help="How their sun stands."
)
@click.option(
    "--replay", type=_FILE, multiple=True, metavar="FILE", help="Interval file start,value (kWh); repeatable."
)
@click.option("--replay-homes", type=click.IntRange(0), help="So many of the meters replay; default: all.")
@click.option("--drift-ppm", type=click.FloatRange(0, 200), default=20.0, show_default=True, help="Spread of clocks.")
@click.option("--reboot-every-h", type=click.FloatRange(0), default=168.0, show_default=True, help="Mean; 0: never.")
@click.option(
    "--spread", type=click.FloatRange(0, 1), default=1.0, help="Part of an interval that reports spread over."
)
@click.option("--ramp", type=click.FloatRange(0.1, 10_000), default=200.0, show_default=True, help="Connects a second.")
@click.option("--retry-max-s", type=click.FloatRange(0.1), default=15.0, show_default=True, help="Pause between calls.")
@click.option("--keep-alive-s", type=click.IntRange(1, 65_535), default=60, show_default=True)
@click.option("--stall-s", type=click.FloatRange(0.1), default=20.0, show_default=True, help="Unanswered: reconnect.")
@click.option("--progress", type=_FILE, metavar="FILE", help="Rewrite this JSON file every second.")
@click.option("--report", type=_FILE, metavar="FILE", help="Write the final report there too.")
def meters(**options: object) -> int:
    """Electricity meters of made-up homes, over MQTT.

    They speak MQTT 3.1.1 to any server, and repeat what it does not acknowledge. At the end a line of JSON on standard
    output says what they did. The exit code is 0 where everything due was acknowledged, or where they were asked to end
    (SIGINT, SIGTERM); 4 where something was left.
    """
    try:
        from ringmain.apps.cli.simulate_meters import run  # noqa: PLC0415  # numpy: not for `--help`
    except ModuleNotFoundError as error:
        raise CommandError(
            Exit.UNAVAILABLE, f"{error.name} is not installed", "pip install 'ringmain[demo]'"
        ) from error
    return run(options)

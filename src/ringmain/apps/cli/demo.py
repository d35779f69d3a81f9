"""`ringmain demo`: platform, edge and a street of homes, and a view in which one can break them and watch them heal."""

import shutil
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ringmain.apps.cli.exits import CommandError, Exit
from ringmain.apps.cli.settings import Invocation, loaded
from ringmain.model.errors import RingmainError

if TYPE_CHECKING:
    from ringmain.apps.demo.plan import Options


@click.command()
@click.option("--homes", type=click.IntRange(1, 2_000), default=200, show_default=True, help="Homes in a new street.")
@click.option("--speed", type=click.FloatRange(1, 20_000), default=3600.0, show_default=True, help="Until it is now.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Decides what the homes do.")
@click.option("--headless", is_flag=True, help="Log lines instead of the view; so too where there is no terminal.")
@click.option("--for", "seconds", type=click.FloatRange(0, min_open=True), metavar="S", help="End after so long.")
@click.option("--report", "report_path", type=click.Path(path_type=Path), help="Write a report (JSON) at the end.")
def demo(homes: int, speed: float, seed: int, headless: bool, seconds: float | None, report_path: Path | None) -> int:
    """Platform, edge gateway and a street of homes, live; keys cut the uplink and kill processes.

    The street begins four weeks ago, catches up with the present, and goes on in real time. What it has is kept in
    storage.dir and edge.dir: the next start continues. Ports are the usual ones where nobody has them.
    """
    began_s = time.monotonic() - _running_s()
    if report_path is not None and not report_path.absolute().parent.is_dir():
        raise click.UsageError(f"--report {report_path}: there is no directory {report_path.absolute().parent}")
    for module in ("rich", "numpy", "duckdb"):
        if find_spec(module) is None:
            raise CommandError(Exit.UNAVAILABLE, f"{module} is not installed", "pip install 'ringmain[platform,demo]'")
    from ringmain.apps.demo.plan import load  # noqa: PLC0415 - only the demo pays for it
    from ringmain.apps.demo.stage import set_up  # noqa: PLC0415
    from ringmain.apps.lab.api import ApiError  # noqa: PLC0415
    from ringmain.apps.lab.processes import StepFailed  # noqa: PLC0415

    kept = load(loaded().config.storage_dir.absolute())
    work_dir = Path(tempfile.mkdtemp(prefix="ringmain-demo-"))
    options = _options(homes, speed, seed, seconds or 0.0, work_dir)
    try:
        with set_up(options) as stage:
            from ringmain.apps.demo.live import headless_show, live_show  # noqa: PLC0415 - while the platform starts

            plain = headless or not sys.stdout.isatty()
            report = (headless_show if plain else live_show)(options, kept, stage, began_s)
    except KeyboardInterrupt:
        shutil.rmtree(work_dir)
        raise
    except (StepFailed, ApiError, RingmainError) as error:
        hint = f"{error.hint}; " if error.hint else ""
        raise CommandError(
            Exit.UNAVAILABLE, error.detail, f"{hint}the logs of all processes are in {work_dir}"
        ) from error
    if report_path is not None:
        import msgspec  # noqa: PLC0415

        report_path.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    shutil.rmtree(work_dir)
    return Exit.OK


def _running_s() -> float:
    """How long this process has been running already: a newcomer's watch starts with the command, not with our code."""
    try:
        started = float(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / 100
        return float(Path("/proc/uptime").read_text().split()[0]) - started
    except (OSError, ValueError, IndexError):
        return 0.0


def _options(homes: int, speed: float, seed: int, seconds: float, work_dir: Path) -> "Options":
    from ringmain.apps.demo.plan import Options  # noqa: PLC0415

    found = loaded()
    config, set_ = found.config, found.origins

    def port(path: str, value: int) -> int:
        return value if set_.get(path, "default") != "default" else 0

    storage = config.storage_dir.absolute()
    storage.mkdir(mode=0o700, parents=True, exist_ok=True)
    invocation = click.get_current_context().find_object(Invocation) or Invocation()
    file = () if invocation.file is None else ("--config", str(invocation.file))
    return Options(
        homes=homes,
        speed=speed,
        seed=seed,
        storage_dir=storage,
        edge_dir=config.edge.path.absolute(),
        work_dir=work_dir,
        config=(*file, *(part for each in invocation.assignments for part in ("--set", each))),
        mqtt_port=port("mqtt.port", config.mqtt.port),
        mqtts_port=port("mqtt.tls_port", config.mqtt.tls_port),
        http_port=port("http.port", config.http.port),
        edge_port=port("edge.port", config.edge.port),
        edge_tls_port=port("edge.tls_port", config.edge.tls_port),
        seconds=seconds,
    )

"""`ringmain lab`: a household's year through a meter process, the platform and a checking process, with a report."""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from importlib.resources import as_file
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ringmain.apps.cli.exits import CommandError, Exit
from ringmain.apps.cli.settings import Invocation, configuration

if TYPE_CHECKING:
    from ringmain.apps.lab.report import Report


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Interval file (start,value); default: the sample home.")
@click.option("--year", type=click.IntRange(1971, 2098), default=2013, show_default=True, help="Calendar year to bill.")
@click.option(
    "--faults", default="none", show_default=True, help="What the run is put through: none, or harsh (about a minute)."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Decides message sizes and forms, and faults.")
@click.option("--report", "report_path", type=click.Path(path_type=Path), help="Write the report (JSON) to this file.")
@click.option("--keep", is_flag=True, help="Keep the data: use the configured storage.dir, with a tenant of its own.")
def lab(data: Path | None, year: int, faults: str, seed: int, report_path: Path | None, keep: bool) -> int:
    """Replay a household's year over real sockets and bill it.

    The exit code is 0 only if the checking process found every reading and both bills right.
    """
    from ringmain.apps.lab.faults import FAULTS  # noqa: PLC0415  # only `lab` pays for it

    if faults not in FAULTS:
        raise click.UsageError(f"--faults {faults}: there is: {', '.join(FAULTS)}")
    if report_path is not None and not report_path.absolute().parent.is_dir():
        raise click.UsageError(f"--report {report_path}: there is no directory {report_path.absolute().parent}")
    from ringmain.apps.lab.report import report_json, summary  # noqa: PLC0415
    from ringmain.apps.lab.run import rows_of_year, run  # noqa: PLC0415
    from ringmain.apps.lab.steps import Options  # noqa: PLC0415
    from ringmain.metering.data import sample_household  # noqa: PLC0415

    def say(text: str) -> None:
        click.echo(text, err=True)

    kept_dir = configuration().storage_dir.absolute() if keep else None
    with ExitStack() as stack:
        source = stack.enter_context(as_file(sample_household())) if data is None else data
        rows = rows_of_year(source, year)
        say(f"ringmain lab: {len(rows):,} rows of {year} from {source.name}, faults {faults}, seed {seed}")
        work_dir = Path(tempfile.mkdtemp(prefix="ringmain-lab-"))
        options = Options(
            data=source.absolute(),
            year=year,
            seed=seed,
            storage_dir=kept_dir or work_dir / "data",
            work_dir=work_dir,
            kept=keep,
            faults=faults,
            config=_options_before_the_command(),
        )
        report = _logs_kept_on_failure(work_dir, lambda: run(options, rows, say))
    if report_path is not None:
        report_path.write_bytes(report_json(report))
    click.echo(summary(report))
    if not report.passed:
        raise CommandError(Exit.FAULT, "the source and the platform disagree", f"logs and hand-overs are in {work_dir}")
    shutil.rmtree(work_dir)
    return Exit.OK


def _logs_kept_on_failure(work_dir: Path, work: "Callable[[], Report]") -> "Report":
    """The result of `work`; where it fails, its logs stay and the error says where they are."""
    from ringmain.apps.lab.api import ApiError  # noqa: PLC0415  # only `lab` pays for it
    from ringmain.apps.lab.processes import StepFailed  # noqa: PLC0415

    try:
        return work()
    except (StepFailed, ApiError) as error:
        hint = f"{error.hint}; " if error.hint else ""
        raise CommandError(
            Exit.UNAVAILABLE, error.detail, f"{hint}the logs of all processes are in {work_dir}"
        ) from error
    except KeyboardInterrupt:
        click.echo(f"ringmain lab: interrupted; all processes are ended, their logs are in {work_dir}", err=True)
        raise


def _options_before_the_command() -> tuple[str, ...]:
    """`--config` and `--set` as they were given, for the platform's own command line."""
    invocation = click.get_current_context().find_object(Invocation) or Invocation()
    file = () if invocation.file is None else ("--config", str(invocation.file))
    return (*file, *(part for assignment in invocation.assignments for part in ("--set", assignment)))

"""`ringmain`: the command. It reads the options before the sub-command, runs it, and turns every error into
what happened, what to do next, and an exit code. It imports no sub-command before that one is called.
"""

import os
import sys
from pathlib import Path

import click

from ringmain import __version__
from ringmain.apps.cli.exits import CommandError, Exit, exit_of
from ringmain.apps.cli.lazy import Lazy, LazyGroup
from ringmain.apps.cli.settings import Invocation
from ringmain.apps.config_error import ConfigError
from ringmain.model.errors import RingmainError
from ringmain.model.ids import DEFAULT_TENANT, TenantId, is_name

COMMANDS = {
    "up": Lazy("ringmain.apps.cli.up:up", "Run the platform: MQTT, HTTP, storage and billing in one process."),
    "edge": Lazy(
        "ringmain.apps.cli.edge:edge",
        "Run the edge gateway: it takes readings of local meters, keeps them, and brings them to the platform.",
    ),
    "demo": Lazy(
        "ringmain.apps.cli.demo:demo",
        "Platform, edge gateway and a street of homes, live; keys cut the uplink and kill processes.",
    ),
    "lab": Lazy("ringmain.apps.cli.lab:lab", "Replay a household's year over real sockets and bill it."),
    "device": Lazy("ringmain.apps.cli.device:device", "Import, add, list and move devices through their lifecycle."),
    "gateway": Lazy(
        "ringmain.apps.cli.gateway:gateway", "See edge gateways, give them devices to speak for, and settings."
    ),
    "tariff": Lazy("ringmain.apps.cli.tariff:tariff", "Check tariff files and put them on the platform."),
    "bill": Lazy("ringmain.apps.cli.bill:bill", "List bills and show one."),
    "report": Lazy("ringmain.apps.cli.report:report", "Draw the load of a device or of the whole street."),
    "simulate": Lazy("ringmain.apps.cli.simulate:simulate", "Devices that are not there, to any server."),
    "tls": Lazy("ringmain.apps.cli.tls:tls", "The certificates of the running platform."),
    "config": Lazy("ringmain.apps.cli.config:config", "Show and check the configuration."),
    "version": Lazy("ringmain.apps.cli.version:version", "Print the version."),
}

PLATFORM = ("alembic", "duckdb", "httptools", "numpy", "prometheus_client", "sqlalchemy", "starlette", "uvicorn")
"""What the core does without; see `pyproject.toml`."""


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", "file", type=click.Path(path_type=Path), help="Configuration file (TOML).")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Set one key, such as mqtt.port=1884; repeatable."
)
@click.option("--tenant", default=DEFAULT_TENANT, show_default=True, help="Whose devices and bills.")
@click.version_option(__version__, message="%(version)s")
@click.pass_context
def ringmain(context: click.Context, file: Path | None, assignments: tuple[str, ...], tenant: str) -> None:
    r"""A machine-to-machine platform: devices in, exact bills out, durable at every step.

    \b
    Configuration: --config FILE, else $RINGMAIN_CONFIG, else ./ringmain.toml;
    then RINGMAIN_SECTION__KEY in the environment; then flags.
    Exit codes: 0 done, 1 fault of ours, 2 usage, 3 configuration,
    4 not reachable or not available, 5 refused, 130 interrupted.
    """
    if not is_name(tenant):
        raise click.BadParameter("a tenant's name is 1-64 of A-Z a-z 0-9 . _ : @ ~ -", param_hint="--tenant")
    context.obj = Invocation(file, assignments, TenantId(tenant))


def main() -> None:
    """The entry point; always leaves through `SystemExit`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; returns its exit code."""
    try:
        answer: object = ringmain.main(arguments, prog_name="ringmain", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return Exit.USAGE
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; without this Python complains once more while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except ModuleNotFoundError as error:
        return _without_platform(error)
    except ConfigError as error:
        return _told(Exit.CONFIG, error.detail, error.hint)
    except (RingmainError, CommandError) as error:
        code = error.exit_code if isinstance(error, CommandError) else exit_of(error)
        return _told(code, error.detail, error.hint)
    return answer if isinstance(answer, int) else Exit.OK


def _without_platform(error: ModuleNotFoundError) -> int:
    """What an edge's installation lacks is said in words; anything else that is missing is a fault of ours."""
    missing = (error.name or "").partition(".")[0]
    if missing not in PLATFORM:
        raise error
    hint = "pip install 'ringmain[platform]': what an edge gateway needs is all that is installed here"
    return _told(Exit.UNAVAILABLE, f"{missing} is not installed, and this command needs it", hint)


def _told(code: Exit, detail: str, hint: str) -> int:
    click.echo(f"ringmain: {detail}", err=True)
    if hint:
        click.echo(f"  next: {hint}", err=True)
    return code


if __name__ == "__main__":
    main()

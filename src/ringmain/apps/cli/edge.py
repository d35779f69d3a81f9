"""`ringmain edge`: the edge gateway in the foreground; with a sub-command, joining it, its state and its size."""

from pathlib import Path
from typing import TextIO

import click

from ringmain.apps.cli.exits import Exit
from ringmain.apps.cli.lazy import Lazy, LazyGroup
from ringmain.apps.cli.settings import configuration

COMMANDS = {
    "join": Lazy("ringmain.apps.cli.edge:join", "Bring this gateway into a platform with a one-time claim."),
    "status": Lazy("ringmain.apps.cli.edge_status:status", "Tell how the running gateway is."),
    "size": Lazy("ringmain.apps.cli.edge_size:size", "Tell how much disk an outage takes."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, invoke_without_command=True)
@click.pass_context
def edge(context: click.Context) -> int:
    """Run the edge gateway: it takes readings of local meters, keeps them, and brings them to the platform.

    Configuration keys are those of the section `edge`: `ringmain --set edge.dir=DIR edge`.
    """
    if context.invoked_subcommand is not None:
        return Exit.OK
    config = configuration()
    from ringmain.apps.edge.main import run  # noqa: PLC0415  # only this pays for the gateway

    return run(config)


@click.command()
@click.option("--platform", required=True, metavar="HOST:PORT", help="The platform's MQTT over TLS.")
@click.option(
    "--ca", required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Its CA certificate."
)
@click.option("--claim", help="The one-time claim that `ringmain device claim` printed.")
@click.option("--claim-file", type=click.File("r"), help="The same, from a file; - is standard input.")
def join(platform: str, ca: Path, claim: str | None, claim_file: TextIO | None) -> int:
    """Bring this gateway into a platform with a one-time claim.

    It makes its own key; the platform answers with a certificate. Given again after a lost answer, it gets the same.
    """
    host, colon, port = platform.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65_536:
        raise click.UsageError(f"--platform {platform}: expected HOST:PORT, such as platform.example:8883")
    text = (claim or (claim_file.read() if claim_file else "")).strip()
    if not text:
        raise click.UsageError(
            "--claim or --claim-file is needed: `ringmain device claim ID` on the platform makes one"
        )
    config = configuration()
    from ringmain.apps.edge.join import join as redeem  # noqa: PLC0415
    from ringmain.apps.ownership import own  # noqa: PLC0415

    with own(config.edge.path):
        membership = redeem(config.edge.path, host.strip("[]"), int(port), ca, text)
    click.echo(f"joined {membership.host}:{membership.port} as {membership.tenant}/{membership.device}")
    click.echo("  next: `ringmain edge` runs it")
    return Exit.OK

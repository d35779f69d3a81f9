"""A group of commands that knows their names and one-line help, and imports a command when it is called.

`ringmain --help` must not pay for DuckDB: the listing is made from this table alone, and a test compares its
lines with what the commands say of themselves.
"""

from importlib import import_module

import click
import msgspec


class Lazy(msgspec.Struct, frozen=True):
    """Where a command lives (`module:attribute`) and the line it has in the listing."""

    target: str
    help: str


class LazyGroup(click.Group):
    """`@click.group(cls=LazyGroup, lazy={...})`."""

    def __init__(self, *, lazy: dict[str, Lazy], **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]  # handed through to click as they came
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the same
        entry = self.lazy.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command), entry.target
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # the same
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.lazy.items()])

"""Tables of what the running platform offers: commands, exit codes, metrics. Apart from `tables`, because they need
the command line and the metrics, which the model knows nothing of.
"""

from collections.abc import Iterator

import click
from prometheus_client.metrics import MetricWrapperBase

from ringmain.apps.cli.exits import Exit
from ringmain.apps.cli.main import ringmain
from ringmain.apps.observe import Labelled, new_metrics

_EXITS = {
    Exit.OK: "done",
    Exit.FAULT: "a fault of ours; a traceback or the report says where",
    Exit.USAGE: "the command line is not understood",
    Exit.CONFIG: "the configuration is refused",
    Exit.UNAVAILABLE: "something needed is not there: no platform answers, a port is taken, a directory in use",
    Exit.REFUSED: "the platform understood and refused; nothing was changed",
    Exit.INTERRUPTED: "interrupted, or not confirmed",
}


def reference_page() -> str:
    """`docs/reference.md`: the command line and the metrics."""
    return (
        "# Reference\n\nWritten by `make docs` from the code. Keys are in [configuration](configuration.md), the HTTP"
        " API in [api](api.md), states and errors in [architecture](architecture.md).\n\n## Commands\n\n"
        "`-o table|json|jsonl|csv` chooses the form of every listing; data goes to standard output, everything else to"
        " standard error; `NO_COLOR` is respected; `-` is standard input.\n\n"
        f"Before the command: {_options()}.\n\n| command | |\n|---|---|\n{_commands()}\n"
        f"## Exit codes\n\n| code | |\n|---|---|\n{_exits()}\n## Metrics\n\n"
        "At `/metrics`, beside the usual `process_` ones. Labels have few, known values; a device is never one.\n\n"
        f"| metric | kind | labels | |\n|---|---|---|---|\n{_metrics()}"
    )


def _options() -> str:
    return ", ".join(
        f"`{option.opts[-1]}` ({(option.help or '').rstrip('.')})"
        for option in ringmain.params
        if isinstance(option, click.Option) and option.opts[-1] != "--version"
    )


def _commands() -> str:
    return "".join(
        f"| `{usage}` | {help_} |\n" for usage, help_ in _usages(ringmain, "ringmain", click.Context(ringmain))
    )


def _usages(command: click.Command, path: str, context: click.Context) -> Iterator[tuple[str, str]]:
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _usages(inner, f"{path} {name}", context)
        return
    words = [parameter.make_metavar(context) for parameter in command.params if isinstance(parameter, click.Argument)]
    words += [
        parameter.opts[-1]
        for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.opts[-1] != "--output"
    ]
    yield " ".join([path, *words]), command.get_short_help_str(200)


def _exits() -> str:
    return "".join(f"| {code.value} | {_EXITS[code]} |\n" for code in Exit)


def _metrics() -> str:
    lines = []
    metrics = new_metrics()
    for name in metrics.__struct_fields__:
        declared = getattr(metrics, name)
        labels: tuple[str, ...] = ()
        if isinstance(declared, Labelled):
            declared, labels = declared.metric, declared.names
        if isinstance(declared, MetricWrapperBase):
            family = next(iter(declared.describe()))
            suffix = "_total" if family.type == "counter" else ""
            labelled = ", ".join(f"`{label}`" for label in labels)
            lines.append(f"| `{family.name}{suffix}` | {family.type} | {labelled} | {family.documentation} |\n")
    return "".join(lines)

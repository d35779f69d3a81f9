"""What a run of `edge.py` shows: one column a gateway, one row a figure; ratios are theirs by ours, of the same run."""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from bench.edge_judge import Loss
from bench.edge_run import Outcome, Recovery, Run
from rich.console import Console
from rich.table import Table

COSTS: Mapping[str, Callable[[Outcome], float]] = {
    "cpu, % of a core, whole run": lambda one: one.usage.cpu_percent,
    "cpu, % of a core, before the holes": lambda one: one.usage.cpu_percent_settled,
    "memory, RSS peak, MiB": lambda one: one.usage.rss_mib_peak,
    "memory, RSS median, MiB": lambda one: one.usage.rss_mib_median,
    "memory, PSS greatest, MiB": lambda one: one.usage.pss_mib_max,
    "memory, PSS median, MiB": lambda one: one.usage.pss_mib_median,
}
"""Figures that have a ratio."""

COUNTS: Mapping[str, Callable[[Outcome], float]] = {
    "readings sent": lambda one: one.verdict.sent,
    "  acknowledged to the sensors": lambda one: one.verdict.acknowledged,
    "  arrived at the platform": lambda one: one.verdict.arrived,
    "  LOST: acknowledged, never arrived": lambda one: one.verdict.lost,
    "  delivered again": lambda one: one.verdict.again,
    "  duplicates visible in the end": lambda one: one.verdict.visible_duplicates,
    "  arrived, but never sent": lambda one: one.verdict.foreign,
}


class Spread(msgspec.Struct, frozen=True):
    """Of one figure over the runs."""

    least: float
    greatest: float


def ratios(run: Run, ours: str) -> dict[str, dict[str, float]]:
    """Gateway → figure → theirs by ours; nothing where ours did not run."""
    mine = next((one for one in run.outcomes if one.name == ours), None)
    if mine is None:
        return {}
    return {
        one.name: {figure: of(one) / of(mine) for figure, of in COSTS.items() if of(mine)}
        for one in run.outcomes
        if one is not mine
    }


def spreads(runs: Sequence[Run]) -> dict[str, dict[str, Spread]]:
    """Gateway → figure → least and greatest over the runs."""
    figures = {**COUNTS, **COSTS}
    found: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        for one in run.outcomes:
            for figure, of in figures.items():
                found.setdefault(one.name, {}).setdefault(figure.strip(), []).append(of(one))
    return {
        name: {figure: Spread(min(values), max(values)) for figure, values in line.items()}
        for name, line in found.items()
    }


def show(run: Run, ours: str, console: Console) -> None:
    """The table of one run."""
    ordered = sorted(run.outcomes, key=lambda one: one.name != ours)
    table = Table("", title=f"holes end {'in a reset' if run.end_of_cut == 'reset' else 'silently'}")
    for one in ordered:
        table.add_column(one.name, justify="right")
    for figure, of in COUNTS.items():
        table.add_row(figure, *(f"{of(one):,}" for one in ordered))
    table.add_section()
    for number, recovery in enumerate(ordered[0].recoveries):
        title = f"{recovery.cut_seconds} s hole"
        table.add_row(f"{title}: lost", *(_loss(one.verdict.losses[number]) for one in ordered))
        table.add_row("  taken, from its begin", *(_span(one.verdict.losses[number]) for one in ordered))
        table.add_row("  first reading after its end", *(_first(one.recoveries[number]) for one in ordered))
        table.add_row("  drained after its end", *(_drained(one.recoveries[number]) for one in ordered))
    table.add_section()
    by = ratios(run, ours)
    for figure, of in COSTS.items():
        table.add_row(
            figure,
            *(
                f"{of(one):.1f}" + (f" ({by[one.name][figure]:.1f} x)" if figure in by.get(one.name, {}) else "")
                for one in ordered
            ),
        )
    console.print(table)
    for name, usage in run.aside.items():
        console.print(
            f"{name}: {usage.cpu_percent:.1f} % of a core, {usage.pss_mib_max:.0f} MiB (not in the figures above)",
            highlight=False,
        )


def _loss(loss: Loss) -> str:
    if not loss.lost:
        return "0"
    return f"{loss.lost:,} = {loss.lost_seconds:.1f} s ({100 * loss.lost / loss.readings_in_cut:.1f} %)"


def _span(loss: Loss) -> str:
    return "" if loss.first_lost_s is None else f"{loss.first_lost_s:.1f}..{loss.last_lost_s:.1f} s"


def _first(recovery: Recovery) -> str:
    return "not in time" if recovery.first_arrival_s is None else f"{recovery.first_arrival_s:.0f} s"


def _drained(recovery: Recovery) -> str:
    return "not in time" if recovery.drained_s is None else f"{recovery.drained_s:.0f} s"

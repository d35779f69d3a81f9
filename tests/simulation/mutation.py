"""The product with a mistake in it, in memory only: some text of one of its functions replaced by another."""

import contextlib
import inspect
import sys
import textwrap
from collections.abc import Generator
from typing import Any

from tests.simulation.world import World


@contextlib.contextmanager
def mutated(owner: type, name: str, old: str, new: str) -> Generator[None, None, None]:
    """`owner.name` with `old` replaced; a mutation that does not apply any more is an error, not a pass."""
    original = getattr(owner, name)
    source = textwrap.dedent(inspect.getsource(original))
    assert source.count(old) == 1, f"{owner.__name__}.{name} is not as this mutation expects it"
    names: dict[str, Any] = {}
    code = compile(source.replace(old, new), f"<{owner.__name__}.{name}, mutated>", "exec")
    exec(code, sys.modules[owner.__module__].__dict__, names)
    setattr(owner, name, names[name])
    try:
        yield
    finally:
        setattr(owner, name, original)


def first_violation(seeds_max: int) -> tuple[int, str] | None:
    """The first seed that does not come out well, and what is wrong with it."""
    for seed in range(seeds_max):
        outcome = World(seed).run()
        if outcome.violation:
            return seed, outcome.violation
    return None

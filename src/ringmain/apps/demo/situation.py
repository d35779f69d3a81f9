"""How a demo stands with its processes: what it did to them, and what it said."""

import msgspec


class Situation(msgspec.Struct, frozen=True):
    """`said` are the demo's last words, the newest last."""

    homes: int
    speed: float
    seconds: float
    cut: bool
    edge_runs: bool
    platform_runs: bool
    kills_edge: int
    kills_platform: int
    said: tuple[str, ...] = ()

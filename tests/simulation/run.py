"""Run seeds by hand: `python -m tests.simulation.run --seed 7 --trace`, or `--seeds 0:2000`."""

import argparse
import sys
import time
import traceback

from tests.simulation.world import World


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.run", description=__doc__)
    parser.add_argument("--seed", type=int, action="append", default=[])
    parser.add_argument("--seeds", help="FROM:TO, half open")
    parser.add_argument("--trace", action="store_true", help="tell the whole history")
    arguments = parser.parse_args()
    seeds = list(arguments.seed)
    if arguments.seeds:
        seeds += range(*map(int, arguments.seeds.split(":")))
    failed = 0
    for seed in seeds or [0]:
        began = time.perf_counter()
        world = World(seed, sys.stdout.write if arguments.trace else None)
        outcome = world.run()
        failed += bool(outcome.violation)
        if world.failure and arguments.trace:
            traceback.print_exception(world.failure)
        sys.stdout.write(f"{outcome} in {time.perf_counter() - began:.2f} s\n")
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Replay schedules: `.venv/bin/python tests/simulation/replay.py SEED [--hole NAME] [--count N]`.

One schedule is told step by step; with --count, so many from SEED on are run, and those that went wrong are named.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where pytest has it from, too

from simulation.holes import CLOSED, HOLES, NONE
from simulation.many import replay_command, search
from simulation.run import Result, simulate


def main() -> int:
    """1 when something went wrong."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("seed", type=int)
    options.add_argument("--hole", choices=sorted(HOLES | CLOSED))
    options.add_argument("--count", type=int, default=1)
    given = options.parse_args()
    logging.disable(logging.CRITICAL)
    if given.count == 1:
        result = simulate(given.seed, (HOLES | CLOSED).get(given.hole, NONE))
        _tell(result)
        return int(result.failed)
    failed = search(range(given.seed, given.seed + given.count), given.hole)
    for result in failed:
        print(replay_command(result.seed, given.hole), *result.complaints, sep="\n  ")  # noqa: T201
    print(f"{len(failed)} of {given.count} schedules went wrong")  # noqa: T201
    return int(bool(failed))


def _tell(result: Result) -> None:
    print(result.plan, *result.story, sep="\n")  # noqa: T201
    print("", *result.complaints or ("nothing lost, nothing twice, all in order",), sep="\n")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())

"""Many schedules, on all cores."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from simulation.holes import CLOSED, HOLES, NONE
from simulation.run import Result, simulate

PIECE = 250  # schedules


def search(seeds: range, hole: str | None = None) -> list[Result]:
    """The results of all schedules that went wrong."""
    pieces = [seeds[begin : begin + PIECE] for begin in range(0, len(seeds), PIECE)]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        return [result for found in pool.map(partial(failures, hole=hole), pieces) for result in found]


def failures(seeds: range, hole: str | None = None) -> list[Result]:
    """The same, here and now."""
    return [result for result in results(seeds, hole) if result.failed]


def results(seeds: range, hole: str | None = None) -> Iterator[Result]:
    """One result after the other."""
    logging.disable(logging.CRITICAL)
    gc.disable()  # nearly a tenth of the time
    try:
        for seed in seeds:
            yield simulate(seed, (HOLES | CLOSED)[hole] if hole else NONE)
            if seed % 100 == 0:
                gc.collect()
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)


def replay_command(seed: int, hole: str | None = None) -> str:
    """What to type to see it again."""
    return f".venv/bin/python tests/simulation/replay.py {seed}" + (f" --hole {hole!r}" if hole else "")

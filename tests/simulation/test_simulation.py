"""Nothing is lost or counted twice, whatever happens when; and every hole is found once its cure is left out."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from simulation.holes import ALL, CLOSED, HOLES
from simulation.many import replay_command, results, search
from simulation.run import simulate

HERE = Path(__file__).resolve().parent
SCHEDULES = 10_000
TRIED = range(1_000)  # schedules until a hole must have shown


@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute and a half on two idle cores
def test_nothing_is_lost_or_counted_twice_in_any_schedule() -> None:
    failed = search(range(SCHEDULES))
    told = [f"{replay_command(result.seed)}  # {'; '.join(result.complaints)}" for result in failed[:10]]
    assert not failed, f"{len(failed)} of {SCHEDULES} schedules went wrong\n" + "\n".join(told)


@pytest.mark.parametrize("hole", HOLES)
def test_a_hole_is_found_without_its_cure(hole: str) -> None:
    lost = [result.seed for result in islice((each for each in results(TRIED, hole) if each.wrong), 1)]
    assert lost, f"{hole}: nothing is lost in {len(TRIED)} schedules"
    assert not simulate(lost[0], replace(HOLES[hole], cures=ALL)).failed, "with all cures, the same seed loses nothing"


@pytest.mark.parametrize("closed", CLOSED)
def test_it_was_this_hole_and_no_other(closed: str) -> None:
    assert [result.wrong for result in results(TRIED[:120], closed) if result.wrong] == []


def test_a_seed_replays_whatever_the_process() -> None:
    told = {_replay(hash_seed) for hash_seed in ("1", "2")}
    assert len(told) == 1
    assert "committed" in told.pop()


def _replay(hash_seed: str) -> str:
    return "\n".join(
        subprocess.run(
            [sys.executable, "-W", "ignore", str(HERE / "replay.py"), seed],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("7", "263")
    )


def test_schedules_are_worth_running() -> None:
    """Workers leave, clicks are redelivered, generations pass."""
    stories = ["\n".join(result.story) for result in results(range(60))]
    assert sum("left: the lease is lost" in story for story in stories) > 5
    assert sum("generation 3" in story for story in stories) > 20
    assert sum("is evicted" in story for story in stories) > 10

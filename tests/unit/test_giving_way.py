"""What can wait: until nobody else has anything to do, or for so long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stream_engine.giving_way import PART, PIECE, SHORT, Spare, give_way


async def work(rounds: int) -> int:
    """So many rounds of the loop, each with something to do."""
    for _ in range(rounds):
        until = time.perf_counter() + 3 * SHORT
        while time.perf_counter() < until:
            """Busy."""
        await asyncio.sleep(0)
    return rounds


@contextmanager
def busy(rounds: int) -> Iterator[asyncio.Task[int]]:
    task = asyncio.ensure_future(work(rounds))
    yield task
    task.cancel()


async def test_who_has_something_to_do_is_let_through() -> None:
    with busy(rounds=40) as other:
        await give_way(longest=60.0)
        assert other.done()


async def test_but_not_for_ever() -> None:
    with busy(rounds=1_000_000) as other:
        began = time.perf_counter()
        await give_way(longest=0.01)
        assert time.perf_counter() - began >= 0.01
        assert not other.done()


async def worked(spare: Spare, until: asyncio.Task[int]) -> float:
    """The seconds that a long job of short steps had while the other ran."""
    had = 0.0
    async with spare.share() as share:
        while not until.done():
            began = time.perf_counter()
            while time.perf_counter() - began < SHORT:
                """A step."""
            had += time.perf_counter() - began
            await share.keep()
    return had


@pytest.mark.parametrize("jobs", [1, 3])
async def test_long_jobs_have_a_small_part_of_a_busy_loop_together(jobs: int) -> None:
    spare = Spare()
    with busy(rounds=2_000) as other:
        began = time.perf_counter()
        had = sum(await asyncio.gather(*(worked(spare, other) for _ in range(jobs))))
        took = time.perf_counter() - began
    assert 0.0 < had < 2 * PART * took


async def test_many_short_jobs_one_after_the_other_are_a_long_one() -> None:
    spare, had = Spare(), 0.0
    with busy(rounds=1_000) as other:
        began = time.perf_counter()
        while not other.done():
            async with spare.share() as share:
                step = time.perf_counter()
                while time.perf_counter() - step < PIECE / 4:
                    """A step."""
                had += time.perf_counter() - step
                await share.keep()
        took = time.perf_counter() - began
    assert 0.0 < had < 3 * PART * took


async def test_a_long_job_has_an_idle_loop_for_itself() -> None:
    spare, began, had = Spare(), time.perf_counter(), 0.0
    async with spare.share() as share:
        while had < 20 * PIECE:
            step = time.perf_counter()
            while time.perf_counter() - step < PIECE:
                """A step."""
            had += time.perf_counter() - step
            await share.keep()
    assert time.perf_counter() - began < 5 * had

"""What can wait: until nobody else has anything to do, or for so long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from stream_engine.giving_way import SHORT, give_way


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

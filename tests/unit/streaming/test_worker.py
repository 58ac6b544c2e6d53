"""A worker's watch over itself: it waits for the broker, and leaves when its fetch or its clock stood still."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError

from stream_engine.settings import KafkaSettings, Settings
from stream_engine.streaming import worker as workers
from stream_engine.streaming.lease import Lease
from stream_engine.streaming.worker import Worker

P = ("clicks", 0)


class Left(Exception):
    """In the place of the process's end."""


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    def leave(reason: str) -> None:
        raise Left(reason)

    monkeypatch.setattr(workers, "leave", leave)
    monkeypatch.setattr(workers, "LOOK_EVERY", 0.001)
    return Worker(Settings(kafka=KafkaSettings(session_timeout=1.0)))


class FakeApp:
    """An app whose broker answers as told: None for not at all."""

    def __init__(self, *ends: int | None) -> None:
        self.rebalancing = False
        self.looks = 0
        self._ends = list(ends)
        self.consumer = SimpleNamespace(ends=self.ends)
        self.positions = SimpleNamespace(waiting=lambda: {P: 5})

    async def ends(self) -> dict[Any, int]:
        self.looks += 1
        end = self._ends.pop(0) if len(self._ends) > 1 else self._ends[0]
        if end is None:
            raise KafkaTimeoutError
        return {P: end}


async def watch(worker: Worker, app: FakeApp, until: Callable[[], bool]) -> None:
    """Watch until the condition holds; what the watch raises is raised."""
    task = asyncio.create_task(worker._watch_progress(app))  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(10):
            while not until() and not task.done():  # noqa: ASYNC110 - nothing to wait on
                await asyncio.sleep(0)
        if task.done():
            task.result()
    finally:
        task.cancel()


@pytest.fixture
def fast_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second passes at each look."""
    monkeypatch.setattr(workers, "time", SimpleNamespace(monotonic=itertools.count().__next__))


async def test_a_broker_that_is_away_is_waited_for_and_said_to_be_missing(worker: Worker) -> None:
    worker._waiting_for = set()
    away, back = FakeApp(9, None), FakeApp(5)
    await watch(worker, away, lambda: away.looks == 3)
    assert worker._missing() == ["broker"]
    await watch(worker, back, lambda: back.looks == 3)
    assert worker._missing() == []


@pytest.mark.usefixtures("fast_clock")
async def test_a_fetch_that_stands_still_ends_the_process(worker: Worker) -> None:
    with pytest.raises(Left, match="clicks"):
        await watch(worker, FakeApp(9), lambda: False)


@pytest.mark.usefixtures("fast_clock")
async def test_nothing_to_read_is_no_reason_to_leave(worker: Worker) -> None:
    app = FakeApp(5)
    await watch(worker, app, lambda: app.looks == 50)


@pytest.mark.usefixtures("fast_clock")
async def test_a_dependency_that_is_away_is_no_reason_to_leave(worker: Worker) -> None:
    class Holding:
        asked = 0

        @property
        def holding(self) -> set[str]:
            self.asked += 1
            return {"encoder"}

    guard, app = Holding(), FakeApp(9)
    worker._guards = {"clicks": guard}  # type: ignore[dict-item]
    await watch(worker, app, lambda: guard.asked == 50)
    assert app.looks == 0
    assert worker._missing() == ["encoder", "start"]


async def test_a_clock_that_stood_still_ends_the_process_before_a_write(worker: Worker) -> None:
    worker._may_write()
    worker._lease = Lease(limit=0.5, noted=time.monotonic() - 1.0)
    with pytest.raises(Left, match="lease"):
        worker._may_write()
    with pytest.raises(Left, match="lease"):
        async with asyncio.timeout(10):
            await worker._note_lease()

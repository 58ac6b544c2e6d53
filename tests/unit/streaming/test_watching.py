"""A worker's watch over its consumer: it waits for the broker, and leaves when its fetch stands still."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from aiokafka.errors import KafkaTimeoutError

from stream_engine.streaming import watching
from stream_engine.streaming.watching import Watch

P = ("clicks", 0)
SESSION = 1.0


class Left(Exception):
    """In the place of the process's end."""


def leave(reason: str) -> NoReturn:
    raise Left(reason)


class FakeApp:
    """An app that stands at offset 5, and whose broker says where the log ends: None for not at all."""

    def __init__(self, *ends: int | None, rebalancing: bool = False, recovering: Callable[[], int] = lambda: 7) -> None:
        self.rebalancing, self.recovered = rebalancing, recovering
        self.rebalancing_count = 1
        self.looks = 0
        self.gone: str | None = None
        self._ends = list(ends)
        self.consumer = SimpleNamespace(ends=self.ends, failure=lambda: self.gone)
        self.positions = SimpleNamespace(waiting=lambda: {P: 5})
        self.conf = SimpleNamespace(broker_request_timeout=20.0)

    async def ends(self) -> dict[Any, int]:
        self.looks += 1
        end = self._ends.pop(0) if len(self._ends) > 1 else self._ends[0]
        if end is None:
            raise KafkaTimeoutError
        return {P: end}


def watch_of(app: FakeApp, holding: Callable[[], bool] = lambda: False) -> Watch:
    return Watch(app, session=SESSION, holding=holding, leave=leave)  # type: ignore[arg-type]


async def watched(watch: Watch, until: Callable[[], bool]) -> None:
    """Watch until the condition holds; what the watch raises is raised."""
    task = asyncio.create_task(watch.run())
    try:
        async with asyncio.timeout(10):
            while not until() and not task.done():  # noqa: ASYNC110 - nothing to wait on
                await asyncio.sleep(0)
        if task.done():
            task.result()
    finally:
        task.cancel()


@pytest.fixture(autouse=True)
def fast_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second passes at each look."""
    monkeypatch.setattr(watching, "LOOK_EVERY", 0.001)
    monkeypatch.setattr(watching, "time", SimpleNamespace(monotonic=itertools.count().__next__))


async def test_a_broker_that_is_away_is_waited_for_and_said_to_be_missing() -> None:
    app = FakeApp(9, *[None] * 50, 5)
    watch = watch_of(app)
    await watched(watch, lambda: app.looks == 40)
    assert watch.away
    await watched(watch, lambda: app.looks == 60)
    assert not watch.away


async def test_a_fetch_that_stands_still_ends_the_process() -> None:
    with pytest.raises(Left, match="clicks"):
        await watched(watch_of(FakeApp(9)), lambda: False)


async def test_nothing_to_read_is_no_reason_to_leave() -> None:
    app = FakeApp(5)
    await watched(watch_of(app), lambda: app.looks == 50)


async def test_a_rebalance_that_does_not_end_ends_the_process() -> None:
    app = FakeApp(9, rebalancing=True)
    with pytest.raises(Left, match="rebalance"):
        await watched(watch_of(app), lambda: False)
    assert app.looks > watching.LEAST_PATIENCE + SESSION  # longer than for a fetch: a join may wait for others


async def test_a_recovery_that_goes_on_may_take_as_long_as_it_takes() -> None:
    app = FakeApp(9, rebalancing=True, recovering=itertools.count().__next__)
    await watched(watch_of(app), lambda: app.looks == 50)


async def test_a_dependency_that_is_away_is_no_reason_to_leave() -> None:
    app, asked = FakeApp(9), itertools.count()
    await watched(watch_of(app, lambda: next(asked) >= 0), lambda: next(asked) > 100)
    assert app.looks == 0


async def test_who_is_out_of_the_group_for_good_leaves() -> None:
    app = FakeApp(5)
    app.gone = "UnknownError in heartbeat"
    with pytest.raises(Left, match="UnknownError"):
        await watched(watch_of(app), lambda: False)


async def test_a_consumer_that_does_not_answer_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FakeApp(5)
    app.consumer.ends = asyncio.Event().wait
    app.conf.broker_request_timeout = 0.01 - watching.LEAST_PATIENCE
    with pytest.raises(Left, match="does not answer"):
        await watched(watch_of(app), lambda: False)

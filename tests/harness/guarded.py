"""A guard with everything around it in view."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from prometheus_client import CollectorRegistry

from harness.records import FakeRecord, chunk, record, started
from stream_engine.metrics import Metrics
from stream_engine.streaming.guard import Guard, Stage
from stream_engine.streaming.positions import Positions
from stream_engine.streaming.publisher import FakePublisher, Outgoing


async def echo(records: Sequence[FakeRecord]) -> list[Outgoing]:
    return [Outgoing("out", each.key, each.value) for each in records]


class World:
    """A guard with everything around it in view."""

    def __init__(self, handle: Any = echo, *, publisher: Any = None, partitions: Sequence[int] = (0,), **options: Any):
        self.positions: Positions = started(*partitions)
        self.publisher = publisher or FakePublisher()
        self.metrics = Metrics(CollectorRegistry())
        self.stage = (
            handle if isinstance(handle, Stage) else Stage("clicks", handle, linger=options.pop("linger", None))
        )
        self.guard = Guard(
            self.stage,
            positions=self.positions,
            publisher=self.publisher,
            dead_letters="dead",
            may_write=options.pop("may_write", lambda: None),
            metrics=self.metrics,
            max_pause=options.pop("max_pause", 0.05),
            **options,
        )

    async def run(self, *records: FakeRecord) -> bool:
        return await self.guard.run(chunk(self.positions, records))

    @property
    def out(self) -> list[bytes | None]:
        return [each.value for each in self.publisher.published if each.topic == "out"]

    @property
    def letters(self) -> list[Outgoing]:
        return [each for each in self.publisher.published if each.topic == "dead"]

    def counted(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"stream_engine_{name}", labels) or 0.0


def numbered(*offsets: int, partition: int = 0) -> list[FakeRecord]:
    return [record(offset, str(offset).encode(), partition=partition) for offset in offsets]


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nothing to wait on
            await asyncio.sleep(0.001)


async def yielded() -> None:
    """Every task that can go on has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def running(coroutine: Any) -> AsyncIterator[asyncio.Task[Any]]:
    task = asyncio.ensure_future(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

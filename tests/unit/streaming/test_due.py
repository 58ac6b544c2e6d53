"""A chunk that must come after what other topics brought waits for them, with nothing in hand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from harness.records import FakeRecord, chunk, record
from prometheus_client import CollectorRegistry

from stream_engine.errors import Unavailable
from stream_engine.metrics import Metrics
from stream_engine.streaming.guard import Guard, Stage
from stream_engine.streaming.positions import Partition, Positions
from stream_engine.streaming.publisher import FakePublisher, Outgoing

CLICKS, USERS = ("clicks", 0), ("users", 0)


async def echo(records: Sequence[FakeRecord]) -> list[Outgoing]:
    return [Outgoing("out", each.key, each.value) for each in records]


class World:
    """A guard of `users` whose chunks are due after three clicks; the broker is away as often as told."""

    def __init__(self, failures: int = 0) -> None:
        self.positions = Positions()
        self.publisher, self.failures, self.asked = FakePublisher(), failures, 0
        self.begin()
        self.guard = Guard(
            Stage("users", echo, due=self.due),
            positions=self.positions,
            publisher=self.publisher,
            dead_letters="dead",
            may_write=lambda: None,
            metrics=Metrics(CollectorRegistry()),
            max_pause=0.01,
        )

    def begin(self) -> None:
        self.positions.start({CLICKS: 0, USERS: 0})
        self.positions.open(self.positions.epoch)

    async def due(self, records: Sequence[FakeRecord]) -> Mapping[Partition, int]:
        self.asked += 1
        if self.asked <= self.failures:
            raise Unavailable("broker", "away")
        return {CLICKS: 3 * len(records), ("joins", 7): 9}

    def start(self) -> asyncio.Task[bool]:
        return asyncio.create_task(self.guard.run(chunk(self.positions, [record(0, b"erase", topic="users")])))

    def click(self, offset: int) -> None:
        span = chunk(self.positions, [record(offset, b"click")]).span
        assert self.positions.accept(span)
        assert self.positions.done(span)


async def test_it_waits_for_all_of_them_and_for_no_partition_of_others() -> None:
    world = World(failures=2)
    run = world.start()
    for offset in range(3):
        await asyncio.wait([run], timeout=0.05)
        assert not run.done()
        assert not world.publisher.published
        world.click(offset)
    async with asyncio.timeout(10):
        assert await run
    assert (len(world.publisher.published), world.positions.next_of(USERS)) == (1, 1)
    assert (world.asked, world.guard.holding) == (3, frozenset())


async def test_a_rebalance_does_not_wait_for_it() -> None:
    world = World()
    run = world.start()
    await asyncio.sleep(0)
    world.positions.close()
    async with asyncio.timeout(10):
        await world.guard.finish()
        world.begin()
        assert await run
    assert (world.publisher.published, world.positions.next_of(USERS)) == ([], 0)

"""A piece is handled while the one before is on its way, and nothing of it is sent before that one has arrived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from harness.guarded import World, eventually, numbered, running, yielded
from harness.records import FakeRecord

from stream_engine.errors import Unavailable
from stream_engine.streaming import guard as guards
from stream_engine.streaming.guard import Stage
from stream_engine.streaming.publisher import FakePublisher, Outgoing

P = ("clicks", 0)


class Slow(FakePublisher):
    """Each publication takes until it is let go, in the order they came; the first fails as often as told."""

    def __init__(self, failures: int = 0) -> None:
        super().__init__(failures)
        self.begun: list[list[bytes | None]] = []
        self.let = asyncio.Semaphore(0)

    async def publish(self, records: Sequence[Outgoing]) -> None:
        self.begun.append([each.value for each in records])
        await self.let.acquire()
        await super().publish(records)


class Ahead(World):
    """A guard that handles ahead, one record a piece."""

    def __init__(self, publisher: Any = None, *, turn: asyncio.Lock | None = None) -> None:
        self.handled: list[bytes] = []
        self.bad = b""
        self.hanging = b""
        self.away: list[Unavailable] = []  # met by the second, once each
        stage = Stage("clicks", self.handle, turn=turn or asyncio.Lock(), linger=0.0, together=1, ahead=True)
        super().__init__(stage, publisher=publisher or Slow())

    async def handle(self, records: Sequence[FakeRecord]) -> list[Outgoing]:
        self.handled += [each.value for each in records]
        if self.bad in [each.value for each in records]:
            raise KeyError("oh no")
        if self.hanging in [each.value for each in records]:
            await asyncio.Event().wait()
        if self.away and records[0].value == b"1":
            raise self.away.pop()
        return [Outgoing("out", each.key, each.value) for each in records]

    async def gather(self, *offsets: int) -> None:
        """Each in a chunk of its own."""
        for offset in offsets:
            await self.run(*numbered(offset))

    @asynccontextmanager
    async def on_its_way(self, handled: int) -> AsyncIterator[None]:
        """The first is, and so many are handled."""
        async with running(self.guard.linger()):
            await eventually(lambda: len(self.handled) == handled)
            await yielded()
            assert self.publisher.begun == [[b"0"]]
            yield


async def test_the_next_is_handled_and_its_effects_wait_until_the_last_has_arrived() -> None:
    world = Ahead()
    await world.gather(0)
    async with world.on_its_way(1):
        await world.gather(1, 2)
        await eventually(lambda: len(world.handled) == 2)
        await yielded()
        assert world.publisher.begun == [[b"0"]]
        assert world.positions.next_of(P) == 0
        world.publisher.let.release()
        await eventually(lambda: len(world.handled) == 3)
        assert world.publisher.begun == [[b"0"], [b"1"]]
        assert world.positions.next_of(P) == 1
        world.publisher.let.release()
        world.publisher.let.release()
        await eventually(lambda: world.positions.next_of(P) == 3)
    assert world.handled == [b"0", b"1", b"2"]
    assert world.out == [b"0", b"1", b"2"]


async def test_after_one_that_failed_the_next_is_handled_again() -> None:
    world = Ahead(Slow(failures=2))
    await world.gather(0, 1)
    async with world.on_its_way(2):
        for _ in range(4):
            world.publisher.let.release()
        await eventually(lambda: world.positions.next_of(P) == 2)
    assert world.handled == [b"0", b"1", b"0", b"0", b"1"]
    assert world.out == [b"0", b"1"]
    assert world.counted("holds_total", dependency="broker") == 2
    assert world.guard.holding == frozenset()


async def test_a_bug_in_the_next_waits_for_the_last() -> None:
    world = Ahead()
    world.bad = b"1"
    await world.gather(0, 1, 2)
    async with world.on_its_way(2):
        assert world.publisher.published == []
        for _ in range(3):
            world.publisher.let.release()
        await eventually(lambda: world.positions.next_of(P) == 3)
    assert world.out == [b"0", b"2"]
    assert [letter.value for letter in world.letters] == [b"1"]
    assert world.handled == [b"0", b"1", b"2"]


async def test_a_finish_lets_the_last_arrive_and_gives_up_the_next() -> None:
    world = Ahead()
    world.hanging = b"1"
    await world.gather(0, 1)
    async with world.on_its_way(2), running(world.guard.finish()) as finish:
        await yielded()
        assert not finish.done()
        world.publisher.let.release()
        await asyncio.wait_for(finish, 10)
        assert world.positions.next_of(P) == 1
    assert world.out == [b"0"]
    assert world.positions.rewind(P) == {P: 1}


async def test_a_finish_gives_up_both_where_the_last_does_not_arrive() -> None:
    world = Ahead(Slow(failures=10**9))
    world.hanging = b"1"
    await world.gather(0, 1)
    async with world.on_its_way(2), running(world.guard.finish()) as finish:
        world.publisher.let.release()
        await asyncio.wait_for(finish, 10)
    assert world.out == []
    assert world.positions.next_of(P) == 0
    assert world.positions.rewind(P) == {P: 0}


async def test_the_turn_is_handed_on_though_there_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "PIECES", 2)
    turn = asyncio.Lock()
    world = Ahead(turn=turn)
    seen = []

    async def other() -> None:
        async with turn:
            seen.append(list(world.out))

    await world.gather(0, 1, 2, 3)
    async with world.on_its_way(2), running(other()):
        for _ in range(4):
            world.publisher.let.release()
        await eventually(lambda: world.positions.next_of(P) == 4)
    assert seen == [[b"0", b"1"]]  # all that was handled has arrived


async def test_what_fails_while_the_next_is_handled_is_not_lost() -> None:
    """The handler of the next finds the index away as well."""
    world = Ahead(Slow(failures=1))
    world.away = [Unavailable("index", "restarting")]
    await world.gather(0, 1)
    async with running(world.guard.linger()):
        for _ in range(3):
            world.publisher.let.release()
        await eventually(lambda: world.positions.next_of(P) == 2)
    assert world.out == [b"0", b"1"]
    assert world.counted("holds_total", dependency="index") == 1

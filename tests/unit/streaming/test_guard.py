"""The guard: all effects of a chunk reach the broker, then its position moves; or neither."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest
from harness.guarded import World, echo, eventually, numbered, running, yielded
from harness.records import FakeRecord, chunk

from stream_engine.codec import decode_dead_letter
from stream_engine.errors import NewerVersion, Unavailable
from stream_engine.events import Source
from stream_engine.streaming import guard as guards
from stream_engine.streaming.guard import Stage
from stream_engine.streaming.publisher import FakePublisher, Outgoing, Refused

P = ("clicks", 0)


async def test_handled_then_allowed_then_published_then_done() -> None:
    seen: list[str] = []

    class Publisher:
        async def publish(self, records: Sequence[Outgoing]) -> None:
            seen.append(f"published {len(records)} at {world.positions.next_of(P)}")

    async def handle(records: Sequence[FakeRecord]) -> list[Outgoing]:
        seen.append("handled")
        return await echo(records)

    world = World(handle, publisher=Publisher(), may_write=lambda: seen.append("allowed"))
    assert await world.run(*numbered(0, 1))
    assert seen == ["handled", "allowed", "published 2 at 0"]
    assert world.positions.next_of(P) == 2
    assert world.counted("records_total", topic="clicks") == 2


class Left(BaseException):
    """The process is gone."""


async def test_nothing_is_published_without_the_lease() -> None:
    def refuse() -> None:
        raise Left

    world = World(may_write=refuse)
    with pytest.raises(Left):
        await world.run(*numbered(0))
    assert world.publisher.published == []
    assert world.positions.next_of(P) == 0


async def test_a_broker_that_is_away_for_a_while_loses_nothing() -> None:
    world = World(publisher=FakePublisher(failures=3))
    assert await world.run(*numbered(0, 1, 2))
    assert world.out == [b"0", b"1", b"2"]
    assert world.positions.next_of(P) == 3
    assert world.counted("holds_total", dependency="broker") == 3
    assert world.guard.holding == frozenset()


async def test_it_holds_while_a_dependency_is_away_and_says_which() -> None:
    away = asyncio.Event()

    async def handle(records: Sequence[FakeRecord]) -> list[Outgoing]:
        if not away.is_set():
            raise Unavailable("encoder", "loading")
        return await echo(records)

    world = World(handle)
    async with running(world.run(*numbered(0))) as task:
        await eventually(lambda: world.guard.holding == {"encoder"})
        assert world.positions.next_of(P) == 0
        assert world.publisher.published == []
        away.set()
        assert await task
    assert world.guard.holding == frozenset()
    assert world.out == [b"0"]
    assert world.letters == []


async def test_a_bug_on_one_record_is_isolated_and_the_others_are_applied() -> None:
    async def handle(records: Sequence[FakeRecord]) -> list[Outgoing]:
        if any(each.value == b"2" for each in records):
            raise KeyError("oh no")
        return await echo(records)

    world = World(handle)
    bad = FakeRecord(2, b"2", b"key", (("trace", b"\x00\x01"),))
    await world.run(*numbered(0, 1), bad, *numbered(3))
    assert world.out == [b"0", b"1", b"3"]
    assert world.positions.next_of(P) == 4
    (sent,) = world.letters
    letter = decode_dead_letter(sent.key, sent.value, sent.headers)
    assert (letter.key, letter.value, letter.headers) == (b"key", b"2", (("trace", b"\x00\x01"),))
    assert (letter.source, letter.stage, letter.error) == (Source("clicks", 0, 2), "clicks", "KeyError")
    assert "Traceback" in letter.message or "oh no" in letter.message
    assert "in handle" in letter.message
    assert world.counted("failures_total", error="KeyError") == 1
    assert world.counted("dead_letters_total", stage="clicks") == 1


async def test_a_bug_is_isolated_though_the_broker_is_away_meanwhile() -> None:
    async def handle(records: Sequence[FakeRecord]) -> list[Outgoing]:
        if len(records) > 1 or records[0].value == b"1":
            world.publisher.failures += 1
            raise ZeroDivisionError
        return await echo(records)

    world = World(handle)
    await world.run(*numbered(0, 1, 2))
    assert world.out == [b"0", b"2"]
    assert len(world.letters) == 1
    assert world.positions.next_of(P) == 3


async def test_dead_letter_of_a_record_with_nothing_in_it() -> None:
    async def handle(_: Sequence[FakeRecord]) -> list[Outgoing]:
        raise ValueError("x" * 5000)

    world = World(handle)
    await world.run(FakeRecord(0, None, None, None, timestamp=5))  # type: ignore[arg-type]
    (sent,) = world.letters
    letter = decode_dead_letter(sent.key, sent.value, sent.headers)
    assert (sent.key, sent.value, letter.headers, sent.timestamp_ms) == (None, None, (), 5)
    assert letter.message.endswith("x" * 10 + "\n")


class Picky(FakePublisher):
    """Refuses what is larger than some bytes, as a broker does."""

    async def publish(self, records: Sequence[Outgoing]) -> None:
        if any(len(each.value or b"") > 5_000 for each in records):
            raise Refused("too large")
        await super().publish(records)


async def test_what_the_broker_never_takes_is_cut_and_the_stream_goes_on() -> None:
    async def poisoned(records: Sequence[FakeRecord]) -> list[Outgoing]:
        return [Outgoing("dead" if len(each.value) > 10 else "out", each.key, each.value) for each in records]

    world = World(poisoned, publisher=Picky())
    huge = FakeRecord(1, b"y" * 9_000, b"k" * 9_000, (("h", b"z" * 9_000),))
    await world.run(*numbered(0), huge, *numbered(2))
    assert world.out == [b"0", b"2"]
    (sent,) = world.letters
    letter = decode_dead_letter(sent.key, sent.value, sent.headers)
    assert (letter.key, letter.value, letter.headers) == (b"k" * 1000, b"y" * 1000, ())
    assert (letter.source, letter.error, letter.message) == (Source("clicks", 0, 1), "Refused", "too large")
    assert world.positions.next_of(P) == 3


async def test_effects_too_large_refuse_their_record_whole() -> None:
    async def inflating(records: Sequence[FakeRecord]) -> list[Outgoing]:
        return [Outgoing("out", None, each.value * (9_000 if each.value == b"1" else 1)) for each in records]

    world = World(inflating, publisher=Picky())
    await world.run(*numbered(0, 1, 2))
    assert world.out == [b"0", b"2"]
    assert [each.value for each in world.letters] == [b"1"]


async def test_a_chunk_behind_a_lost_one_asks_for_it_and_a_void_one_does_not() -> None:
    world = World()
    chunk(world.positions, numbered(0, 1))  # lost on its way
    behind = chunk(world.positions, numbered(2, 3))
    assert not await world.guard.run(behind)
    assert world.counted("rewinds_total") == 1
    world.positions.rewind(P)
    assert await world.guard.run(behind)  # of the turn before: it comes again by itself
    world.positions.start({P: 0})
    assert await world.guard.run(behind)
    assert world.out == []
    assert world.positions.next_of(P) == 0


async def test_nothing_is_taken_in_hand_once_a_rebalance_has_begun() -> None:
    world = World()
    late = chunk(world.positions, numbered(0))
    world.positions.close()
    assert await world.guard.run(late)
    assert world.out == []


async def test_finish_gives_up_a_chunk_that_holds() -> None:
    world = World(publisher=FakePublisher(failures=10**9), max_pause=60.0)
    async with running(world.run(*numbered(0))) as task:
        await eventually(lambda: world.guard.holding)
        async with asyncio.timeout(5):
            await world.guard.finish()
        assert await task
    assert world.positions.next_of(P) == 0
    assert world.positions.rewind(P) == {P: 0}


async def test_finish_gives_up_a_handler_that_hangs_also_within_an_isolated_chunk() -> None:
    hanging = asyncio.Event()

    async def handle(records: Sequence[FakeRecord]) -> list[Outgoing]:
        if len(records) > 1:
            raise RuntimeError
        if records[0].value == b"1":
            hanging.set()
            await asyncio.Event().wait()
        return await echo(records)

    for records in (numbered(1), numbered(0, 1)):
        world = World(handle)
        hanging.clear()
        async with running(world.run(*records)) as task:
            await hanging.wait()
            async with asyncio.timeout(5):
                await world.guard.finish()
            assert await task
        assert world.positions.next_of(P) == 0


async def test_finish_lets_what_is_on_its_way_to_the_broker_arrive() -> None:
    taken, arrived = asyncio.Event(), asyncio.Event()

    class Slow(FakePublisher):
        async def publish(self, records: Sequence[Outgoing]) -> None:
            taken.set()
            await arrived.wait()
            await super().publish(records)

    async def handle(records: Sequence[FakeRecord]) -> list[Outgoing]:
        if len(records) > 1:
            raise RuntimeError  # so that each is published by itself
        return await echo(records)

    world = World(handle, publisher=Slow())
    async with running(world.run(*numbered(0, 1))) as task:
        await taken.wait()
        async with running(world.guard.finish()) as finish:
            await yielded()
            assert not finish.done()
            arrived.set()
            async with asyncio.timeout(5):
                await finish
                assert await task
    assert world.out == [b"0"]  # the second had not begun
    assert world.positions.next_of(P) == 0


async def test_after_finish_the_next_epoch_goes_on() -> None:
    forgotten: list[int] = []
    world = World(Stage("clicks", echo, lambda: forgotten.append(1)))
    await world.guard.finish()
    assert forgotten == [1]
    await world.run(*numbered(0))
    assert world.out == [b"0"]


async def test_lingering_gathers_over_partitions() -> None:
    sizes: list[int] = []

    async def handle(records: Sequence[FakeRecord]) -> list[Outgoing]:
        sizes.append(len(records))
        return await echo(records)

    world = World(handle, partitions=(0, 1), linger=0.02)
    await world.run(*numbered(0, 1))
    await world.run(*numbered(0, partition=1))
    assert world.out == []
    async with running(world.guard.linger()):
        await eventually(lambda: world.out)
    assert sizes == [3]
    assert world.positions.finished() == {P: 2, ("clicks", 1): 1}


async def test_what_comes_meanwhile_is_gathered_as_long() -> None:
    began: list[float] = []

    async def handle(records: Sequence[FakeRecord]) -> list[Outgoing]:
        began.append(time.monotonic())
        if len(began) == 1:
            await world.run(*numbered(1))
        return await echo(records)

    world = World(handle, linger=0.1)
    await world.run(*numbered(0))
    async with running(world.guard.linger()):
        await eventually(lambda: len(world.out) == 2)
    assert began[1] - began[0] >= 0.1


async def test_a_backlog_does_not_wait_for_the_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "GATHER_AT_MOST", 3)
    world = World(linger=3600.0)
    for offset in range(7):
        await world.run(*numbered(offset))
    assert world.out == [b"0", b"1", b"2", b"3", b"4", b"5"]
    await world.guard.flush()
    assert world.positions.next_of(P) == 7


async def test_finish_drops_what_is_gathered_and_what_is_void_is_not_applied() -> None:
    world = World(linger=3600.0)
    await world.run(*numbered(0, 1))
    await world.guard.finish()
    await world.guard.flush()
    assert world.out == []
    world.positions.start({P: 0})
    await world.run(*numbered(0))
    world.positions.forget([P])
    await world.guard.flush()
    assert world.out == []


async def test_stages_of_one_table_take_turns() -> None:
    """Else what one has read is written after the other deleted it."""
    turn, events = asyncio.Lock(), []

    async def handle(records: Sequence[FakeRecord]) -> list[Outgoing]:
        events.append(("handled", records[0].value))
        return await echo(records)

    class Slow(FakePublisher):
        async def publish(self, records: Sequence[Outgoing]) -> None:
            await yielded()
            events.append(("published", records[0].value))

    worlds = [World(Stage(name, handle, turn=turn), publisher=Slow()) for name in ("clicks", "users")]
    await asyncio.gather(*(world.run(*numbered(number)) for number, world in enumerate(worlds)))
    assert events == [(done, value) for value in (b"0", b"1") for done in ("handled", "published")]


async def test_what_a_later_version_wrote_ends_the_worker_and_no_record_is_refused() -> None:
    told = []

    def leave(newer: NewerVersion) -> Any:
        told.append(str(newer))
        raise Left

    async def handle(records: Sequence[FakeRecord]) -> list[Outgoing]:
        raise NewerVersion("a user's state", 2, 1)

    world = World(handle, outdated=leave)
    with pytest.raises(Left):
        await world.run(*numbered(0, 1, 2))
    assert told == [
        "topic clicks: a user's state: version 2 found, and this worker knows 1 at most; upgrade this worker"
    ]
    assert world.publisher.published == []
    assert world.positions.committable() == {}


async def test_what_arrives_while_others_are_applied_is_applied_together() -> None:
    sizes: list[int] = []
    first = asyncio.Event()

    async def handle(records: Sequence[FakeRecord]) -> list[Outgoing]:
        sizes.append(len(records))
        await first.wait()
        return await echo(records)

    world = World(Stage("clicks", handle, linger=0.0, together=4), partitions=(0, 1, 2))
    async with running(world.guard.linger()):
        await world.run(*numbered(0))
        await eventually(lambda: sizes)
        for partition, offsets in ((1, (0, 1, 2)), (2, (0, 1, 2)), (1, (3,))):
            await world.run(*numbered(*offsets, partition=partition))
        first.set()
        await eventually(lambda: len(world.out) == 8)
    assert sizes == [1, 6, 1]  # whole chunks, until they hold as many as asked for
    assert world.positions.finished() == {P: 1, ("clicks", 1): 4, ("clicks", 2): 3}

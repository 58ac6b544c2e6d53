"""What the feed brings is applied to the view and, however often the index is away, to the index."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiokafka import TopicPartition
from harness.records import record
from harness.worlds import Stages, item

from stream_engine.errors import Unavailable
from stream_engine.giving_way import Spare
from stream_engine.index.memory import MemoryIndex
from stream_engine.index.protocol import Point
from stream_engine.settings import KafkaSettings
from stream_engine.streaming.feed import Feed, Subscription


class Shaky(MemoryIndex):
    """Fails when told; `failing` names the methods."""

    def __init__(self) -> None:
        super().__init__(64)
        self.failing: set[str] = set()

    async def ensure(self) -> None:
        if "ensure" in self.failing:
            raise Unavailable("index", "away")
        await super().ensure()

    async def upsert(self, points: Sequence[Point]) -> None:
        if "upsert" in self.failing:
            raise Unavailable("index", "away")
        await super().upsert(points)

    async def delete(self, item_ids: Sequence[str]) -> None:
        if "delete" in self.failing:
            raise Unavailable("index", "away")
        await super().delete(item_ids)


async def apply(stages: Stages, *records: Any) -> None:
    for each in await stages.catalogue.handle(records):
        stages.writer.catalogue(each.key or b"", each.value)


def shaky() -> tuple[Stages, Shaky]:
    store = Shaky()
    return Stages(index=store), store


async def caught_up(stages: Stages) -> None:
    """Try again, as the feed does, until the index has come back."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await stages.writer.index()
            except Unavailable:
                await asyncio.sleep(0)


@pytest.mark.parametrize("failing", ["upsert", "delete"])
async def test_what_an_index_that_is_away_did_not_get_it_gets_later(failing: str) -> None:
    stages, store = shaky()
    await apply(stages, item(0, "a", title="tea"), item(1, "b", title="pot"))
    await stages.writer.index()
    store.failing = {failing}
    await apply(stages, item(2, "c", title="cup"), item(3, "b"))
    with pytest.raises(Unavailable):
        await stages.writer.index()
    store.failing = set()
    await caught_up(stages)
    assert await store.count() == 2
    assert ("b" in stages.view, "c" in stages.view) == (False, True)


async def test_the_last_word_on_an_item_counts() -> None:
    stages, store = shaky()
    await apply(stages, item(0, "a", title="tea"))
    await apply(stages, item(1, "a"))
    await apply(stages, item(2, "b", title="pot"))
    await apply(stages, item(3, "b"))
    await apply(stages, item(4, "b", title="pot"))
    await stages.writer.index()
    assert await store.count() == 1
    assert await store.count() == len(stages.view)


async def test_what_comes_and_goes_while_an_index_is_away_leaves_nothing_to_do() -> None:
    stages, store = shaky()
    await apply(stages, item(0, "a", title="tea"), item(1, "b", title="pot"))
    await stages.writer.index()
    stages.writer.whole = True
    store.failing = {"ensure", "upsert"}
    for at in range(2, 100):
        await apply(stages, item(at, f"new-{at}", title="cup"), item(at, "a", title="cup"))
        with pytest.raises(Unavailable):
            await stages.writer.index()
        await apply(stages, item(at, f"new-{at}"), item(at, "a"), item(at, f"never-heard-of-{at}"))
    assert stages.writer._gone <= {"a", "new-2"}  # the first was tried
    assert (stages.writer._put, stages.writer._new) == ({}, set())
    store.failing = set()
    await caught_up(stages)
    assert (await store.count(), stages.writer._gone) == (1, set())


async def test_what_an_index_on_disk_holds_from_before_is_deleted_as_well() -> None:
    stages, store = shaky()
    await store.upsert([Point(each, np.ones(64, np.float32)) for each in ("seen", "unseen")])
    await apply(stages, item(0, "seen", title="tea"), item(1, "other", title="pot"))
    await apply(stages, item(2, "seen"), item(3, "unseen"))
    await stages.writer.index()
    assert await store.count() == 1


async def test_items_of_another_model_are_not_searched() -> None:
    stages, store = shaky()
    stages.view.fingerprint = "another"
    await apply(stages, item(0, "a", title="tea"))
    await stages.writer.index()
    assert "a" in stages.view
    assert await store.count() == 0


async def test_a_shared_index_is_left_to_the_items_owner_until_it_lost_something() -> None:
    stages = Stages(shared=True)
    await apply(stages, item(0, "a", title="tea"), item(1, "b", title="pot"))
    await stages.index.delete(["a", "b"])
    await stages.writer.index()
    assert await stages.index.count() == 0
    stages.index._recoveries += 1
    await stages.writer.index()
    assert await stages.index.count() == 2


async def test_an_index_that_is_away_comes_back_without_being_asked_for_anything() -> None:
    stages, store = shaky()
    store.failing = {"upsert"}
    with pytest.raises(Unavailable):
        await stages.index.upsert([Point("a", np.ones(64, np.float32))])
    store.failing = set()
    async with asyncio.timeout(10):
        while not stages.index.available:
            await stages.writer.index()
            await asyncio.sleep(0)


class FakeConsumer:
    """Hands over some batches, then nothing."""

    def __init__(self, batches: Sequence[dict[TopicPartition, list[Any]]]) -> None:
        self.batches = list(batches)

    async def getmany(self, *, timeout_ms: int, max_records: int | None = None) -> dict[TopicPartition, list[Any]]:
        return self.batches.pop(0) if self.batches else {}


async def test_an_unreadable_record_or_an_index_away_stops_nothing_and_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("stream_engine.streaming.feed.AIOKafkaConsumer", lambda **_: SimpleNamespace())
    stages, store = shaky()
    published = await stages.catalogue.handle([item(0, "a", title="tea"), item(1, "b", title="pot")])
    good = [record(at, each.value, key=each.key) for at, each in enumerate(published)]
    place = TopicPartition("item-state", 0)
    feed = Feed(
        KafkaSettings(), [Subscription("item-state", stages.writer.catalogue)], after=stages.writer.index, spare=Spare()
    )
    bad = [record(5, b"\x63nonsense", key=b"x"), record(6, None, key=b"\xff")]
    feed._consumer = FakeConsumer([{place: [good[0], *bad, good[1]]}])  # type: ignore[assignment]
    store.failing = {"upsert"}
    for _ in range(5):
        await feed._read()
    assert ("a" in stages.view, "b" in stages.view, await store.count()) == (True, True, 0)
    store.failing = set()
    async with asyncio.timeout(10):
        while await store.count() < 2:  # the index needs a moment to be asked again
            await feed._read()
            await asyncio.sleep(0)
    await feed._read()
    said = [each.message for each in caplog.records]
    assert said == [*["unreadable record"] * 2, "index away", "refill the index", "index back"]


def test_what_a_later_version_wrote_is_passed_over_and_told(caplog: pytest.LogCaptureFixture) -> None:
    stages = Stages()
    feed = Feed.__new__(Feed)
    feed.newer = {}
    newer = record(0, b"\x02\x90", key=b"x", topic="item-state")
    for _ in range(2):
        feed._take(stages.writer.catalogue, newer)
    assert str(feed.newer["item-state"]).startswith("topic item-state: an item's record: version 2 found")
    assert len(stages.view) == 0
    assert [each.levelname for each in caplog.records] == ["ERROR"]

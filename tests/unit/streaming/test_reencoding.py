"""After a change of the model an item's owner makes its vector anew, from what was last said of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
import pytest
from harness.records import FakeRecord
from harness.worlds import Stages, item, of

from stream_engine.encoder.hashed import HashedEncoder
from stream_engine.errors import NewerVersion, Unavailable
from stream_engine.streaming.partitioning import partition_of
from stream_engine.streaming.publisher import FakePublisher, Outgoing
from stream_engine.streaming.reencoding import TOGETHER, Ours, Reencoding
from stream_engine.streaming.stages.catalogue import ANNOUNCED, Catalogue

PARTITIONS = 2
OTHERS = Stages(encoder=HashedEncoder(32))


class World:
    """A worker whose items another model encoded, and what the items topic says of them."""

    def __init__(self, *said: FakeRecord) -> None:
        self.stages = Stages(shared=True)
        self.publisher = FakePublisher()
        self.owned = set(range(PARTITIONS))
        self.settled = 0
        self.told: dict[int, list[FakeRecord]] = {partition: [] for partition in range(PARTITIONS)}
        self.reencoding = Reencoding(
            self.stages.catalogue,
            self.stages.writer.foreign,
            self,
            self.publisher,
            ours=Ours("items", PARTITIONS, self.owned.__contains__, self.next_of),
            turn=asyncio.Lock(),
            may_write=lambda: None,
            settled=self.settle,
        )
        for record in said:
            self.tell(record)

    def tell(self, record: FakeRecord) -> None:
        self.told[partition_of(record.key or b"", PARTITIONS)].append(record)

    async def foreign(self, *records: FakeRecord) -> None:
        """The other model's owner had these."""
        for each in of(await OTHERS.catalogue.handle(records), "item-state"):
            self.stages.writer.catalogue(each.key or b"", each.value)

    def next_of(self, partition: tuple[str, int]) -> int | None:
        topic, number = partition
        assert topic == "items"
        return len(self.told[number])

    async def read(self, topic: str, partition: int, begin: int, end: int) -> Sequence[FakeRecord]:
        assert topic == "items"
        return self.told[partition][begin:end]

    async def settle(self) -> None:
        self.settled += 1

    async def step(self) -> list[Outgoing]:
        """What a round publishes; it is in the view then."""
        before = len(self.publisher.published)
        await self.reencoding.step()
        effects = self.publisher.published[before:]
        await self.stages.feed(effects)
        return effects


async def test_every_item_gets_a_vector_of_ours_from_what_was_last_said() -> None:
    many = [item(at, f"i{at}", title=f"pot {at}") for at in range(3 * TOGETHER)]
    world = World(*many, item(0, "i3", title="a red pan"))
    await world.foreign(*many)
    assert world.stages.view.encoded == 0
    assert len(await world.step()) == len(many)
    view = world.stages.view
    assert view.encoded == len(view) == len(many)
    assert await world.stages.index.count() == len(many)
    (red,) = await HashedEncoder(64).encode(["a red pan"])
    vector = view.vector("i3")
    assert vector is not None
    assert np.dot(vector, red) > 0.99
    assert not world.stages.writer.foreign
    assert world.settled == 0
    assert await world.step() == []
    assert await world.step() == []
    assert world.settled == 1  # once, when all is done


async def test_only_the_owner_does_it() -> None:
    world = World(*(records := [item(at, f"i{at}", title="pot") for at in range(20)]))
    await world.foreign(*records)
    world.owned.discard(1)
    done = {(each.key or b"") for each in await world.step()}
    assert done == {each.key for each in records if partition_of(each.key or b"", PARTITIONS) == 0}
    world.owned.add(1)
    assert len(await world.step()) == 20 - len(done)


async def test_news_meanwhile_is_not_written_over() -> None:
    world = World(*(records := [item(at, f"i{at}", title="pot") for at in range(40)]))
    await world.foreign(*records)
    world.owned.discard(1)
    again = world.stages.catalogue.again

    async def and_then_news(records: Sequence[FakeRecord]) -> list[Outgoing]:
        effects = await again(records)
        for number in range(40):
            world.tell(item(0, f"i{number}", title="news"))
        return effects

    with patch.object(Catalogue, "again", side_effect=and_then_news):
        assert len(await world.step()) == TOGETHER


async def test_what_is_not_said_any_more_is_looked_for_once() -> None:
    world = World(item(0, "deleted", title="pot"), item(1, "deleted"))
    await world.foreign(item(0, "deleted", title="pot"), item(1, "lost", title="pan"))
    assert await world.step() == []
    world.read = None  # type: ignore[assignment,method-assign]
    assert await world.step() == []
    assert world.stages.writer.foreign == {"deleted", "lost"}


async def test_a_click_does_not_overrule_the_catalogue_and_what_was_refused_is_refused_once() -> None:
    said = item(0, "x", title="pot")
    bad = FakeRecord(1, b"{", b"x", topic="items")
    clicked = item(2, "x", [(ANNOUNCED, b"")], title="pan")
    world = World(said, bad, clicked)
    await world.foreign(said)
    (effect,) = await world.step()
    assert effect.topic == "item-state"
    (pot,) = await HashedEncoder(64).encode(["pot"])
    vector = world.stages.view.vector("x")
    assert vector is not None
    assert np.dot(vector, pot) > 0.99


async def test_a_broker_that_is_away_is_told_and_nothing_is_forgotten() -> None:
    world = World(said := item(0, "x", title="pot"))
    await world.foreign(said)
    world.publisher.failures = 1
    with pytest.raises(Unavailable):
        await world.reencoding.step()
    assert len(await world.step()) == 1


async def test_what_a_later_version_wrote_is_left_alone() -> None:
    world = World(said := item(0, "x", title="pot"))
    await world.foreign(said)
    with pytest.raises(NewerVersion):
        world.stages.writer.catalogue(b"x", b"\x02 what tomorrow knows")
    assert await world.step() == []

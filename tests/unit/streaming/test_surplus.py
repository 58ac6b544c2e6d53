"""Of items in no catalogue only so many are kept: the weakest go, the announced never, and a recovery agrees."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from harness.records import record, statistics
from harness.worlds import Stages, of, surplus_of
from hypothesis import given
from hypothesis import strategies as st

from stream_engine.errors import PoisonEvent, Unavailable
from stream_engine.items.statistics import decode_statistics, encode_statistics, strength
from stream_engine.items.updates import ItemUpdate, encode_updates
from stream_engine.settings import StatisticsSettings
from stream_engine.streaming import surplus as module
from stream_engine.streaming.publisher import FakePublisher, Outgoing
from stream_engine.streaming.stages import FakeTable
from stream_engine.streaming.surplus import Surplus

NOW = 1_700_000_000.0
DAY = 86_400.0


class World:
    """A table of statistics, its changelog, and what is announced."""

    def __init__(self, unannounced: int, *, failures: int = 0, partitions: int = 1, **options: Any) -> None:
        self.table, self.publisher, self.turn = FakeTable(), FakePublisher(failures), asyncio.Lock()
        self.announced: set[str] = set()
        self.surplus = Surplus(
            self.table,
            self.publisher,
            settings=StatisticsSettings(unannounced=unannounced),
            partitions=partitions,
            announced=self.announced.__contains__,
            turn=self.turn,
            may_write=options.get("may_write", lambda: None),
            owns=options.get("owns", lambda _: True),
        )

    def put(self, item_id: str, clicks: float = 1.0, *, ago: float = 0.0, partition: int = 0) -> None:
        stats = statistics(NOW, clicks=clicks, last_click=NOW - ago)
        self.table.values[item_id.encode(), partition] = encode_statistics(stats)

    async def rounds(self, count: int = 2) -> None:
        for _ in range(count):
            await self.surplus.step()

    @property
    def left(self) -> set[str]:
        return {key.decode() for key, _ in self.table.values}


async def test_the_weakest_go_with_tombstones_and_the_announced_never() -> None:
    world = World(3)
    for number in range(5):
        world.put(f"once-{number}", ago=1_000.0 - number)
        world.put(f"announced-{number}", ago=1_000 * DAY)
        world.announced.add(f"announced-{number}")
    world.put("popular", 50.0, ago=30 * DAY)
    world.table.values[b"broken", 0] = b"\x01\xc1"
    await world.rounds()
    assert world.left == {"popular", "once-3", "once-4", "broken", *world.announced}
    assert sorted(world.publisher.published) == [Outgoing("changelog", b"once-%d" % at, None, (), 0) for at in range(3)]
    assert world.surplus.forgotten == 3


async def test_what_leaves_the_catalogue_is_bounded_as_well() -> None:
    world = World(2)
    for number in range(10):
        world.put(f"i{number}", ago=float(number))
    world.announced |= {f"i{number}" for number in range(10)}
    await world.rounds()
    assert len(world.left) == 10
    world.announced.clear()
    await world.rounds()
    assert world.left == {"i0", "i1"}


async def test_each_partition_has_its_share_whoever_owns_it() -> None:
    world = World(10, partitions=4, owns=lambda partition: partition != 2)
    for number in range(40):
        world.put(f"i{number}", ago=float(number), partition=number % 4)
    await world.rounds()
    counts = [sum(partition == each for _, partition in world.table.values) for each in range(4)]
    assert counts == [3, 3, 10, 3]


async def test_what_is_clicked_or_announced_before_its_turn_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FORGOTTEN", 0)
    world = World(0)
    for item_id in ("clicked", "announced", "neither"):
        world.put(item_id)
    await world.rounds(1)
    monkeypatch.setattr(module, "FORGOTTEN", 100)
    monkeypatch.setattr(module, "LOOKED_AT", 0)
    world.put("clicked", 2.0)
    world.announced.add("announced")
    await world.rounds(1)
    assert world.left == {"clicked", "announced"}


async def test_where_the_broker_is_away_nothing_is_forgotten_and_later_all_of_it() -> None:
    world = World(1, failures=1)
    for number in range(4):
        world.put(f"i{number}", ago=float(number))
    with pytest.raises(Unavailable):
        await world.rounds()
    assert len(world.left) == 4
    await world.rounds()
    assert world.left == {"i0"}


async def test_without_the_lease_nothing_is_written() -> None:
    def lost() -> None:
        raise RuntimeError("left")

    world = World(0, may_write=lost)
    world.put("i")
    with pytest.raises(RuntimeError, match="left"):
        await world.rounds()
    assert world.left == {"i"}
    assert not world.publisher.published


async def test_a_flood_of_ids_stays_within_the_bound_and_what_one_round_brings() -> None:
    """With the announced looked at as well: ever new ids, as fast as one worker takes clicks."""
    world = World(2_000)
    for number in range(3_000):
        world.put(f"known-{number}", ago=100 * DAY)
        world.announced.add(f"known-{number}")
    sizes = []
    for second in range(40):
        for number in range(400):
            world.put(f"{second}-{number}", ago=-float(second))
        world.put("popular", 3.0 + second / 10, ago=20.0 - second if second < 5 else 15.0)
        await world.surplus.step()
        sizes.append(len(world.left) - 3_000)
    assert max(sizes) <= 2_000 + 3 * 400 + 1
    assert min(sizes[20:]) >= 2_000
    assert {"popular"} | world.announced <= world.left


def test_strength_is_of_clicks_and_of_how_lately() -> None:
    def found(clicks: float, at: float) -> float:
        return strength(encode_statistics(statistics(99.0, landmark=0.0, clicks=clicks, last_click=at)), 10.0)

    assert found(1.0, 10.0) == found(3.0, 0.0)
    assert found(0.0, 5.0) < found(1.0, 5.0) < found(1.0, 6.0)
    with pytest.raises(PoisonEvent):
        strength(b"\x01\xc1", 10.0)


def update(item_id: str, offset: int) -> ItemUpdate:
    return ItemUpdate(item_id, 0, offset, NOW + offset, 1.0, (("other", 1.0),))


async def test_an_item_announced_soon_keeps_its_clicks_in_every_view() -> None:
    stages = Stages()
    said = [update(f"once-{at}", at) for at in range(20)] + [update("new", 20)]
    await stages.feed(await stages.statistics.handle([record(0, encode_updates(said), topic="interactions")]))
    await stages.stock({"new": "lamp"})
    publisher = FakePublisher()
    surplus = surplus_of(stages, publisher, unannounced=0)
    await surplus.step()
    await stages.feed(publisher.published)
    assert [decode_statistics(value).clicks for value in stages.items.values.values()] == [1.0]
    assert stages.view.columns.clicks[stages.view.row("new")] == 1.0
    assert np.flatnonzero(stages.view.columns.counted).tolist() == [stages.view.row("new")]


async def test_what_is_forgotten_comes_back_by_a_click_on_it_and_not_by_one_on_another() -> None:
    stages = Stages()
    click, pair = update("x", 0), ItemUpdate("x", 0, 1, NOW, later=(("y", 1.0),))
    assert await stages.statistics.handle([record(0, encode_updates([pair]), topic="interactions")]) == []
    await stages.statistics.handle([record(1, encode_updates([click, pair]), topic="interactions")])
    await surplus_of(stages, FakePublisher(), unannounced=0).step()
    assert await stages.statistics.handle([record(2, encode_updates([pair]), topic="interactions")]) == []
    (again,) = await stages.statistics.handle([record(3, encode_updates([click, pair]), topic="interactions")])
    stats = decode_statistics(again.value or b"")
    assert (stats.clicks, stats.by_neighbour(stats.together)) == (1.0, {"other": 1.0, "y": 1.0})


@given(st.lists(st.one_of(st.integers(0, 11), st.none()), max_size=40), st.data())
def test_whatever_is_forgotten_a_click_counts_once_and_the_changelog_says_what_the_table_does(
    clicks: list[int | None], data: st.DataObject
) -> None:
    """Clicks on a dozen ids, rounds in between (None), and any of it delivered again."""

    async def played() -> None:
        stages, log = Stages(), list[Outgoing]()
        publisher = FakePublisher()
        publisher.published = log
        surplus = surplus_of(stages, publisher, unannounced=3)
        lives = dict[int, set[int]]()  # of each item the clicks delivered since it was forgotten last
        began_anew, past = set[int](), list[tuple[int, int]]()
        for offset, number in enumerate(clicks):
            if number is None:
                await surplus.step()
                gone = {each for each in lives if (b"i%d" % each, 0) not in stages.items.values}
                began_anew |= gone
                lives = {each: offsets for each, offsets in lives.items() if each not in gone}
                continue
            again = data.draw(st.lists(st.sampled_from(past), max_size=3)) if past else []
            past.append((number, offset))
            for which, at in (*again, past[-1]):
                lives.setdefault(which, set()).add(at)
                said = encode_updates([ItemUpdate(f"i{which}", 0, at, NOW + at, 1.0)])
                log += await stages.statistics.handle([record(at, said, topic="interactions")])
        counted = {key: decode_statistics(value).clicks for (key, _), value in stages.items.values.items()}
        assert counted.keys() == {b"i%d" % each for each in lives}
        for each, offsets in lives.items():
            count = counted[b"i%d" % each]
            assert 1 <= count <= len(offsets) if each in began_anew else count == len(offsets)
        compacted = {(each.key, each.partition): each.value for each in log}
        assert {place: value for place, value in compacted.items() if value is not None} == stages.items.values
        assert of(log, "items-changelog") == log

    asyncio.run(played())

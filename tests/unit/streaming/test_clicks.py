"""The clicks stage: a user's state, their list, what it says about items, and what nobody knew."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiokafka.partitioner import murmur2
from harness.records import FakeRecord, click, record
from harness.worlds import PARTITIONS, Stages, letters, lists, of

from stream_engine.codec import Limits, decode_item
from stream_engine.events import Item, Source
from stream_engine.items.updates import decode_updates
from stream_engine.streaming.stages import ANNOUNCED
from stream_engine.streaming.stages import clicks as clicks_stage
from stream_engine.users import decode_state

TITLES = {f"i{number}": title for number, title in enumerate(["red tea pot", "green tea pot", "blue tea", "chair"])}


async def stocked() -> Stages:
    stages = Stages()
    await stages.stock(TITLES)
    return stages


async def test_state_then_list_then_what_it_says_about_items() -> None:
    stages = await stocked()
    effects = await stages.clicks.handle([click(0, "a", "i0"), click(1, "b", "i1"), click(2, "a", "i2")])
    said = of(effects, "interactions")
    assert [each.topic for each in effects[: -len(said)]] == 2 * ["users-changelog", "recommendations"]
    assert effects[-len(said) :] == said
    first, second = lists(effects)
    assert (first.user_id, first.interactions, first.trigger.offset) == ("a", 2, 2)
    assert (second.user_id, second.interactions, second.trigger.offset) == ("b", 1, 1)
    assert not {"i0", "i2"} & {each.item_id for each in first.items}
    states = {each.key: decode_state(each.value or b"") for each in of(effects, "users-changelog")}
    assert {key: state.items for key, state in states.items()} == {b"a": ("i0", "i2"), b"b": ("i1",)}


async def test_states_are_kept_by_the_partition_they_come_by() -> None:
    stages = await stocked()
    there = replace(click(0, "a", "i0"), partition=3)
    effects = await stages.clicks.handle([there])
    assert list(stages.users.values) == [(b"a", 3)]
    assert [each.partition for each in of(effects, "users-changelog")] == [3]
    assert [each.interactions for each in lists(await stages.clicks.handle([replace(there, offset=1)]))] == [2]


async def test_updates_go_to_the_partitions_of_the_items_owners() -> None:
    stages = await stocked()
    effects = await stages.clicks.handle([click(at, "a", f"i{at}") for at in range(4)])
    said = [(each.partition, update) for each in of(effects, "interactions") for update in decode_updates(each.value)]
    assert {update.item_id for _, update in said} == set(TITLES)
    assert all(partition == (murmur2(u.item_id.encode()) & 0x7FFFFFFF) % PARTITIONS for partition, u in said)
    assert [u.earlier for _, u in said if u.item_id == "i1" and u.weight] == [(("i0", 1.0),)]
    assert [(u.item_id, u.follower) for _, u in said if u.follower] == [("i0", "i1"), ("i1", "i2"), ("i2", "i3")]


async def test_many_updates_are_split_into_records_a_broker_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = await stocked()
    records = [click(at, "a", f"i{at % 4}") for at in range(30)]
    whole = {
        each.partition: decode_updates(each.value) for each in of(await stages.clicks.handle(records), "interactions")
    }
    monkeypatch.setattr(clicks_stage, "LARGEST", 300)
    split = of(await (await stocked()).clicks.handle(records), "interactions")
    assert len(split) > len(whole)
    assert max(len(each.value) for each in split) <= 300
    for partition, updates in whole.items():
        parts = [decode_updates(each.value) for each in split if each.partition == partition]
        assert tuple(update for part in parts for update in part) == updates


async def test_redelivery_gives_the_same_ids_and_the_same_bytes() -> None:
    stages = await stocked()
    records = [click(0, "a", "i0"), click(1, "b", "i1"), click(2, "a", "i2"), record(3, b"{")]
    first = await stages.clicks.handle(records)
    again = await stages.clicks.handle(records)
    assert [each.recommendation_id for each in lists(again)] == [each.recommendation_id for each in lists(first)]
    assert [each.interactions for each in lists(again)] == [2, 1]
    for topic in ("users-changelog", "interactions", "dead"):
        assert of(again, topic) == of(first, topic)


async def test_a_longer_chunk_after_a_shorter_one_counts_each_click_once() -> None:
    """What was read before a rebalance comes again with what came since."""
    stages = await stocked()
    records = [click(at, "a", f"i{at % 4}") for at in range(6)]
    await stages.clicks.handle(records[:4])
    assert [each.interactions for each in lists(await stages.clicks.handle(records))] == [6]


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (b"{", "value"),
        (b'{"user_id":"a"}', "item_id"),
        (b"\x00\xff\x7f", "value"),
        (None, "value"),
        (b"x" * 10_001, "value"),
    ],
    ids=["broken", "no item", "random bytes", "null", "too large"],
)
async def test_poison_becomes_a_letter_as_received_and_its_neighbours_go_on(value: bytes | None, field: str) -> None:
    stages = await stocked()
    poison = FakeRecord(7, value, b"\xffkey", (("trace", b"\x01"), ("empty", b"")), timestamp=77)
    effects = await stages.clicks.handle([click(6, "a", "i0"), poison, click(8, "a", "i1")])
    assert [each.interactions for each in lists(effects)] == [2]
    (letter,) = letters(effects)
    assert (letter.key, letter.value, letter.headers) == (poison.key, value, tuple(poison.headers))
    assert (letter.source, letter.stage, letter.error) == (Source("clicks", 0, 7), "clicks", "PoisonEvent")
    assert letter.message.startswith(f"{field}: ")
    assert [each.timestamp_ms for each in of(effects, "dead")] == [77]


async def test_poison_alone_leads_to_nothing_else() -> None:
    stages = await stocked()
    effects = await stages.clicks.handle([FakeRecord(0, b"", None, None)])  # type: ignore[arg-type]
    assert [each.topic for each in effects] == ["dead"]
    assert letters(effects)[0].headers == ()


async def test_items_nobody_announced_are_announced_in_our_name() -> None:
    stages = await stocked()
    fresh = {"item_id": "x", "title": "yellow tea pot", "categories": ["tea"]}
    effects = await stages.clicks.handle([click(0, "a", "x", item=fresh), click(1, "a", "i0", item={"title": "no"})])
    (announced,) = of(effects, "items")
    assert (announced.key, announced.partition) == (b"x", None)
    assert [name for name, _ in announced.headers] == [ANNOUNCED]
    said = decode_item(announced.value, key=announced.key, headers=(), timestamp=0.0, limits=Limits())
    assert said == Item(item_id="x", title="yellow tea pot", categories=("tea",))


async def test_chunks_of_several_partitions_are_applied_together_each_users_state_where_it_came_by() -> None:
    stages = await stocked()
    clicks = [click(0, "a", "i0"), replace(click(0, "b", "i1"), partition=1), replace(click(1, "b", "i2"), partition=1)]
    effects = await stages.clicks.handle(clicks)
    assert {each.key: each.partition for each in of(effects, "users-changelog")} == {b"a": 0, b"b": 1}
    assert [(each.user_id, each.interactions) for each in lists(effects)] == [("a", 1), ("b", 2)]
    again = [click(1, "a", "i3"), replace(click(2, "a", "i3"), partition=2)]
    assert [each.interactions for each in lists(await stages.clicks.handle(again))] == [2, 1]
    assert sorted(stages.users.values) == [(b"a", 0), (b"a", 2), (b"b", 1)]

"""The other stages: catalogue, statistics, user control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from harness.records import FakeRecord, click, record
from harness.worlds import Stages, item, letters, lists, of

from stream_engine.encoder.hashed import HashedEncoder
from stream_engine.errors import NewerVersion, Unavailable
from stream_engine.index.protocol import Query
from stream_engine.items.record import decode_record
from stream_engine.items.statistics import decode_statistics
from stream_engine.items.updates import UPDATES_VERSION, ItemUpdate, encode_updates
from stream_engine.streaming.stages import ANNOUNCED
from stream_engine.streaming.stages import statistics as statistics_stage
from stream_engine.vectors import Matrix

INLINE = ((ANNOUNCED, b"inline"),)


class Counting(HashedEncoder):
    """Keeps what it was asked to encode, batch by batch."""

    def __init__(self) -> None:
        super().__init__(64)
        self.asked: list[list[str]] = []

    async def encode(self, texts: Sequence[str]) -> Matrix:
        self.asked.append(list(texts))
        return await super().encode(texts)


async def test_items_are_encoded_in_one_run_and_recorded() -> None:
    encoder = Counting()
    stages = Stages(encoder=encoder)
    effects = await stages.catalogue.handle(
        [
            item(0, "a", title="red tea", categories=["tea"], price=2.5),
            item(1, "b", title="old"),
            item(2, "b", title="green tea", available=False),
            item(3, "c", price=1),
        ]
    )
    assert encoder.asked == [["red tea tea", "green tea"]]
    records = {each.key: decode_record(each.value or b"") for each in effects}
    assert [each.topic for each in effects] == 3 * ["item-state"]
    a, b, c = records[b"a"], records[b"b"], records[b"c"]
    assert (a.title, a.categories, a.price, a.available, a.fingerprint) == ("red tea", ("tea",), 2.5, True, "hashed-64")
    assert a.first_seen == pytest.approx(1_700_000_000.0)
    assert a.vector is not None
    assert np.allclose(a.vector, (await HashedEncoder(64).encode(["red tea tea"]))[0], atol=1e-3)
    assert (b.title, b.available) == ("green tea", False)
    assert c.vector is None


async def test_a_changed_item_keeps_when_it_was_first_seen_and_a_deleted_one_is_gone() -> None:
    stages = Stages()
    await stages.feed(await stages.catalogue.handle([item(0, "a", title="tea"), item(1, "b", title="pot")]))
    later = FakeRecord(2, b'{"item_id":"a","title":"tea two"}', b"a", topic="items", timestamp=1_800_000_000_000)
    effects = await stages.catalogue.handle([later, item(3, "b")])
    await stages.feed(effects)
    changed, deleted = effects
    assert decode_record(changed.value or b"").first_seen == pytest.approx(1_700_000_000.0, abs=64)
    assert (deleted.topic, deleted.key, deleted.value) == ("item-state", b"b", None)
    assert ("a" in stages.view, "b" in stages.view, await stages.index.count()) == (True, False, 1)


async def test_what_only_a_click_announced_does_not_overrule_the_catalogue() -> None:
    stages = Stages()
    await stages.stock({"a": "known"})
    effects = await stages.catalogue.handle(
        [
            item(1, "a", INLINE, title="said by a click"),
            item(2, "b", title="told just now"),
            item(3, "b", INLINE, title="said by a click"),
            item(4, "c", INLINE, title="said by a click"),
            item(5, "d", INLINE, title="said by a click"),
            item(6, "d", title="told in time"),
        ]
    )
    assert {each.key: decode_record(each.value or b"").title for each in effects} == {
        b"b": "told just now",
        b"c": "said by a click",
        b"d": "told in time",
    }


async def test_the_view_writer_alone_says_what_the_catalogue_holds() -> None:
    stages = Stages()
    stages.writer.newer["later"] = NewerVersion("an item's record", 2, 1)
    by_click = [item(at, each, INLINE, title="said by a click") for at, each in enumerate(("later", "other"))]
    assert [each.key for each in await stages.catalogue.handle(by_click)] == [b"other"]
    asked: list[str] = []
    assert await replace(stages.catalogue, announced=lambda each: not asked.append(each)).handle(by_click) == []
    assert asked == ["later", "other"]


async def test_the_same_items_again_give_the_same_records() -> None:
    stages = Stages()
    records = [item(0, "a", title="tea"), item(1, "b", title="pot"), item(2, "a")]
    assert await stages.catalogue.handle(records) == await stages.catalogue.handle(records)


async def test_items_nobody_understands_are_letters() -> None:
    effects = await Stages().catalogue.handle(
        [record(0, b"{", topic="items"), item(1, "a", title="tea"), record(2, None, topic="items")]
    )
    assert [(each.stage, each.source.offset, each.message.split(":")[0]) for each in letters(effects)] == [
        ("items", 0, "value"),
        ("items", 2, "key"),
    ]
    assert [each.key for each in of(effects, "item-state")] == [b"a"]


async def test_a_shared_index_has_an_item_before_its_record_is_published() -> None:
    stages = Stages(shared=True)
    await stages.catalogue.handle([item(0, "a", title="red tea"), item(1, "b", title="chair")])
    (vector,) = await HashedEncoder(64).encode(["red tea"])
    ((first, *_),) = await stages.index.search([Query(vector, 1)])
    assert first.item_id == "a"
    await stages.catalogue.handle([item(2, "a")])
    assert await stages.index.count() == 1


async def test_without_encoder_the_catalogue_waits() -> None:
    class Away(HashedEncoder):
        async def encode(self, texts: Sequence[str]) -> Matrix:
            raise Unavailable("encoder", "away")

    with pytest.raises(Unavailable):
        await Stages(encoder=Away(64)).catalogue.handle([item(0, "a", title="tea")])


def said(offset: int, *updates: ItemUpdate) -> FakeRecord:
    return record(offset, encode_updates(updates), topic="interactions", partition=2)


def update(item_id: str, offset: int, weight: float = 1.0) -> ItemUpdate:
    return ItemUpdate(item_id, 0, offset, 1_000.0 + offset, weight, (("other", 1.0),))


async def test_statistics_count_each_click_once_however_often_it_is_said() -> None:
    stages = Stages()
    records = [said(0, update("a", 0), update("b", 0)), said(1, update("a", 1))]
    first = await stages.statistics.handle(records)
    assert [(each.topic, each.key, each.partition) for each in first] == [
        ("items-changelog", b"a", 2),
        ("items-changelog", b"b", 2),
    ]
    assert decode_statistics(first[0].value or b"").clicks == 2
    assert await stages.statistics.handle(records) == first
    again = await stages.statistics.handle([*records, said(2, update("a", 2))])
    assert decode_statistics(again[0].value or b"").clicks == 3


async def test_what_was_added_before_a_failure_is_not_kept() -> None:
    stages = Stages()
    await stages.statistics.handle([said(0, update("a", 0))])
    later = FakeRecord(2, bytes([UPDATES_VERSION + 1]), None, (), "interactions")
    with pytest.raises(NewerVersion):
        await stages.statistics.handle([said(1, update("a", 1)), later])
    assert {decode_statistics(value).clicks for value in stages.items.values.values()} == {1.0}
    (written,) = await stages.statistics.handle([said(1, update("a", 1))])
    assert decode_statistics(written.value or b"").clicks == 2


async def test_statistics_go_on_from_the_table_once_forgotten() -> None:
    """Another worker may have counted on between two times that we own a partition."""
    stages = Stages()
    await stages.statistics.handle([said(0, update("a", 0))])
    others = Stages()
    others.items.values.update(stages.items.values)
    await others.statistics.handle([said(1, update("a", 1))])
    stages.items.values.update(others.items.values)
    stages.statistics.forget()
    (written,) = await stages.statistics.handle([said(2, update("a", 2))])
    assert decode_statistics(written.value or b"").clicks == 3


async def test_updates_nobody_understands_are_letters() -> None:
    effects = await Stages().statistics.handle(
        [record(0, b"\x63", topic="interactions", partition=2), said(1, update("a", 0)), record(2, None, partition=2)]
    )
    assert [(each.stage, each.source.offset) for each in letters(effects)] == [("interactions", 0), ("interactions", 2)]
    assert [each.key for each in of(effects, "items-changelog")] == [b"a"]


async def test_what_is_clicked_together_reaches_the_view() -> None:
    stages = Stages()
    await stages.stock({"a": "tea", "b": "garden chair", "c": "lamp"})
    effects = await stages.clicks.handle([click(at, f"u{at // 2}", "ab"[at % 2]) for at in range(8)])
    statistics = await stages.statistics.handle(
        [record(at, each.value, partition=each.partition or 0) for at, each in enumerate(of(effects, "interactions"))]
    )
    await stages.feed(statistics)
    listed = lists(await stages.clicks.handle([click(9, "new", "a")]))[0]
    assert listed.items[0].item_id == "b"


async def test_erasing_a_user_leaves_tombstones_for_state_and_list_known_or_not() -> None:
    stages = Stages()
    await stages.stock({"a": "tea"})
    await stages.clicks.handle([click(0, "u", "a")])
    effects = await stages.control.handle(
        [record(0, None, key=b"u", topic="users"), record(1, None, key=b"nobody", topic="users")]
    )
    assert [(each.topic, each.key, each.value) for each in effects] == [
        (topic, key, None) for key in (b"u", b"nobody") for topic in ("users-changelog", "recommendations")
    ]
    assert stages.users.values == {}
    assert [each.interactions for each in lists(await stages.clicks.handle([click(1, "u", "a")]))] == [1]


async def test_controls_nobody_understands_are_letters() -> None:
    effects = await Stages().control.handle([record(0, b"{", topic="users"), record(1, None, topic="users")])
    assert [(each.stage, each.source.offset) for each in letters(effects)] == [("users", 0), ("users", 1)]


async def test_what_statistics_cache_is_bounded_and_what_leaves_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics_stage, "CACHED", 3)
    stages = Stages()
    for offset in range(20):
        said = encode_updates([ItemUpdate(f"i{offset % 10}", 0, offset, 1_700_000_000.0, 1.0)])
        await stages.statistics.handle([FakeRecord(offset, said, None, (), "interactions")])
        assert len(stages.statistics.cached) <= 3
    assert {decode_statistics(value).clicks for value in stages.items.values.values()} == {2.0}

"""Bad input: each record ends in an answer or in a letter that names the field; its neighbours are none the worse."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from harness.garbage import ANSWERED, CLICKS, INTERACTIONS, ITEMS, JOINS, USERS, Bad, fuzzed
from harness.records import FakeRecord, click
from harness.worlds import Stages, item, letters, lists, of

from stream_engine.errors import NewerVersion
from stream_engine.events import Interaction, Received, Source
from stream_engine.items.updates import ItemUpdate, encode_updates
from stream_engine.streaming.publisher import Outgoing
from stream_engine.users import UserState, advance, decode_state, encode_state

NAMED = re.compile(r"^[a-z][A-Za-z_-]*(\.[A-Za-z_]+|\[[0-9.]+\])*: ")
TITLES = {"i0": "red tea pot", "i1": "green tea pot"}
FUZZED = 2_000
Handle = Callable[[Sequence[Any]], Awaitable[list[Outgoing]]]


async def stocked() -> Stages:
    stages = Stages()
    await stages.stock(TITLES)
    return stages


def received(bad: Bad, topic: str, offset: int = 1) -> FakeRecord:
    return FakeRecord(offset, bad.value, bad.key, bad.headers, topic)  # type: ignore[arg-type]


async def check(handle: Handle, bad: Bad, topic: str) -> list[Outgoing]:
    """Accepted, or a letter as received that names the field; the other effects."""
    record = received(bad, topic)
    effects = await handle([record])
    if bad.field is ANSWERED:
        assert not of(effects, "dead")
        return effects
    (letter,) = letters(effects)
    assert (letter.key, letter.value, list(letter.headers)) == (record.key, record.value, list(record.headers))
    assert (letter.source.topic, letter.source.offset, letter.error) == (topic, 1, "PoisonEvent")
    assert letter.message.startswith(bad.field), letter.message
    assert NAMED.match(letter.message), letter.message
    assert [each.topic for each in effects] == ["dead"]
    return []


def named(cases: Sequence[Bad]) -> Any:
    return pytest.mark.parametrize("bad", cases, ids=lambda bad: bad.name)


@named(CLICKS)
async def test_a_bad_click_and_the_good_one_after_it(bad: Bad) -> None:
    stages = await stocked()
    effects = await check(stages.clicks.handle, bad, "clicks")
    assert len(lists(effects)) == (bad.field is ANSWERED)
    assert all(len(each.key or b"") <= 4 * 512 for each in effects)
    answered = bad.field is ANSWERED and lists(effects)[0].user_id == "u"
    (answer,) = lists(await stages.clicks.handle([click(2, "u", "i0")]))
    assert answer.interactions == 1 + answered
    assert {each.item_id for each in answer.items} == {"i1"}


@named(ITEMS)
async def test_a_bad_item(bad: Bad) -> None:
    stages = await stocked()
    await stages.feed(await check(stages.catalogue.handle, bad, "items"))
    await stages.feed(await stages.catalogue.handle([item(2, "after", title="a chair")]))
    assert "after" in stages.view
    assert lists(await stages.clicks.handle([click(0, "u", "i0")]))[0].items


@named(USERS)
async def test_a_bad_word_on_a_user(bad: Bad) -> None:
    stages = await stocked()
    await check(stages.control.handle, bad, "users")
    assert not stages.users.values
    assert lists(await stages.clicks.handle([click(0, "u", "i0")]))


@named(INTERACTIONS)
async def test_bad_updates(bad: Bad) -> None:
    stages = Stages()
    await check(stages.statistics.handle, bad, "interactions")
    good = encode_updates([ItemUpdate("i0", 0, 2, 1_700_000_000.0, 1.0)])
    (written,) = await stages.statistics.handle([FakeRecord(2, good, None, (), "interactions")])
    await stages.feed([written])
    assert stages.view.columns.clicks[stages.view.row("i0")] == 1.0


@named(JOINS)
async def test_a_bad_history(bad: Bad) -> None:
    stages = await stocked()
    await check(stages.joins.handle, bad, "joins")
    other = encode_state(advance(None, _received("visitor"), None, stages.joins.settings))
    (answer,) = lists(await stages.joins.handle([FakeRecord(2, other, b"u", (), "joins")]))
    assert answer.interactions == 1


def _received(user: str) -> Received:
    return Received(Interaction(user_id=user, item_id="i0", timestamp=1_700_000_000.0), Source("clicks", 1, 5))


GOODS = {
    "clicks": (
        b'{"user_id":"u","item_id":"i0"}',
        b'{"user_id":"u","item_id":"x","item":{"title":"tea","categories":["a"],"vector":[1,2]},"attributes":{"a":1}}',
        b'{"anonymous_id":"v","event_type":"search","query":"tea pot","timestamp":1700000000,"position":3,"value":1.5}',
        b'{"specversion":"1.0","id":"e","source":"/","type":"c","data":{"user_id":"u","item_id":"i1"}}',
    ),
    "items": (
        b'{"item_id":"i9","title":"tea pot","categories":["a","b"],"price":1.5,"available":true}',
        b'{"item_id":"i9","published_at":"2023-11-14","expires_at":1800000000,"vector":[1,0],"attributes":{"a":[1]}}',
    ),
    "users": (b'{"user_id":"u","merge_into":"v"}', b'{"user_id":"u","attributes":{"tier":"gold"}}'),
    "interactions": (encode_updates([ItemUpdate("i0", 0, 9, 1.7e9, 1.0, (("i1", 0.9),), (("i2", 1.0),), "i1")]),),
    "joins": (encode_state(advance(None, _received("w"), None, Stages().joins.settings)), encode_state(UserState())),
}


@pytest.mark.parametrize("topic", GOODS)
async def test_whatever_becomes_of_a_good_record_it_is_taken_or_refused_by_name(topic: str) -> None:
    stages = await stocked()
    handle: Handle = {"items": stages.catalogue, "users": stages.control, "interactions": stages.statistics}.get(
        topic, getattr(stages, topic, None)
    ).handle  # type: ignore[union-attr]
    refused = 0
    for offset, value in enumerate(fuzzed(5, FUZZED, GOODS[topic])):
        record = FakeRecord(offset, value, b"u", (), topic)
        try:
            effects = await handle([record])
        except NewerVersion:
            assert 1 < value[0] < 32
            continue
        await stages.feed(effects)
        refused += len(letters(effects))
        assert all(NAMED.match(letter.message) and letter.value == value for letter in letters(effects))
        assert all(decode_state(each.value) for each in of(effects, "users-changelog") if each.value)
    assert FUZZED // 10 < refused < FUZZED * 99 // 100
    assert lists(await stages.clicks.handle([click(FUZZED, "fresh", "i0")]))[0].items

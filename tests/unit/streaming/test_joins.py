"""Merging a visitor into an account: once, whatever is redelivered, and what came since as well."""

from __future__ import annotations

from harness.records import FakeRecord, record
from harness.worlds import Stages, lists, of

from stream_engine.streaming.publisher import Outgoing
from stream_engine.users import decode_state

TITLES = {f"tea-{number}": f"tea pot {number}" for number in range(8)}


def click(offset: int, user: str, item_id: str) -> FakeRecord:
    return record(offset, {"user_id": user, "item_id": item_id}, key=user.encode(), topic="clicks")


def request(offset: int, user: str, **fields: object) -> FakeRecord:
    return record(offset, {"user_id": user, **fields}, key=user.encode(), topic="users")


def delivered(effects: list[Outgoing]) -> list[FakeRecord]:
    return [record(at, each.value, key=each.key, topic="joins") for at, each in enumerate(of(effects, "joins"))]


async def test_an_account_has_both_histories_and_a_list_that_reflects_them() -> None:
    stages = Stages()
    await stages.stock(TITLES)
    await stages.clicks.handle([click(0, "visitor", "tea-1"), click(1, "visitor", "tea-2"), click(2, "ann", "tea-3")])
    effects = await stages.joins.handle(
        delivered(await stages.control.handle([request(0, "visitor", merge_into="ann")]))
    )
    (answer,) = lists(effects)
    assert (answer.user_id, answer.interactions) == ("ann", 3)
    assert not {item.item_id for item in answer.items[:3]} & {"tea-1", "tea-2", "tea-3"}


async def test_joining_again_counts_only_what_is_new() -> None:
    stages = Stages()
    await stages.stock(TITLES)
    await stages.clicks.handle([click(0, "visitor", "tea-1")])
    joins = delivered(await stages.control.handle([request(0, "visitor", merge_into="ann")]))
    await stages.joins.handle(joins)
    (again,) = lists(await stages.joins.handle(joins))
    assert again.interactions == 1
    await stages.clicks.handle([click(1, "visitor", "tea-2")])
    more = delivered(await stages.control.handle([request(1, "visitor", merge_into="ann")]))
    (grown,) = lists(await stages.joins.handle(more))
    assert grown.interactions == 2


async def test_a_visitor_never_seen_joins_nothing() -> None:
    assert await Stages().control.handle([request(0, "nobody", merge_into="ann")]) == []


async def test_attributes_are_noted() -> None:
    stages = Stages()
    (written,) = await stages.control.handle([request(0, "ann", attributes={"country": "PT"})])
    assert decode_state(written.value or b"").attributes == {"country": "PT"}

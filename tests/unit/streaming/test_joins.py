"""Merging a visitor into an account: once, whatever is redelivered, and what came since as well."""

from __future__ import annotations

from dataclasses import replace

import pytest
from harness.records import FakeRecord, record
from harness.worlds import Stages, letters, lists, of

from stream_engine.streaming.changelogs import Sieve
from stream_engine.streaming.publisher import Outgoing
from stream_engine.users import decode_state, marks

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


def at(milliseconds: int, made: FakeRecord) -> FakeRecord:
    return replace(made, timestamp=1_700_000_000_000 + milliseconds)


async def joined(stages: Stages, offset: int, *, visitor: str, at_ms: int) -> FakeRecord:
    """A visitor's click, and their history on its way to ann."""
    await stages.clicks.handle([click(offset, visitor, f"tea-{offset}")])
    (effect,) = of(await stages.control.handle([request(offset, visitor, merge_into="ann")]), "joins")
    made = at(at_ms, record(offset, effect.value, key=effect.key, topic="joins"))
    stages.past.add(made)
    return made


@pytest.mark.parametrize("late", [False, True], ids=["in its turn", "after what came since"])
async def test_an_erased_account_has_only_what_joined_since(late: bool) -> None:  # noqa: FBT001
    stages = Stages()
    await stages.stock(TITLES)
    erasure = at(20, record(9, None, key=b"ann", topic="users"))
    before, since = await joined(stages, 0, visitor="v", at_ms=10), await joined(stages, 1, visitor="w", at_ms=30)
    await stages.joins.handle([before, since] if late else [before])
    assert await stages.ordering.due([erasure]) == {("clicks", 0): 0, ("joins", 0): 1}
    await stages.control.handle([erasure])
    await stages.joins.handle([since])
    await stages.control.handle([erasure])  # delivered again
    state = decode_state(stages.users.values[b"ann", 0])
    assert (state.interactions, state.items) == (1, ("tea-1",))


async def test_a_history_under_way_arrives_though_its_visitor_is_erased_and_only_there() -> None:
    stages = Stages()
    await stages.stock(TITLES)
    await stages.clicks.handle([click(0, "visitor", "tea-1")])
    erase = record(1, None, key=b"visitor", topic="users")
    effects = await stages.control.handle([request(0, "visitor", merge_into="ann"), erase])
    again = await stages.control.handle([request(0, "visitor", merge_into="ann"), erase])
    assert of(again, "joins") == []
    (answer,) = lists(await stages.joins.handle(delivered(effects)))
    assert (answer.user_id, answer.interactions) == ("ann", 1)
    assert list(stages.users.values) == [(b"ann", 0)]
    await stages.control.handle([record(2, None, key=b"ann", topic="users")])
    assert stages.users.values == {}


async def test_joining_oneself_is_a_letter() -> None:
    effects = await Stages().control.handle([request(0, "ann", merge_into="ann")])
    assert [each.message for each in letters(effects)] == ["merge_into: the user themselves"]


async def test_a_recovery_takes_what_an_erasure_left_though_it_knows_of_less() -> None:
    stages = Stages()
    await stages.stock(TITLES)
    before, since = await joined(stages, 0, visitor="v", at_ms=10), await joined(stages, 1, visitor="w", at_ms=30)
    written = of(await stages.joins.handle([before, since]), "users-changelog")
    written += of(await stages.control.handle([at(20, record(9, None, key=b"ann", topic="users"))]), "users-changelog")
    sieve, recovered = Sieve(marks), None
    for offset, each in enumerate(written):
        if sieve.takes(record(offset, each.value, key=b"ann"), recovered):
            recovered = each.value
    assert recovered == stages.users.values[b"ann", 0]
    assert decode_state(recovered).items == ("tea-1",)

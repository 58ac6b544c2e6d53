from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from stream_engine.encoder.hashed import HashedEncoder
from stream_engine.engine import Engine
from stream_engine.errors import Unavailable
from stream_engine.events import Interaction, Item, Received, Source
from stream_engine.index.protocol import Match, Point, Query
from stream_engine.items.record import record_of
from stream_engine.items.statistics import ItemStatistics
from stream_engine.items.tally import observe
from stream_engine.items.updates import ItemUpdate
from stream_engine.items.view import ItemView
from stream_engine.outcomes import recommendation_id
from stream_engine.ranking.ranker import Ranker
from stream_engine.settings import RankingSettings, StatisticsSettings, UserSettings
from stream_engine.users import advance, space_of
from stream_engine.vectors import Matrix

TITLES = ["red tea pot", "green tea pot", "blue tea pot", "garden chair", "garden table", "garden bench"]


class AwayIndex:
    async def upsert(self, points: Sequence[Point]) -> None:
        raise Unavailable("index", "away")

    async def delete(self, item_ids: Sequence[str]) -> None:
        raise Unavailable("index", "away")

    async def search(self, queries: Sequence[Query]) -> list[list[Match]]:
        raise Unavailable("index", "away")

    async def count(self) -> int:
        raise Unavailable("index", "away")

    async def close(self) -> None: ...


class AwayEncoder(HashedEncoder):
    async def encode(self, texts: Sequence[str]) -> Matrix:
        raise Unavailable("encoder", "away")


class World:
    """An engine, and what the streaming side would keep for it."""

    def __init__(self, titles: Sequence[str] = TITLES, encoder: HashedEncoder | None = None) -> None:
        self.encoder = encoder or HashedEncoder(64)
        self.view = ItemView(64, StatisticsSettings(), fingerprint=self.encoder.fingerprint)
        self.statistics: dict[str, ItemStatistics] = {}
        self.states = {}
        self.titles = titles
        self.engine = Engine(
            view=self.view,
            index=AwayIndex(),
            encoder=self.encoder,
            ranker=Ranker(),
            users=UserSettings(),
            ranking=RankingSettings(size=5),
        )

    async def stock(self) -> World:
        vectors = await HashedEncoder(64).encode(self.titles)
        for number, (title, vector) in enumerate(zip(self.titles, vectors, strict=True)):
            item = Item(item_id=f"i{number}", title=title, categories=(title.split()[0],))
            self.view.put(record_of(item, first_seen=float(number), vector=vector, fingerprint="hashed-64"))
        return self

    async def click(self, *received: Received):
        outcome = await self.engine.on_chunk(received, self.states, now=99.0)
        self.states |= {user.user_id: user.state for user in outcome.users}
        self.learn(outcome.updates)
        return outcome

    def learn(self, updates: Sequence[ItemUpdate]) -> None:
        for update in updates:
            self.statistics[update.item_id] = observe(self.statistics.get(update.item_id), update, self.view.settings)
            self.view.put_statistics(update.item_id, self.statistics[update.item_id])


def click(user_id: str, item_id: str | None, offset: int, **fields: object) -> Received:
    interaction = Interaction(user_id=user_id, item_id=item_id, timestamp=1_000.0 + offset, **fields)
    return Received(interaction, Source("clicks", 0, offset))


def ids(outcome, user: int = 0) -> list[str]:
    return [item.item_id for item in outcome.users[user].recommendation.items]


async def test_a_new_user_gets_a_list_and_an_empty_catalogue_an_empty_one() -> None:
    assert (await World().engine.recommend("u", None, 5.0)).items == ()
    listed = await (await World().stock()).engine.recommend("u", None, 5.0)
    assert len(listed.items) == 5
    assert [item.rank for item in listed.items] == [1, 2, 3, 4, 5]


async def test_a_list_leaves_out_what_was_clicked_and_is_never_empty() -> None:
    world = await World().stock()
    for offset in range(len(TITLES)):
        outcome = await world.click(click("u", f"i{offset}", offset))
        if offset < len(TITLES) - 1:
            assert not set(ids(outcome)) & {f"i{seen}" for seen in range(offset + 1)}
        assert ids(outcome)


async def test_one_list_a_user_reflecting_the_last_click() -> None:
    world = await World().stock()
    outcome = await world.click(click("a", "i0", 0), click("b", "i1", 1), click("a", "i2", 2))
    lists = {user.user_id: user.recommendation for user in outcome.users}
    assert {user: (made.interactions, made.trigger.offset) for user, made in lists.items()} == {
        "a": (2, 2),
        "b": (1, 1),
    }
    assert lists["a"].recommendation_id == recommendation_id("a", Source("clicks", 0, 2))


async def test_what_was_clicked_together_is_recommended_with_a_reason() -> None:
    world = await World().stock()
    for number in range(4):
        await world.click(click(f"u{number}", "i0", 2 * number), click(f"u{number}", "i4", 2 * number + 1))
    outcome = await world.click(click("new", "i0", 100))
    first = outcome.users[0].recommendation.items[0]
    assert first.item_id == "i4"
    assert ("clicked_together", "i0") in {(reason.kind, reason.item_id) for reason in first.reasons}


async def test_redelivery_changes_no_state_and_repeats_ids_and_updates() -> None:
    world = await World().stock()
    chunk = [click("u", "i0", 0), click("u", "i1", 1), click("u", "i0", 2)]
    first = await world.click(*chunk)
    again = await world.click(*chunk)
    assert again.users[0].state == first.users[0].state
    assert again.updates == first.updates
    assert again.users[0].recommendation.recommendation_id == first.users[0].recommendation.recommendation_id


async def test_outages_are_named_and_survived() -> None:
    world = await World(encoder=AwayEncoder(64)).stock()
    outcome = await world.click(click("u", None, 0, event_type="search", query="tea"))
    assert outcome.users[0].recommendation.degraded == ("encoder",)
    assert ids(outcome)
    world = await World().stock()
    outcome = await world.click(click("u", "i0", 0))
    assert outcome.users[0].recommendation.degraded == ("index",)
    assert ids(outcome)


async def test_unknown_inline_items_are_announced_once() -> None:
    world = await World().stock()
    fresh, old = Item(item_id="x", title="red tea cup"), Item(item_id="i0", title="red tea pot")
    outcome = await world.click(
        click("u", "x", 0, item=fresh), click("v", "x", 1, item=fresh), click("v", "i0", 2, item=old)
    )
    assert outcome.announced == (fresh,)


@pytest.mark.parametrize("field", ["available", "expires_at", "published_at"])
async def test_what_may_not_be_shown_is_not(field: str) -> None:
    world = await World().stock()
    value = {"available": False, "expires_at": 10.0, "published_at": 1e9}[field]
    item = Item(item_id="i3", title=TITLES[3], **{field: value})
    world.view.put(record_of(item, first_seen=0.0, vector=None, fingerprint=""))
    assert "i3" not in ids(await world.click(click("u", "i4", 0)))


async def test_the_callers_rules_hold() -> None:
    world = await World().stock()
    listed = await world.engine.recommend("u", None, 5.0, size=2, categories=("garden",), exclude=("i3",))
    assert {item.item_id for item in listed.items} == {"i4", "i5"}


@pytest.mark.parametrize("dimensions", [32, 64])
async def test_interests_of_another_model_are_compared_with_nothing(dimensions: int) -> None:
    world = await World().stock()
    theirs = np.ones(dimensions, np.float32)
    before = advance(None, click("u", "i9", 0), theirs, UserSettings(), space=space_of("another"))
    assert before.interests
    found = await world.engine.proposed("u", before, 1_001.0)
    assert not found.taste.question.interests.size
    world.states["u"] = before
    outcome = await world.click(click("u", "without text", 1))
    assert outcome.users[0].recommendation.interactions == 2
    assert len(ids(outcome)) == 5

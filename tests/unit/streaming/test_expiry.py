"""Users who were away for too long are forgotten: gently, where we own them, and never against a click."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stream_engine.errors import Unavailable
from stream_engine.streaming import expiry as module
from stream_engine.streaming.expiry import Expiry
from stream_engine.streaming.publisher import FakePublisher
from stream_engine.streaming.stages import FakeTable
from stream_engine.users import UserState, encode_state, last_active

DAY = 86_400.0
NOW = 1_700_000_000.0


class World:
    """A table of users, and who is away."""

    def __init__(self, *, failures: int = 0, clock: float = NOW, **options: Any) -> None:
        self.table, self.publisher, self.turn = FakeTable(), FakePublisher(failures), asyncio.Lock()
        self.expiry = Expiry(
            self.table,
            self.publisher,
            after=30 * DAY,
            recommendations="lists",
            turn=self.turn,
            may_write=options.get("may_write", lambda: None),
            owns=options.get("owns", lambda _: True),
            clock=lambda: clock,
        )

    def put(self, user: str, *, away: float, partition: int = 0) -> None:
        state = UserState(interactions=1, updated_at=NOW - away)
        self.table.values[user.encode(), partition] = encode_state(state)

    @property
    def left(self) -> set[str]:
        return {key.decode() for key, _ in self.table.values}


async def rounds(world: World, count: int = 2) -> None:
    for _ in range(count):
        await world.expiry.step()


async def test_who_was_away_for_too_long_gets_tombstones_and_nobody_else() -> None:
    world = World()
    for user, days in (("old", 31), ("young", 29), ("here", 0)):
        world.put(user, away=days * DAY)
    world.table.values[b"described", 0] = encode_state(UserState(attributes={"a": 1}))
    world.table.values[b"broken", 0] = b"\x01\xc1"
    await rounds(world, 5)
    assert world.left == {"young", "here", "described", "broken"}
    sent = [(each.topic, each.key, each.value, each.partition) for each in world.publisher.published]
    assert sent == [("changelog", b"old", None, 0), ("lists", b"old", None, None)]
    assert world.expiry.expired == 1


async def test_away_is_measured_against_the_latest_event_and_never_beyond_the_clock() -> None:
    ancient, future = World(), World(clock=NOW)
    ancient.put("then", away=3_000 * DAY)
    ancient.put("a week later", away=2_993 * DAY)
    future.put("here", away=0.0)
    future.put("from tomorrow", away=-40 * DAY)
    for world in (ancient, future):
        await rounds(world, 5)
        assert len(world.left) == 2


async def test_a_click_that_comes_meanwhile_wins() -> None:
    world = World()
    world.put("old", away=31 * DAY)
    world.put("here", away=0.0)
    await world.expiry.step()
    async with world.turn:
        step = asyncio.ensure_future(world.expiry.step())
        await asyncio.sleep(0)
        world.put("old", away=0.0)
    await step
    assert world.left == {"old", "here"}
    assert not world.publisher.published


async def test_only_what_is_owned_and_only_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXPIRED", 3)
    world = World(owns=lambda partition: partition == 1)
    world.put("here", away=0.0, partition=1)
    for number in range(10):
        world.put(f"old-{number}", away=31 * DAY, partition=number % 2)
    await world.expiry.step()
    assert len(world.publisher.published) == 2 * 3
    await rounds(world, 5)
    assert world.left == {"here", *(f"old-{number}" for number in range(0, 10, 2))}


async def test_where_the_broker_is_away_nobody_is_forgotten_and_later_everybody_is() -> None:
    world = World(failures=1)
    world.put("here", away=0.0)
    world.put("old", away=31 * DAY)
    with pytest.raises(Unavailable):
        await world.expiry.step()
    assert world.left == {"here", "old"}
    await rounds(world)
    assert world.left == {"here"}


async def test_without_the_lease_nothing_is_written() -> None:
    def lost() -> None:
        raise RuntimeError("left")

    world = World(may_write=lost)
    world.put("here", away=0.0)
    world.put("old", away=31 * DAY)
    with pytest.raises(RuntimeError, match="left"):
        await world.expiry.step()
    assert world.left == {"here", "old"}
    assert not world.publisher.published


def test_activity_is_read_from_any_state() -> None:
    assert last_active(encode_state(UserState(updated_at=5.5))) == 5.5
    assert last_active(encode_state(UserState())) == 0.0

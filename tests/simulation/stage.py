"""The real clicks stage with a stand-in for the engine: users' states for true, lists of what they hold."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from simulation.broker import CHANGELOG, LISTS, Record
from simulation.clock import Clock
from stream_engine.codec import Limits
from stream_engine.engine import ChunkOutcome, UserOutcome
from stream_engine.events import Models, Received, Recommendation, RecommendedItem, Trigger
from stream_engine.settings import UserSettings
from stream_engine.streaming.changelogs import Marks, Sieve
from stream_engine.streaming.guard import Stage
from stream_engine.streaming.publisher import Outgoing
from stream_engine.streaming.stages.clicks import Clicks
from stream_engine.users import UserState, advance

USERS = UserSettings()
MODELS = Models("none", "none")
SEARCH = 0.01  # seconds the index takes, on average


class Store:
    """A worker's table of users, in memory or on a disk that outlives the process."""

    def __init__(self, name: str, *, disk: bool, marks: Marks) -> None:
        self.name = name
        self.persisted: dict[int, int] = {}  # last changelog offset that a store on disk says it has
        self._values: dict[bytes, bytes] = {}
        self._partitions: dict[bytes, int] = {}
        self._disk = disk
        self._marks = marks
        self.sieve = Sieve(marks)

    def reopened(self) -> Store:
        """What the next process finds."""
        return self if self._disk else Store(self.name, disk=False, marks=self._marks)

    def read(self, key: bytes, partition: int) -> bytes | None:
        return self._values.get(key)

    def write(self, key: bytes, value: bytes | None, partition: int) -> Outgoing:
        self._set(key, value, partition)
        return Outgoing(CHANGELOG, key, value, (), partition)

    def apply(self, records: Iterable[Record]) -> None:
        """Take records of the changelog."""
        for record in records:
            key, known = record.key or b"", self._values.get(record.key or b"")
            if self.sieve.takes(key, record.partition, found=record.value, known=known):
                self._set(key, record.value, record.partition)
            if self._disk:
                self.persisted[record.partition] = record.offset

    def on_recovery_completed(self, partitions: set[int]) -> None:
        """In memory, what is not ours any more is dropped."""
        if not self._disk:
            for key in [key for key, partition in self._partitions.items() if partition not in partitions]:
                self._set(key, None, self._partitions.pop(key))

    def _set(self, key: bytes, value: bytes | None, partition: int) -> None:
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value
            self._partitions[key] = partition


class Engine:
    """Advances states; a list holds what its user's state holds."""

    def __init__(self, clock: Clock, *, rewrite: bool) -> None:
        self._clock = clock
        self._rewrite = rewrite

    async def on_chunk(self, received: Sequence[Received], states: Mapping[str, UserState], now: float) -> ChunkOutcome:
        """As `stream_engine.engine.Engine`."""
        current: dict[str, UserState] = dict(states)
        trigger: dict[str, Received] = {}
        for each in received:
            user = each.interaction.user_id
            after = advance(current.get(user), each, None, USERS)
            if self._rewrite or after is not current.get(user):
                trigger[user] = each
            current[user] = after
        await asyncio.sleep(self._clock.chance.expovariate(1 / SEARCH))
        return ChunkOutcome(
            tuple(UserOutcome(user, current[user], _list(user, current[user], each)) for user, each in trigger.items()),
            (),
            (),
        )


def _list(user: str, state: UserState, received: Received) -> Recommendation:
    source = received.source
    return Recommendation(
        recommendation_id=f"{user}/{source.partition}/{source.offset}",
        user_id=user,
        generated_at=0.0,
        trigger=Trigger(None, source.topic, source.partition, source.offset),
        interactions=state.interactions,
        model=MODELS,
        items=tuple(RecommendedItem(item, rank, 0.0, "history") for rank, item in enumerate(state.items, 1)),
    )


def clicks_stage(store: Store, clock: Clock, *, rewrite: bool) -> Stage:
    """The stage of the clicks topic."""
    engine: Any = Engine(clock, rewrite=rewrite)
    stage = Clicks(
        engine=engine,
        users=store,
        limits=Limits(max_future=3600.0, max_bytes=10_000),
        clock=lambda: 0.0,
        recommendations=LISTS,
        dead_letters="dead-letters",
        items="items",
        interactions="interactions",
        partitions=1,
    )
    return Stage("clicks", stage.handle)

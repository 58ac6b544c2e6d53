"""The real clicks stage with a stand-in for the engine: users' states for true, lists of what they hold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from simulation.broker import CHANGELOG, CLICKS, LISTS, Record
from simulation.clock import Clock
from stream_engine.codec import Limits, decode_interaction
from stream_engine.engine import ChunkOutcome, UserOutcome
from stream_engine.events import Models, Received, Recommendation, RecommendedItem, Source, Trigger
from stream_engine.settings import UserSettings
from stream_engine.streaming.changelogs import Marks, Sieve
from stream_engine.streaming.gaps import Gaps
from stream_engine.streaming.guard import Stage
from stream_engine.streaming.owners import OWNER, Token, encode_token
from stream_engine.streaming.publisher import Outgoing
from stream_engine.streaming.stages.clicks import Clicks
from stream_engine.users import UserState, advance, decode_state, encode_state, next_offset

USERS = UserSettings()
MODELS = Models("none", "none")
LIMITS = Limits(max_future=3600.0, max_bytes=10_000)
SEARCH = 0.01  # seconds the index takes, on average


class Store:
    """A worker's table of users, in memory or on a disk that outlives the process."""

    def __init__(self, name: str, *, disk: bool, marks: Marks, owned: bool = True) -> None:
        self.name = name
        self.changelog = CHANGELOG
        self.gaps = Gaps()
        self._owned = owned
        self._headers: dict[int, tuple[tuple[str, bytes], ...]] = {}
        self.persisted: dict[int, int] = {}  # last changelog offset that a store on disk says it has
        self._values: dict[bytes, bytes] = {}
        self._partitions: dict[bytes, int] = {}
        self._disk = disk
        self._marks = marks
        self.sieve = Sieve(marks)

    def reopened(self) -> Store:
        """What the next process finds."""
        return self if self._disk else Store(self.name, disk=False, marks=self._marks, owned=self._owned)

    def read(self, key: bytes, partition: int) -> bytes | None:
        return self._values.get(key)

    def write(self, key: bytes, value: bytes | None, partition: int) -> Outgoing:
        self._set(key, value, partition)
        return Outgoing(CHANGELOG, key, value, self._headers.get(partition, ()), partition)

    def own(self, partition: int, token: Token) -> None:
        self.gaps.begin(partition, token.end)
        if self._owned:
            self.sieve.owners.note(partition, token)
            self._headers[partition] = ((OWNER, encode_token(token)),)

    def keep(self, partitions: Collection[int]) -> None:
        if not self._disk:
            self.sieve.keep(partitions)
        self.gaps.keep(partitions)

    def apply(self, records: Iterable[Record]) -> None:
        """Take records of the changelog."""
        for record in records:
            if self._takes(record):
                self._set(record.key or b"", record.value, record.partition)
            if self._disk:
                self.persisted[record.partition] = record.offset

    def look(self, record: Record) -> None:
        self._takes(record)

    def _takes(self, record: Record) -> bool:
        return self.sieve.takes(record, self._values.get(record.key or b""))

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


def clicks_stage(store: Store, clock: Clock, log: Callable[[int], Sequence[Record]], *, rewrite: bool) -> Stage:
    """The stage of the clicks topic; there, a record without a value erases its user. `log`: what a partition holds."""
    engine: Any = Engine(clock, rewrite=rewrite)
    stage = Clicks(
        engine=engine,
        users=store,
        limits=LIMITS,
        clock=lambda: 0.0,
        recommendations=LISTS,
        dead_letters="dead-letters",
        items="items",
        interactions="interactions",
        partitions=1,
    )

    async def handle(records: Sequence[Record]) -> list[Outgoing]:
        effects: list[Outgoing] = []
        for erases, group in groupby(records, key=lambda record: record.value is None):
            if erases:
                effects += [each for record in group for each in _erased(store, record, log(record.partition))]
            else:
                effects += await stage.handle(list(group))
        return effects

    return Stage("clicks", handle, linger=0.0, together=1, ahead=True)


def _erased(store: Store, erasure: Record, log: Sequence[Record]) -> list[Outgoing]:
    """A tombstone, and what the state knows of since: as `stages.erasing`, so that once more changes nothing."""
    key, partition = erasure.key or b"", erasure.partition
    known, state = store.read(key, partition), None
    end = next_offset(decode_state(known), Source(CLICKS, partition, 0)) if known else 0
    for record in log:
        if record.key == key and erasure.offset < record.offset < end:
            state = None if record.value is None else advance(state, _received(record), None, USERS)
    effects = [store.write(key, None, partition)]
    return effects if state is None else [*effects, store.write(key, encode_state(state), partition)]


def _received(record: Record) -> Received:
    said = decode_interaction(record.value, key=record.key, headers=(), timestamp=0.0, limits=LIMITS)
    return Received(said, Source(CLICKS, record.partition, record.offset))

"""The real clicks stage with a stand-in for the engine: users' states for true, lists of what they hold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby
from typing import Any

from simulation.broker import CHANGELOG, CLICKS, LISTS, Record
from simulation.clock import Clock
from stream_engine.codec import Limits, decode_interaction
from stream_engine.events import Models, Received, Recommendation, RecommendedItem, Source, Trigger
from stream_engine.outcomes import ChunkOutcome, UserOutcome
from stream_engine.settings import UserSettings
from stream_engine.streaming.changelogs import Marks
from stream_engine.streaming.guard import Stage
from stream_engine.streaming.owners import Owners, Token
from stream_engine.streaming.publisher import Outgoing
from stream_engine.streaming.stages.clicks import Clicks
from stream_engine.streaming.state_store import Saved, StateStore
from stream_engine.users import VERSION, UserState, advance, decode_state, encode_state, next_offset

USERS = UserSettings()
MODELS = Models("none", "none")
LIMITS = Limits(max_future=3600.0, max_bytes=10_000)
SEARCH = 0.01  # seconds the index takes, on average


class Store(StateStore):
    """A worker's table of users; `owned`: whether its records say who wrote them."""

    def __init__(self, marks: Marks, *, owned: bool = True) -> None:
        super().__init__(CHANGELOG, marks, version=VERSION, saved=True)
        self._owned = owned

    @property
    def states(self) -> Store:
        """What Faust's side of it holds."""
        return self

    def own(self, partition: int, token: Token) -> None:
        super().own(partition, token)
        if not self._owned:
            del self._headers[partition]
            self.sieve.owners = Owners()


class Disk:
    """A worker's disk, which outlives its processes."""

    def __init__(self) -> None:
        self._saved: dict[int, Saved] = {}

    def load(self, _: str) -> dict[int, Saved]:
        return dict(self._saved)

    def save(self, partition: int, saved: Saved, _: str) -> None:
        before = Saved({}, None, ()) if saved.anew else self._saved[partition]
        applied = before.applied if saved.applied is None else saved.applied
        self._saved[partition] = Saved({**before.values, **saved.values}, applied, saved.owners)

    def keep(self, partitions: Collection[int]) -> None:
        self._saved = {partition: saved for partition, saved in self._saved.items() if partition in partitions}


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

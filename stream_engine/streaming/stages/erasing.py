"""Erasing a user: what they did up to then is forgotten, whatever is delivered late or again.

Users and clicks are two topics, so what comes first is told by the records' timestamps. An erasure waits until the
clicks (and joins) stamped no later than itself are done: `due` says up to where. It then makes the state what the log
says from that place on: nothing as a rule, and the clicks since for a user who came back before it was their turn. So
an erasure delivered again comes to the same. A click with an earlier stamp that reaches the broker after an
erasure is done begins a new life.

Tombstones follow for the state and the list; the broker compacts both topics within a day (see topics.py).
What is beyond an erasure: `clicks` and `dead-letters` hold the records as received until their retention; a history
that was joined to an account is the account's, which is to be erased as well; statistics of items name no user.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from stream_engine.codec import Limits, decode_interaction, encode_recommendation
from stream_engine.engine import Engine
from stream_engine.events import Received, Source
from stream_engine.settings import UserSettings
from stream_engine.streaming.chunks import Record, source_of
from stream_engine.streaming.positions import Partition
from stream_engine.streaming.publisher import Outgoing
from stream_engine.streaming.stages.decoding import decoded
from stream_engine.streaming.stages.joins import list_for
from stream_engine.streaming.stages.placing import named
from stream_engine.streaming.stages.tables import StateTable
from stream_engine.users import BadState, UserState, decode_state, encode_state, merge, next_offset


class Past(Protocol):
    """The port to what topics held before; raises Unavailable."""

    async def place(self, topic: str, partition: int, timestamp_ms: int) -> int | None:
        """The first record stamped then or later; None where there is none yet."""
        ...

    async def end(self, topic: str, partition: int) -> int:
        """The offset after the last record there is to read."""
        ...

    async def read(self, topic: str, partition: int, begin: int, end: int) -> Sequence[Record]:
        """What is left of the records from `begin` up to, not with, `end`."""
        ...


@dataclass(frozen=True, slots=True)
class Erasing:
    """Null records of the `users` topic."""

    engine: Engine
    users: StateTable
    past: Past
    limits: Limits
    settings: UserSettings
    clock: Callable[[], float]
    clicks: str
    joins: str
    recommendations: str

    async def due(self, records: Sequence[Record]) -> Mapping[Partition, int]:
        """Up to where clicks and joins must be done before these records are; of one partition. Raises Unavailable."""
        erasures = [record for record in records if record.value is None]
        if not erasures:
            return {}
        last = max(erasures, key=_after)
        places: dict[Partition, int] = {}
        for topic in (self.clicks, self.joins):
            place, end = await self._place(topic, last), await self.past.end(topic, last.partition)
            places[topic, last.partition] = end if place is None else min(place, end)  # it may be a transaction's mark
        return places

    async def effects(self, user_id: str, record: Record) -> list[Outgoing]:
        """Tombstones; or the state and list of one who came back."""
        key = user_id.encode()
        state = await self._since(user_id, record)
        if state is None:
            return [self.users.write(key, None, record.partition), Outgoing(self.recommendations, key, None)]
        answer = await list_for(self.engine, user_id, state, source_of(record), self.clock())
        # the tombstone between them: else a recovery would take the state for one that goes back (changelogs.py)
        erased = self.users.write(key, None, record.partition)
        written = self.users.write(key, encode_state(state), record.partition)
        return [erased, written, Outgoing(self.recommendations, key, encode_recommendation(answer))]

    async def _since(self, user_id: str, record: Record) -> UserState | None:
        """What the log says of the user since this erasure, as far as the state knows of it."""
        key, partition = user_id.encode(), record.partition
        known = self._known(key, partition)
        if known is None:
            return None
        state = None
        end = next_offset(known, Source(self.clicks, partition, 0))
        begin = await self._place(self.clicks, record) if end else None
        if begin is not None and begin < end:
            state = await self._replayed(user_id, await self.past.read(self.clicks, partition, begin, end))
        begin = await self._place(self.joins, record) if known.merged else None
        if begin is not None:
            end = await self.past.end(self.joins, partition)
            for other in _histories(await self.past.read(self.joins, partition, begin, end), key):
                state = merge(state, other, self.settings)
        return state

    async def _replayed(self, user_id: str, records: Sequence[Record]) -> UserState | None:
        good, _ = decoded(records, decode_interaction, limits=self.limits, dead_letters="", stage="users")
        received = [Received(named(each, said), source_of(each)) for each, said in good if said.user_id == user_id]
        return (await self.engine.remember(received)).get(user_id)

    async def _place(self, topic: str, record: Record) -> int | None:
        return await self.past.place(topic, record.partition, _after(record)) if record.timestamp > 0 else None

    def _known(self, key: bytes, partition: int) -> UserState | None:
        stored = self.users.read(key, partition)
        try:
            return None if stored is None else decode_state(stored)
        except BadState:
            return None  # no reason to keep it


def _after(record: Record) -> int:
    """The first stamp of what comes after: what shares a millisecond with an erasure is erased."""
    return record.timestamp + 1


def _histories(records: Sequence[Record], key: bytes) -> list[UserState]:
    found = []
    for record in records:
        try:
            if record.key == key:
                found.append(decode_state(record.value or b""))
        except BadState:
            continue  # a dead letter when it was its turn
    return found

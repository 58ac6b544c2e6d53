"""Erasing a user: what they did up to then is forgotten, whatever is delivered late or again.

An erasure waits until what was stamped before it is done (ordering.py). It then makes the state what the log says from
that place on: nothing as a rule, and the clicks since for a user who came back before it was their turn. So an erasure
delivered again comes to the same. A click with an earlier stamp that reaches the broker after an erasure is done begins
a new life.

Tombstones follow for the state and the list; the broker compacts both topics within a day (see topics.py).
What is beyond an erasure: `clicks` and `dead-letters` hold the records as received until their retention; a history
that was joined to an account is the account's, which is to be erased as well; statistics of items name no user.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stream_engine.codec import Limits, decode_interaction, encode_recommendation
from stream_engine.engine import Engine
from stream_engine.events import Received, Source
from stream_engine.settings import UserSettings
from stream_engine.streaming.chunks import Record, source_of
from stream_engine.streaming.publisher import Outgoing
from stream_engine.streaming.stages.decoding import decoded
from stream_engine.streaming.stages.joins import list_for
from stream_engine.streaming.stages.ordering import Ordering
from stream_engine.streaming.stages.placing import named
from stream_engine.streaming.stages.tables import StateTable
from stream_engine.users import BadState, UserState, decode_state, encode_state, merge, next_offset


@dataclass(frozen=True, slots=True)
class Erasing:
    """Null records of the `users` topic."""

    engine: Engine
    users: StateTable
    ordering: Ordering
    limits: Limits
    settings: UserSettings
    clock: Callable[[], float]
    recommendations: str

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
        state, order, past = None, self.ordering, self.ordering.past
        end = next_offset(known, Source(order.clicks, partition, 0))
        begin = await order.place(order.clicks, record) if end else None
        if begin is not None and begin < end:
            state = await self._replayed(user_id, await past.read(order.clicks, partition, begin, end))
        begin = await order.place(order.joins, record) if known.merged else None
        if begin is not None:
            end = await past.end(order.joins, partition)
            for other in _histories(await past.read(order.joins, partition, begin, end), key):
                state = merge(state, other, self.settings)
        return state

    async def _replayed(self, user_id: str, records: Sequence[Record]) -> UserState | None:
        good, _ = decoded(records, decode_interaction, limits=self.limits, dead_letters="", stage="users")
        received = [Received(named(each, said), source_of(each)) for each, said in good if said.user_id == user_id]
        return (await self.engine.remember(received)).get(user_id)

    def _known(self, key: bytes, partition: int) -> UserState | None:
        stored = self.users.read(key, partition)
        try:
            return None if stored is None else decode_state(stored)
        except BadState:
            return None  # no reason to keep it


def _histories(records: Sequence[Record], key: bytes) -> list[UserState]:
    found = []
    for record in records:
        try:
            if record.key == key:
                found.append(decode_state(record.value or b""))
        except BadState:
            continue  # a dead letter when it was its turn
    return found

"""The internal joins topic: histories that the owner of an account joins to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from stream_engine.codec import encode_recommendation
from stream_engine.codec.fields import key_identifier
from stream_engine.engine import Engine
from stream_engine.errors import PoisonEvent
from stream_engine.events import Recommendation, Source, Trigger
from stream_engine.outcomes import recommendation_id
from stream_engine.settings import UserSettings
from stream_engine.streaming.chunks import Record, source_of
from stream_engine.streaming.letters import dead_letter
from stream_engine.streaming.publisher import Outgoing
from stream_engine.streaming.stages.tables import StateTable
from stream_engine.users import BadState, UserState, decode_state, encode_state, merge


@dataclass(frozen=True, slots=True)
class Joins:
    """A history: joined to the account's own, once, and the account has a list that reflects both."""

    engine: Engine
    users: StateTable
    settings: UserSettings
    clock: Callable[[], float]
    recommendations: str
    dead_letters: str

    async def handle(self, records: Sequence[Record]) -> list[Outgoing]:
        """The account's state and list."""
        effects = []
        for record in records:
            try:
                account, other = _said(record)
            except PoisonEvent as poison:
                effects.append(dead_letter(record, poison, topic=self.dead_letters, stage="joins"))
                continue
            key, partition = account.encode(), record.partition
            stored = self.users.read(key, partition)
            own = None if stored is None else decode_state(stored)
            state = merge(own, other, self.settings)
            answer = await list_for(self.engine, account, state, source_of(record), self.clock())
            effects.append(self.users.write(key, encode_state(state), partition))
            effects.append(Outgoing(self.recommendations, key, encode_recommendation(answer)))
        return effects


async def list_for(engine: Engine, user_id: str, state: UserState, source: Source, now: float) -> Recommendation:
    """The user's list after what the record at this place did to their state; nothing is learnt from it."""
    answer = await engine.recommend(user_id, state, now)
    trigger = Trigger(None, source.topic, source.partition, source.offset)
    return replace(answer, recommendation_id=recommendation_id(user_id, source), trigger=trigger)


def _said(record: Record) -> tuple[str, UserState]:
    """The account, and the history that is joined to it; raises PoisonEvent."""
    try:
        return key_identifier("key", record.key), decode_state(record.value or b"")
    except BadState as error:
        raise PoisonEvent("value", f"not a user's state: {error}") from None

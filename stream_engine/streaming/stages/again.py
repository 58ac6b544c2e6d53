"""A user's list once more, as their last click left it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stream_engine.codec import encode_recommendation
from stream_engine.engine import Engine
from stream_engine.events import Source
from stream_engine.settings import TopicSettings
from stream_engine.streaming.publisher import Outgoing
from stream_engine.streaming.stages.joins import list_for
from stream_engine.users import BadState, decode_state, next_offset


@dataclass(frozen=True, slots=True)
class ListsAgain:
    """What was written late over a user's state came with a list: theirs is published again, with the id it had."""

    engine: Engine
    topics: TopicSettings
    clock: Callable[[], float]

    async def __call__(self, key: bytes, value: bytes | None, partition: int) -> Sequence[Outgoing]:
        """The user's list; a tombstone where there is no user, nothing where they never clicked."""
        if value is None:
            return [Outgoing(self.topics.recommendations, key, None)]
        try:
            state, user_id = decode_state(value), key.decode()
        except (BadState, UnicodeDecodeError):
            return []  # not for us to judge
        last = Source(self.topics.clicks, partition, next_offset(state, Source(self.topics.clicks, partition, 0)) - 1)
        if last.offset < 0:
            return []
        answer = await list_for(self.engine, user_id, state, last, self.clock())
        return [Outgoing(self.topics.recommendations, key, encode_recommendation(answer))]

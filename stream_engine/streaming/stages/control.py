"""The `users` topic: what the shop says of a user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stream_engine.codec import Limits, decode_user_control
from stream_engine.streaming.chunks import Record
from stream_engine.streaming.publisher import Outgoing
from stream_engine.streaming.stages.decoding import decoded
from stream_engine.streaming.stages.tables import StateTable


@dataclass(frozen=True, slots=True)
class Control:
    """What the shop says of a user: erase them."""

    users: StateTable
    limits: Limits
    recommendations: str
    dead_letters: str

    async def handle(self, records: Sequence[Record]) -> list[Outgoing]:
        """Tombstones for state and list."""
        good, effects = decoded(
            records, decode_user_control, limits=self.limits, dead_letters=self.dead_letters, stage="users"
        )
        for record, control in good:
            if control.erase:
                key = control.user_id.encode()
                effects.append(self.users.write(key, None, record.partition))
                effects.append(Outgoing(self.recommendations, key, None))
        return effects

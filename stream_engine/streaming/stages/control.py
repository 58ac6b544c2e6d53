"""The `users` topic: what the shop says of a user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stream_engine.codec import Limits, decode_user_control
from stream_engine.errors import PoisonEvent
from stream_engine.events import UserControl
from stream_engine.streaming.chunks import Record
from stream_engine.streaming.letters import dead_letter
from stream_engine.streaming.publisher import Outgoing
from stream_engine.streaming.stages.decoding import decoded
from stream_engine.streaming.stages.erasing import Erasing
from stream_engine.streaming.stages.placing import Placement
from stream_engine.streaming.stages.tables import StateTable
from stream_engine.users import decode_state, encode_state, with_attributes


@dataclass(frozen=True, slots=True)
class Control:
    """Erase a user, join their history to an account, or note attributes."""

    users: StateTable
    limits: Limits
    dead_letters: str
    joins: str
    erasing: Erasing
    placement: Placement | None = None

    async def handle(self, records: Sequence[Record]) -> list[Outgoing]:
        """Tombstones of the erased, histories for the accounts' owners, states with attributes."""
        good, effects = decoded(
            records, decode_user_control, limits=self.limits, dead_letters=self.dead_letters, stage="users"
        )
        if self.placement is not None:
            good, elsewhere = self.placement.divided(good, lambda control: control.user_id)
            effects += elsewhere
        for record, control in good:
            try:
                effects += await self._effects(control, record)
            except PoisonEvent as poison:  # it took the state to tell
                effects.append(dead_letter(record, poison, topic=self.dead_letters, stage="users"))
        return effects

    async def _effects(self, control: UserControl, record: Record) -> list[Outgoing]:
        if control.erase:
            return await self.erasing.effects(control.user_id, record)
        key, partition = control.user_id.encode(), record.partition
        stored = self.users.read(key, partition)
        effects = []
        if control.attributes:
            state = with_attributes(None if stored is None else decode_state(stored), control.attributes)
            effects.append(self.users.write(key, encode_state(state), partition))
        if control.merge_into is not None and stored is not None:
            # a copy: joining it again counts only what is new, so the visitor may click on
            effects.append(Outgoing(self.joins, control.merge_into.encode(), stored))
        return effects

"""The `clicks` topic: users' states and lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from stream_engine.codec import Limits, decode_interaction, encode_item, encode_recommendation
from stream_engine.engine import Engine
from stream_engine.events import Item, Received
from stream_engine.items.updates import ItemUpdate, encode_updates
from stream_engine.streaming.chunks import Record, source_of
from stream_engine.streaming.partitioning import partition_of
from stream_engine.streaming.publisher import Outgoing
from stream_engine.streaming.stages.catalogue import ANNOUNCED
from stream_engine.streaming.stages.decoding import decoded
from stream_engine.streaming.stages.placing import Placement, named
from stream_engine.streaming.stages.tables import StateTable
from stream_engine.users import UserState, decode_state, encode_state

LARGEST = 500_000  # bytes of a record of updates


@dataclass(frozen=True, slots=True)
class Clicks:
    """A click: the user's new state, their new list, and what it says about items.

    Clicks of users who belong on another partition are sent on (see placing.py); without a placement there are none.
    """

    engine: Engine
    users: StateTable
    limits: Limits
    clock: Callable[[], float]
    recommendations: str
    dead_letters: str
    items: str
    interactions: str
    partitions: int
    placement: Placement | None = None

    async def handle(self, records: Sequence[Record]) -> list[Outgoing]:
        """Effects in the order they are to be published; the table has changed already."""
        good, effects = decoded(
            records, decode_interaction, limits=self.limits, dead_letters=self.dead_letters, stage="clicks"
        )
        if self.placement is not None:
            good, elsewhere = self.placement.divided(good, lambda interaction: interaction.user_id)
            effects += elsewhere
        received = [Received(named(record, interaction), source_of(record)) for record, interaction in good]
        for each in _apart(received):
            effects += await self._effects(each)
        return effects

    async def _effects(self, received: Sequence[Received]) -> list[Outgoing]:
        """Of clicks that come by one partition for each user."""
        partitions = {each.interaction.user_id: each.source.partition for each in received}
        outcome = await self.engine.on_chunk(received, self._states(partitions), self.clock())
        effects = []
        for user in outcome.users:
            key = user.user_id.encode()
            effects.append(self.users.write(key, encode_state(user.state), partitions[user.user_id]))
            effects.append(Outgoing(self.recommendations, key, encode_recommendation(user.recommendation)))
        effects += self._said(outcome.updates)
        effects += [self._announcement(item) for item in outcome.announced]
        return effects

    def _states(self, partitions: Mapping[str, int]) -> dict[str, UserState]:
        stored = {user: self.users.read(user.encode(), partition) for user, partition in partitions.items()}
        return {user: decode_state(state) for user, state in stored.items() if state is not None}

    def _said(self, updates: Iterable[ItemUpdate]) -> list[Outgoing]:
        """What the chunk says about items, one record for each partition of the items' owners."""
        by_owner: dict[int, list[ItemUpdate]] = {}
        for update in updates:
            by_owner.setdefault(partition_of(update.item_id.encode(), self.partitions), []).append(update)
        return [
            Outgoing(self.interactions, None, data, (), owner)
            for owner, said in by_owner.items()
            for data in _encoded(said)
        ]

    def _announcement(self, item: Item) -> Outgoing:
        return Outgoing(self.items, item.item_id.encode(), encode_item(item), ((ANNOUNCED, b"inline"),))


def _apart(received: Sequence[Received]) -> list[list[Received]]:
    """All together, or by partition where one user comes by several: each has a state of its own there."""
    partitions: dict[str, int] = {}
    if all(partitions.setdefault(e.interaction.user_id, e.source.partition) == e.source.partition for e in received):
        return [list(received)]
    apart: dict[int, list[Received]] = {}
    for each in received:
        apart.setdefault(each.source.partition, []).append(each)
    return list(apart.values())


def _encoded(said: list[ItemUpdate]) -> list[bytes]:
    """As few records as are not too large for any broker."""
    data = encode_updates(said)
    if len(data) <= LARGEST or len(said) == 1:
        return [data]
    half = len(said) // 2
    return _encoded(said[:half]) + _encoded(said[half:])

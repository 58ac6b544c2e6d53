"""Our engine for frameworks that hand over one event at a time; they hold the users' states, we hold the rest.

What is made easy for them: what clicks say about items is counted in this one process, in memory, where our worker
re-keys it through Kafka to the items' owners and keeps it on a changelog.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from stream_engine.codec import Limits
from stream_engine.encoder.load import open_encoder
from stream_engine.engine import Engine
from stream_engine.index.open import open_index
from stream_engine.items.statistics import ItemStatistics
from stream_engine.items.tally import observe
from stream_engine.items.updates import decode_updates
from stream_engine.items.view import ItemView
from stream_engine.ranking.exploring import Explorer
from stream_engine.ranking.ranker import Ranker
from stream_engine.settings import Settings
from stream_engine.streaming.feed import ViewWriter
from stream_engine.streaming.reading import snapshot
from stream_engine.streaming.stages import Clicks, FakeTable
from stream_engine.streaming.topics import interactions_topic, item_state_topic

STATES = "states"  # where the state's record would go
SHOWN_EVERY = 1.0  # seconds between changes of the view, as with our worker


@dataclass(frozen=True, slots=True)
class Event:
    """A Kafka record; `timestamp` in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Answer(NamedTuple):
    """What an event led to."""

    state: bytes
    list: bytes


class PerEvent:
    """The engine with a full view and index, of one process."""

    def __init__(self, settings: Settings, view: ItemView, engine: Engine) -> None:
        self._settings = settings
        self._view = view
        self._slot = FakeTable(STATES)
        self._interactions = interactions_topic(settings.kafka.group)
        self._known: dict[str, ItemStatistics] = {}
        self._changed: set[str] = set()
        self._shown = time.monotonic()
        self._stage = Clicks(
            engine=engine,
            users=self._slot,
            limits=Limits(max_future=settings.stream.max_future, max_bytes=settings.kafka.max_record_bytes),
            clock=time.time,
            recommendations=settings.topics.recommendations,
            dead_letters=settings.topics.dead_letters,
            items=settings.topics.items,
            interactions=self._interactions,
            partitions=1,
        )

    @classmethod
    async def open(cls, settings: Settings) -> PerEvent:
        """Read the catalogue from the item-state topic."""
        threadpool_limits(1, user_api="blas")
        folder = settings.stream.data_dir
        folder.mkdir(parents=True, exist_ok=True)
        encoder = open_encoder(settings.encoder, Path(folder))
        index = await open_index(
            settings.index, fingerprint=encoder.fingerprint, dimensions=encoder.dimensions, data_dir=folder
        )
        view = ItemView(encoder.dimensions, settings.statistics, fingerprint=encoder.fingerprint)
        writer = ViewWriter(view, index, shared=False)
        for record in snapshot(settings.kafka, item_state_topic(settings.kafka.group)):
            writer.catalogue(record.key, record.value)
        await writer.index()
        await index.optimize()
        explorer = Explorer(view, index)
        while await explorer.step():
            pass
        engine = Engine(
            view=view,
            index=index,
            encoder=encoder,
            ranker=Ranker(settings.ranking.seed),
            users=settings.users,
            ranking=settings.ranking,
        )
        return cls(settings, view, engine)

    async def answer(self, event: Event, stored: bytes | None) -> Answer:
        """The user's new state and list."""
        key, partition = event.key or b"", event.partition
        self._slot.values = {} if stored is None else {(key, partition): stored}
        made: dict[str, bytes] = {}
        for effect in await self._stage.handle([event]):
            if effect.topic == self._interactions:
                self._count(effect.value or b"")
            else:
                made[effect.topic] = effect.value or b""
        self._show()
        return Answer(made[STATES], made[self._settings.topics.recommendations])

    def _count(self, said: bytes) -> None:
        for update in decode_updates(said):
            known = self._known.get(update.item_id)
            self._known[update.item_id] = observe(known, update, self._settings.statistics)
            self._changed.add(update.item_id)

    def _show(self) -> None:
        if time.monotonic() - self._shown > SHOWN_EVERY:
            for item_id in self._changed:
                self._view.put_statistics(item_id, self._known[item_id])
            self._changed.clear()
            self._shown = time.monotonic()


class Blocking:
    """The same for those who do not await."""

    def __init__(self, settings: Settings) -> None:
        self._loop = asyncio.new_event_loop()
        self._engine = self._loop.run_until_complete(PerEvent.open(settings))

    def answer(self, event: Event, stored: bytes | None) -> Answer:
        """The user's new state and list."""
        return self._loop.run_until_complete(self._engine.answer(event, stored))

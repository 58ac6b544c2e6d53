"""The log on a broker: the catalogue and the clicks as they are on their topics now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from kafka.consumer.fetcher import ConsumerRecord

from stream_engine.codec import Limits, decode_interaction, decode_item
from stream_engine.errors import PoisonEvent
from stream_engine.evaluate.log import Log, log_of
from stream_engine.events import Interaction, Item, ItemDeleted
from stream_engine.settings import Settings
from stream_engine.streaming.reading import snapshot

T = TypeVar("T")


def log_on_topics(settings: Settings) -> tuple[Log, int]:
    """The log, and how many records could not be read (a worker would have sent them to the dead letters).

    Raises BadConfiguration where a topic is missing, Unavailable where the broker is.
    """
    kafka, topics = settings.kafka, settings.topics
    limits = Limits(max_future=settings.stream.max_future, max_bytes=kafka.max_record_bytes)
    reader = _Reader(limits)
    catalogue: dict[str, Item] = {}
    for found in reader.each(snapshot(kafka, topics.items), decode_item):
        if isinstance(found, ItemDeleted):
            catalogue.pop(found.item_id, None)
        else:
            catalogue[found.item_id] = found
    interactions: list[Interaction] = list(reader.each(snapshot(kafka, topics.clicks), decode_interaction))
    return log_of(catalogue.values(), interactions), reader.unreadable


class _Reader:
    """Decodes records, counting those it cannot."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.unreadable = 0

    def each(self, records: Iterator[ConsumerRecord], decode: Callable[..., T]) -> Iterator[T]:
        for record in records:
            try:
                yield decode(
                    record.value,
                    key=record.key,
                    headers=record.headers,
                    timestamp=record.timestamp / 1000,
                    limits=self._limits,
                )
            except PoisonEvent:
                self.unreadable += 1

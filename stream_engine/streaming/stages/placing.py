"""Where a user's records belong: on the partition that the Java client's partitioner gives the user's id.

A user has one state, on one partition, and the worker that owns it applies their clicks in order. A producer with
another partitioner (librdkafka's default), another key (a session) or none would give the same user a state on each
partition they come by, whose counts no list adds up, and which no erasure finds. Refusing such clicks would lose them
for as long as nobody looks at the dead letters; so they are sent on, once, to where they belong, and answered from
there: nothing is lost, a click costs twice, and the counter `moved` and a warning say that a producer is set up wrong.
The place a click came from is the name of its event if it has none, so that one sent on twice counts once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from msgspec.structs import replace

from stream_engine.codec.fields import MAX_ID
from stream_engine.events import Interaction
from stream_engine.streaming.chunks import Record, source_of
from stream_engine.streaming.partitioning import partition_of
from stream_engine.streaming.publisher import Outgoing

log = logging.getLogger(__name__)
T = TypeVar("T")

MOVED = "stream-engine-moved-from"
ADVICE = "key records by user id and partition them with murmur2 (librdkafka: partitioner=murmur2_random)"


@dataclass(frozen=True, slots=True)
class Placement:
    """How many partitions the users' topics have; `moved` is told the topic and how many records were sent on."""

    partitions: int
    moved: Callable[[str, int], None] = lambda *_: None

    def divided(
        self, good: Sequence[tuple[Record, T]], user_of: Callable[[T], str]
    ) -> tuple[list[tuple[Record, T]], list[Outgoing]]:
        """What belongs where it was read, and the rest on its way to where it belongs."""
        own: list[tuple[Record, T]] = []
        elsewhere = []
        for record, value in good:
            key = user_of(value).encode()
            owner = partition_of(key, self.partitions)
            if owner == record.partition or moved_from(record) is not None:
                own.append((record, value))
            else:
                elsewhere.append(_sent_on(record, key, owner))
        if elsewhere:
            topic = elsewhere[0].topic
            log.warning("moved", extra={"topic": topic, "records": len(elsewhere), "advice": ADVICE})
            self.moved(topic, len(elsewhere))
        return own, elsewhere


def moved_from(record: Record) -> str | None:
    """The place in the log that a record was sent on from."""
    found = [value for name, value in record.headers or () if name == MOVED]
    return (found[-1] or b"").decode(errors="replace")[:MAX_ID] if found else None


def named(record: Record, interaction: Interaction) -> Interaction:
    """The interaction; if it has no event id and was sent on, that is the place it came from."""
    place = moved_from(record) if record.headers and interaction.event_id is None else None
    return replace(interaction, event_id=place) if place else interaction


def _sent_on(record: Record, key: bytes, owner: int) -> Outgoing:
    source = source_of(record)
    place = f"{source.topic}/{source.partition}/{source.offset}"
    headers = (*(record.headers or ()), (MOVED, place.encode()))
    return Outgoing(record.topic, key, record.value, headers, owner, record.timestamp)

"""What travels through Faust, those of a topic in one message: the records a fetch brought for one partition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stream_engine.events import Source
from stream_engine.streaming.positions import Span


class Record(Protocol):
    """A Kafka record as a consumer hands it over; `timestamp` is in epoch milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one partition in order, and the place in the log they claim."""

    span: Span
    records: tuple[Record, ...]


def source_of(record: Record) -> Source:
    """Where the record stands in the log."""
    return Source(record.topic, record.partition, record.offset)

"""Records and chunks as a consumer hands them over, made by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from stream_engine.items.statistics import ItemStatistics
from stream_engine.items.tally import beginning
from stream_engine.items.updates import ItemUpdate
from stream_engine.streaming.chunks import Chunk
from stream_engine.streaming.positions import Positions


@dataclass(frozen=True)
class FakeRecord:
    """A Kafka record."""

    offset: int = 0
    value: bytes | None = None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()
    topic: str = "clicks"
    partition: int = 0
    timestamp: int = 1_700_000_000_000


def record(offset: int, body: object, **fields: object) -> FakeRecord:
    """One record whose value is `body` as JSON, or as it is when it is bytes or None."""
    value = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    return FakeRecord(offset, value, **fields)


def click(offset: int, user_id: str, item_id: str | None = None, **fields: object) -> FakeRecord:
    """A click, keyed by its user."""
    body = {"user_id": user_id, "item_id": item_id, **fields}
    return record(offset, {name: value for name, value in body.items() if value is not None}, key=user_id.encode())


def started(*partitions: int, topic: str = "clicks", offset: int = 0) -> Positions:
    """Positions that own these partitions of a topic, open at an offset."""
    positions = Positions()
    positions.start({(topic, partition): offset for partition in partitions or (0,)})
    positions.open(positions.epoch)
    return positions


def chunk(positions: Positions, records: Iterable[FakeRecord]) -> Chunk:
    """The records as one chunk, handed over now; all of one partition."""
    taken = tuple(records)
    partition = (taken[0].topic, taken[0].partition)
    span = positions.hand_over(partition, taken[-1].offset + 1, since=positions.epoch)
    assert span is not None, "a partition that is not owned"
    return Chunk(span, taken)


def statistics(at: float, **known: object) -> ItemStatistics:
    """Statistics of an item of which nothing but this is known, as of then."""
    return replace(beginning(ItemUpdate("", 0, 0, at)), **known)

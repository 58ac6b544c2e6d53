"""Records to values; what cannot be understood becomes a dead letter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from stream_engine.codec import Limits
from stream_engine.errors import PoisonEvent
from stream_engine.streaming.chunks import Record
from stream_engine.streaming.letters import dead_letter
from stream_engine.streaming.publisher import Outgoing

T = TypeVar("T")


def decoded(
    records: Sequence[Record], decode: Callable[..., T], *, limits: Limits, dead_letters: str, stage: str
) -> tuple[list[tuple[Record, T]], list[Outgoing]]:
    """Each record with what it says, and a dead letter for each that says nothing we understand."""
    good: list[tuple[Record, T]] = []
    letters = []
    for record in records:
        try:
            value = decode(
                record.value,
                key=record.key,
                headers=record.headers or (),
                timestamp=record.timestamp / 1000,
                limits=limits,
            )
        except PoisonEvent as poison:
            letters.append(dead_letter(record, poison, topic=dead_letters, stage=stage))
        else:
            good.append((record, value))
    return good, letters

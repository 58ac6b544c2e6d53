"""Records that were refused, as the dead-letter topic gets them."""

from __future__ import annotations

import traceback

from stream_engine.codec import dead_letter_headers
from stream_engine.codec.dead_letters import NAMES as HEADERS
from stream_engine.errors import StreamEngineError
from stream_engine.events import DeadLetter
from stream_engine.streaming.chunks import Record, source_of
from stream_engine.streaming.publisher import Outgoing

CLIPPED = 1_000  # bytes that are kept of a record too large for the dead letters


def dead_letter(record: Record, error: Exception, *, topic: str, stage: str) -> Outgoing:
    """The record as received, with headers that say where and why it was refused."""
    message = str(error) if isinstance(error, StreamEngineError) else "".join(traceback.format_exception(error))[-900:]
    headers = tuple(record.headers or ())
    letter = DeadLetter(record.key, record.value, headers, source_of(record), stage, type(error).__name__, message)
    return Outgoing(topic, record.key, record.value, dead_letter_headers(letter), None, record.timestamp)


def clipped(letter: Outgoing) -> Outgoing:
    """A letter the broker takes for certain: the beginning of what was received, and our own headers."""
    key, value = letter.key and letter.key[:CLIPPED], letter.value and letter.value[:CLIPPED]
    return letter._replace(key=key, value=value, headers=letter.headers[-len(HEADERS) :], timestamp_ms=None)

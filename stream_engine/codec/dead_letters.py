"""The `dead-letters` topic: the record as received, and after its own headers six that say where and why.

The manner is Kafka Connect's (KIP-298), under our own prefix.
"""

from __future__ import annotations

from stream_engine.codec.body import Headers
from stream_engine.errors import PoisonEvent
from stream_engine.events import DeadLetter, Source

PREFIX = "__stream_engine.errors."
NAMES = tuple(PREFIX + name for name in ("topic", "partition", "offset", "stage", "class", "message"))
_MAX_BYTES = {"stage": 100, "class": 200, "message": 1000}  # with a topic's 249 and the names below 2 KB in all


def dead_letter_headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    """All headers of the dead letter: the original ones untouched, then ours (below 2 KB, the message cut to fit)."""
    source = letter.source
    ours = (
        source.topic.encode(),
        str(source.partition).encode(),
        str(source.offset).encode(),
        _clip(letter.stage, _MAX_BYTES["stage"]),
        _clip(letter.error, _MAX_BYTES["class"]),
        _clip(letter.message, _MAX_BYTES["message"]),
    )
    return [*letter.headers, *zip(NAMES, ours, strict=True)]


def decode_dead_letter(key: bytes | None, value: bytes | None, headers: Headers) -> DeadLetter:
    """The letter whose headers `dead_letter_headers` wrote; raises PoisonEvent when they are not at the end."""
    original, ours = headers[: -len(NAMES)], headers[-len(NAMES) :]
    if tuple(name for name, _ in ours) != NAMES:
        raise PoisonEvent("headers", f"not a dead letter: expected to end with {', '.join(NAMES)}")
    try:
        topic, partition, offset, stage, error, message = ((raw or b"").decode() for _, raw in ours)
        source = Source(topic, int(partition), int(offset))
    except ValueError as wrong:
        raise PoisonEvent("headers", f"not a dead letter: {wrong}") from None
    return DeadLetter(key, value, tuple((name, raw) for name, raw in original), source, stage, error, message)


def _clip(text: str, size: int) -> bytes:
    """At most `size` bytes of UTF-8, cut between characters."""
    raw = text.encode("utf-8", "backslashreplace")
    return raw if len(raw) <= size else raw[: size - 3].decode("utf-8", "ignore").encode() + "…".encode()

"""What a worker does about bytes that a later version of this package wrote: nothing, and it says so."""

from __future__ import annotations

from stream_engine.errors import NewerVersion

NEWEST = 31  # versions count from 1; a first byte beyond this was written by no version of ours


def refuse_newer(data: bytes | None, known: int, what: str) -> None:
    """NewerVersion where the version byte is a later one than `known`; anything else is left to the decoder."""
    if data and known < data[0] <= NEWEST:
        raise NewerVersion(what, data[0], known)

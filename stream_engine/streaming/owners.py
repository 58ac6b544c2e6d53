"""Who wrote a record of a changelog, and whether somebody else owned the partition by then. Pure.

Whoever takes over a partition gets a token: where its changelog ended at that moment, and the group's generation. The
group confirms the generation after the end was read, so of two owners the later one has the greater token: a log never
shrinks, and where it did not grow the generation decides. No clock, and nothing that could start anew.

What a former owner commits from then on is refused. So its records behind that end are late: what they say was never
committed and is delivered to the later owner again.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

OWNER = "__stream_engine.owner"
VERSION = 1
KEPT = 256  # owners of a partition: what earlier ones wrote late was written over long ago
_FORMAT = struct.Struct(">Bqi")


class Token(NamedTuple):
    """An owner of a partition; a later one's is greater."""

    end: int
    generation: int


class Owners:
    """Who owned each partition, as far as we read or know it ourselves."""

    def __init__(self) -> None:
        self._known: dict[int, list[Token]] = {}  # rising

    def note(self, partition: int, token: Token) -> None:
        """Take note of an owner, in the order of the log."""
        known = self._known.setdefault(partition, [])
        if not known or (token > known[-1] and token.generation != known[-1].generation):
            known.append(token)
            del known[:-KEPT]

    def of(self, partition: int) -> tuple[Token, ...]:
        """Those of a partition, the latest last."""
        return tuple(self._known.get(partition, ()))

    def is_late(self, partition: int, offset: int, token: Token) -> bool:
        """Whether a later owner had taken over before the record at this offset was written."""
        known = self._known.get(partition, [])
        before = bisect_right(known, offset, key=lambda owner: owner.end)
        return before > 0 and known[before - 1] > token


def encode_token(token: Token) -> bytes:
    """Version, end, generation: 13 bytes."""
    return _FORMAT.pack(VERSION, *token)


def token_of(headers: Iterable[tuple[str, bytes]] | None, offset: int) -> Token | None:
    """The token of the record at this offset; None where it has none of a version that we know.

    In a changelog that was copied records may lie before the end their token names. Who owns the copy starts from its
    own end, so such a token counts as if taken where the record is now.
    """
    for name, raw in headers or ():
        if name == OWNER:
            if len(raw) != _FORMAT.size or raw[0] != VERSION:
                return None
            _, end, generation = _FORMAT.unpack(raw)
            return Token(min(end, offset), generation)
    return None

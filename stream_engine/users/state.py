"""What is remembered of one user: a frozen value of a few kilobytes."""

from __future__ import annotations

import zlib
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_engine.events import Received, Source
from stream_engine.users.interests import Interest, directions
from stream_engine.vectors import Matrix

_LENGTH = attrgetter("length")


class UserState(msgspec.Struct, frozen=True, array_like=True):
    """Everything remembered of one user. Histories are columns, oldest first; fields are only ever appended."""

    interactions: int = 0  # each counted once
    updated_at: float = 0.0  # the latest event time; lengths of interests are as of then
    born: bytes = b""  # tells this user's life from any other: a digest of the first place in the log
    watermarks: tuple[tuple[str, int, int], ...] = ()  # topic, partition, next offset
    interests: tuple[Interest, ...] = ()
    space: int = 0  # which encoder the interests come from
    items: tuple[str, ...] = ()
    codes: bytes = b""  # u8: event type, and whether it pushed away
    times: bytes = b""  # u32: epoch seconds
    places: bytes = b""  # u32: place in the log
    left: bytes = b""  # u32: hashes of the items that have left the history, or were pushed away
    event_ids: bytes = b""  # six bytes each
    merged: tuple[tuple[bytes, int], ...] = ()  # born of those who joined, and how much each did
    attributes: dict[str, Any] = {}


def is_new(state: UserState | None, received: Received) -> bool:
    """Whether this record has not been applied yet."""
    return state is None or received.source.offset >= next_offset(state, received.source)


def next_offset(state: UserState, source: Source) -> int:
    """The first offset of the source's partition that is not applied yet; 0 when none is."""
    for topic, partition, offset in state.watermarks:
        if partition == source.partition and topic == source.topic:
            return offset
    return 0


def interest_vectors(state: UserState, space: int | None = None) -> tuple[Matrix, NDArray[np.float32]]:
    """Directions as unit rows (k, d) and lengths in clicks (k,), longest first; shape (0, 0) when there are none.

    With `space`, those of another encoder are none.
    """
    ordered = interests_of(state, space)
    return directions(ordered), np.array([interest.length for interest in ordered], np.float32)


def interests_of(state: UserState, space: int | None = None) -> list[Interest]:
    """The interests, longest first; with `space`, those of another encoder are none."""
    return sorted(state.interests, key=_LENGTH, reverse=True) if space in (None, state.space) else []


def space_of(fingerprint: str) -> int:
    """Four bytes that stand for an encoder, so that vectors of two never meet."""
    return zlib.crc32(fingerprint.encode())

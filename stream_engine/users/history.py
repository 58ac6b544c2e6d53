"""The history column by column: what a user did to which item, when, and from where in the log it was read."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from heapq import merge as merge_sorted
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from stream_engine.events import Source
from stream_engine.users.state import UserState

HASH = 4  # bytes
U32 = np.dtype("<u4")  # times, and whatever stands for an item or a place

# Stored as their place in this tuple: append, never reorder.
EVENT_TYPES = (
    "click",
    "view",
    "impression",
    "add_to_cart",
    "remove_from_cart",
    "purchase",
    "like",
    "dislike",
    "rating",
    "search",
    "bookmark",
    "dwell",
)
AWAY = 0x80  # added to the code of an event that pushed away

_CODES = {event_type: code for code, event_type in enumerate(EVENT_TYPES)}


class Entry(NamedTuple):
    """One remembered interaction; `timestamp` in whole epoch seconds, `place` as `place_of` gives it."""

    item_id: str
    event_type: str
    timestamp: int
    place: int
    positive: bool = True


def entries(state: UserState) -> list[Entry]:
    """All remembered interactions with an item, most recent first."""
    return _entries(state, 0, len(state.items))


def recent(state: UserState, limit: int = 50) -> list[Entry]:
    """The last interactions with items the user has not turned away from since, most recent first."""
    refused: set[str] = set()
    kept: list[Entry] = []
    for entry in entries(state) if max(state.codes, default=0) >= AWAY else _entries(state, -limit, None):
        if not entry.positive:
            refused.add(entry.item_id)
        elif entry.item_id not in refused:
            kept.append(entry)
    return kept[:limit]


def context(state: UserState, source: Source, window: int) -> list[str]:
    """The items of those of the `window` entries before the one read from `source` that were positive, last first.

    Asked after the interaction is applied, the answer stays the same, also when it is delivered again, for as long
    as the whole window before it is remembered. Nothing if the interaction is not in the history.
    """
    place = max(_find(state.places, place_of(source).to_bytes(HASH, "little")) // HASH, 0)
    start = max(place - window, 0)
    before = zip(state.items[start:place], state.codes[start:place], strict=True)
    return [item_id for item_id, code in before if code < AWAY][::-1]


def is_counted(state: UserState, source: Source) -> bool:
    """Whether an applied interaction with an item is no duplicate: in the history, or older than all of that."""
    place = place_of(source)
    if _find(state.places, place.to_bytes(HASH, "little")) >= 0:
        return True
    return all((place - other) & 0xFFFFFFFF > 0x7FFFFFFF for other in np.frombuffer(state.places, U32).tolist())


def seen_hashes(state: UserState) -> set[int]:
    """Hashes of the items acted on, whenever; to be held against `item_hash`."""
    seen: set[int] = set(np.frombuffer(state.left, U32).tolist())
    seen.update(map(item_hash, state.items))
    return seen


def item_hash(item_id: str) -> int:
    """Four bytes that stand for an item."""
    return zlib.crc32(item_id.encode())


def place_of(source: Source) -> int:
    """Four bytes that stand for a place in the log; never the same for two within 2³² records of a partition."""
    return (zlib.crc32(f"{source.topic}/{source.partition}".encode()) + source.offset) & 0xFFFFFFFF


def appended(state: UserState, entry: Entry, limit: int, seen: int) -> UserState:
    """The state with this entry as its newest, of at most `limit`; those that leave stay as one of `seen` hashes."""
    longer = replace(
        state,
        items=(*state.items, entry.item_id),
        codes=state.codes + _code(entry).to_bytes(1, "little"),
        times=state.times + entry.timestamp.to_bytes(4, "little"),
        places=state.places + entry.place.to_bytes(HASH, "little"),
        left=state.left if entry.positive else _with_hashes(state.left, [item_hash(entry.item_id)], seen),
    )
    return shortened(longer, limit, seen)


def interleaved(state: UserState, other: UserState, limit: int, seen: int) -> UserState:
    """The state with the other's history too, by time, each in its own order; an entry of both stays once."""
    own = entries(state)[::-1]
    places = {entry.place for entry in own}
    added = [entry for entry in entries(other)[::-1] if entry.place not in places]
    rows = list(merge_sorted(own, added, key=lambda entry: entry.timestamp))
    longer = replace(
        state,
        items=tuple(entry.item_id for entry in rows),
        codes=bytes(map(_code, rows)),
        times=np.array([entry.timestamp for entry in rows], U32).tobytes(),
        places=np.array([entry.place for entry in rows], U32).tobytes(),
        left=_with_hashes(state.left, np.frombuffer(other.left, U32).tolist(), seen),
    )
    return shortened(longer, limit, seen)


def shortened(state: UserState, limit: int, seen: int) -> UserState:
    """The state with at most `limit` entries of history; the items of those that leave stay as `seen` hashes."""
    leaving = max(len(state.items) - limit, 0)
    if not leaving:
        return state
    rest = state.items[leaving:]
    gone = [item_hash(item_id) for item_id in state.items[:leaving] if item_id not in rest]
    return replace(
        state,
        items=rest,
        codes=state.codes[leaving:],
        times=state.times[4 * leaving :],
        places=state.places[HASH * leaving :],
        left=_with_hashes(state.left, gone, seen),
    )


def _with_hashes(left: bytes, values: Iterable[int], limit: int) -> bytes:
    """The ring with these as its newest, each once, at most `limit` in all."""
    for value in values:
        entry = value.to_bytes(HASH, "little")
        start = _find(left, entry)
        left = left + entry if start < 0 else left[:start] + left[start + HASH :] + entry
    return left[max(len(left) - HASH * limit, 0) :]


def _find(column: bytes, entry: bytes) -> int:
    """Where the last such entry starts, or -1; bytes of two entries do not count as one."""
    start = column.rfind(entry)
    while start % HASH and start > 0:
        start = column.rfind(entry, 0, start + HASH - 1)
    return start


def _entries(state: UserState, start: int, stop: int | None) -> list[Entry]:
    codes = state.codes[start:stop]
    columns = (
        state.items[start:stop],
        [EVENT_TYPES[code & ~AWAY] for code in codes],
        np.frombuffer(state.times, U32)[start:stop].tolist(),
        np.frombuffer(state.places, U32)[start:stop].tolist(),
        [code < AWAY for code in codes],
    )
    return list(map(Entry._make, zip(*columns, strict=True)))[::-1]


def _code(entry: Entry) -> int:
    return _CODES[entry.event_type] | (0 if entry.positive else AWAY)

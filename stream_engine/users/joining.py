"""What the `users` topic does to a state: joining two users, attributes, leaving nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from stream_engine.errors import PoisonEvent
from stream_engine.settings import UserSettings
from stream_engine.users.codec import fitted
from stream_engine.users.history import interleaved
from stream_engine.users.interests import capacity, decayed, reduced
from stream_engine.users.state import UserState
from stream_engine.users.updates import BORN, NEW, digest, faded

MERGED = 8
ATTRIBUTE_BYTES = 256


def merge(into: UserState | None, other: UserState, settings: UserSettings) -> UserState:
    """`into` with what `other` did; the same object when that is in it already.

    If `other` has grown since it was last merged, only what is new is counted. Watermarks stay those of `into`:
    they speak of its own partition.
    """
    into = into or NEW
    fresh = other.interactions - dict(into.merged).get(other.born, 0)
    if fresh <= 0 or other.born == into.born:
        return into
    marks = tuple(mark for mark in into.merged if mark[0] != other.born)
    joined = replace(
        interleaved(into, other, settings.history, settings.seen),
        interactions=into.interactions + fresh,
        updated_at=max(into.updated_at, other.updated_at),
        born=into.born or digest(other.born, BORN),
        merged=(*marks, (other.born, other.interactions))[-MERGED:],
        attributes=_bounded({**other.attributes, **into.attributes}) or into.attributes,
    )
    return fitted(_with_interests(joined, into, other, fresh / other.interactions, settings))


def emptied(state: UserState) -> UserState:
    """What must outlive a user who was merged away: places in the log, and nothing about the user."""
    return UserState(watermarks=state.watermarks, merged=state.merged)


def with_attributes(state: UserState | None, attributes: Mapping[str, Any]) -> UserState:
    """The state with these attributes in place of those it had; raises PoisonEvent when they are too large."""
    bounded = _bounded(dict(attributes))
    if bounded is None:
        raise PoisonEvent("attributes", f"more than {ATTRIBUTE_BYTES} bytes")
    return fitted(replace(state or NEW, attributes=bounded))


def _bounded(attributes: dict[str, Any]) -> dict[str, Any] | None:
    size = len(msgspec.msgpack.encode(attributes))
    return attributes if size <= ATTRIBUTE_BYTES else None


def _with_interests(
    joined: UserState, into: UserState, other: UserState, share: float, settings: UserSettings
) -> UserState:
    """Both users' interests as of now, the other's at `share` of their length, merged until there is room."""
    own = faded(into, joined.updated_at, settings)
    added = decayed(faded(other, joined.updated_at, settings), share)
    if own and added and _kind(into) != _kind(other):
        added = ()
    pool = own + added
    if pool:
        pool = reduced(pool, capacity(len(pool[0].direction), settings.interests), joined.interactions)
    return replace(joined, interests=pool, space=into.space if own else other.space)


def _kind(state: UserState) -> tuple[int, int]:
    return state.space, len(state.interests[0].direction)

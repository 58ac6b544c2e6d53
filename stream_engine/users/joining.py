"""What the `users` topic does to a state: joining two users, attributes."""

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
from stream_engine.users.updates import NEW, faded

MERGED = 8
ATTRIBUTE_BYTES = 256


def merge(into: UserState | None, other: UserState, settings: UserSettings) -> UserState:
    """`into` with what `other` did; the same object when that is in it already.

    A state is made of lives, its own and those who joined it, however they came; of each, only what is new is counted.
    Watermarks stay those of `into`: they speak of its own partition.
    """
    into = into or NEW
    known, told = _lives(into), _lives(other)
    grown = {life: done for life, done in told.items() if life != into.born and done > known.get(life, 0)}
    if not grown:
        return into
    fresh = sum(done - known.get(life, 0) for life, done in grown.items())
    marks = tuple(mark for mark in into.merged if mark[0] not in grown)
    joined = replace(
        interleaved(into, other, settings.history, settings.seen),
        interactions=into.interactions + fresh,
        updated_at=max(into.updated_at, other.updated_at),
        merged=(*marks, *grown.items())[-MERGED:],
        attributes=_bounded({**other.attributes, **into.attributes}) or into.attributes,
    )
    return fitted(_with_interests(joined, into, other, fresh / other.interactions, settings))


def with_attributes(state: UserState | None, attributes: Mapping[str, Any]) -> UserState:
    """The state with these attributes in place of those it had; raises PoisonEvent when they are too large."""
    bounded = _bounded(dict(attributes))
    if bounded is None:
        raise PoisonEvent("attributes", f"more than {ATTRIBUTE_BYTES} bytes")
    return fitted(replace(state or NEW, attributes=bounded))


def _lives(state: UserState) -> dict[bytes, int]:
    """How much each life in the state did by itself; one that began with a join has done nothing yet."""
    joined = dict(state.merged)
    return {state.born: state.interactions - sum(joined.values())} | joined


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

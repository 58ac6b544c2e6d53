"""A user's state as bytes: a version byte, then MessagePack. Every version ever written can be read."""

from __future__ import annotations

import math
from collections.abc import Hashable

import msgspec
from msgspec.structs import replace

from stream_engine.errors import StreamEngineError
from stream_engine.users.history import AWAY, EVENT_TYPES, HASH, shortened
from stream_engine.users.interests import LARGEST
from stream_engine.users.state import UserState
from stream_engine.versions import refuse_newer

VERSION = 1
MAX_BYTES = 4_096
LEAST_LEFT = 32  # hashes worth more than one more item of history

_KNOWN = bytes(code | away for code in range(len(EVENT_TYPES)) for away in (0, AWAY))
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(UserState)
_SKIPPED = msgspec.Raw(b"")


class _Progress(msgspec.Struct, array_like=True):
    """A state's fields up to those that only ever grow; what lies between is not looked at."""

    interactions: msgspec.Raw = _SKIPPED
    updated_at: msgspec.Raw = _SKIPPED
    born: msgspec.Raw = _SKIPPED
    watermarks: tuple[tuple[str, int, int], ...] = ()
    interests: msgspec.Raw = _SKIPPED
    space: msgspec.Raw = _SKIPPED
    items: msgspec.Raw = _SKIPPED
    codes: msgspec.Raw = _SKIPPED
    times: msgspec.Raw = _SKIPPED
    places: msgspec.Raw = _SKIPPED
    left: msgspec.Raw = _SKIPPED
    event_ids: msgspec.Raw = _SKIPPED
    merged: tuple[tuple[bytes, int], ...] = ()


class _Activity(msgspec.Struct, array_like=True):
    """A state's first two fields."""

    interactions: msgspec.Raw = _SKIPPED
    updated_at: float = 0.0


_activity = msgspec.msgpack.Decoder(_Activity)
_progress = msgspec.msgpack.Decoder(_Progress)


class BadState(StreamEngineError, ValueError):
    """These bytes are not a user's state."""


def encode_state(state: UserState) -> bytes:
    """At most MAX_BYTES for a state that came from this package's functions."""
    return bytes([VERSION]) + _encoder.encode(state)


def decode_state(stored: bytes) -> UserState:
    """The state that was encoded; raises NewerVersion, or BadState for anything else."""
    try:
        state = _decoder.decode(_body(stored))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadState(str(error)) from error
    _check(state)
    return state


def marks(stored: bytes) -> dict[Hashable, int]:
    """How far the state got with each source of clicks and each user who joined; raises BadState."""
    try:
        progress = _progress.decode(_body(stored))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadState(str(error)) from error
    clicks: dict[Hashable, int] = {(topic, partition): offset for topic, partition, offset in progress.watermarks}
    return clicks | dict(progress.merged)


def last_active(stored: bytes) -> float:
    """The latest event time of a stored state, 0 for a user who never acted; raises BadState or NewerVersion."""
    try:
        return _activity.decode(_body(stored)).updated_at
    except msgspec.MsgspecError as error:
        raise BadState(str(error)) from error


def _body(stored: bytes) -> memoryview:
    refuse_newer(stored, VERSION, "a user's state")
    if stored[:1] != bytes([VERSION]):
        raise BadState(f"unknown version: {stored[:1].hex() or 'no bytes'}")
    return memoryview(stored)[1:]


def fitted(state: UserState) -> UserState:
    """The state with as much of its oldest memory left out as it takes to encode in MAX_BYTES."""
    while (excess := len(encode_state(state)) - MAX_BYTES) > 0:
        state = _smaller(state, excess)
    return state


def _smaller(state: UserState, excess: int) -> UserState:
    spare = len(state.left) // HASH - LEAST_LEFT
    if spare > 0:
        return replace(state, left=state.left[HASH * min(spare, -(-excess // HASH)) :])
    if state.items:
        return shortened(state, len(state.items) - 1, LEAST_LEFT)
    weakest = min(state.interests, key=lambda interest: interest.length)
    return replace(state, interests=tuple(interest for interest in state.interests if interest is not weakest))


def _check(state: UserState) -> None:
    """Raise BadState unless the columns fit together, so that readers need not ask."""
    entries = len(state.items)
    sizes = {len(interest.direction) for interest in state.interests}
    sound = (
        state.interactions >= 0
        and math.isfinite(state.updated_at)
        and len(state.codes) == entries
        and len(state.times) == len(state.places) == HASH * entries
        and len(state.left) % HASH == 0
        and not state.codes.translate(None, _KNOWN)
        and len(sizes) <= 1
        and all(0 < size <= LARGEST for size in sizes)
        and all(0 < interest.length < math.inf and any(interest.direction) for interest in state.interests)
    )
    if not sound:
        raise BadState("columns do not fit together")

"""How a user's state changes: pure functions from state to state."""

from __future__ import annotations

import math
from hashlib import blake2b

import numpy as np
from msgspec.structs import replace

from stream_engine.events import Interaction, Received, Source
from stream_engine.settings import UserSettings
from stream_engine.users.codec import fitted
from stream_engine.users.history import Entry, appended, place_of
from stream_engine.users.interests import Interest, away, capacity, decayed, toward
from stream_engine.users.state import UserState, next_offset
from stream_engine.vectors import Vector

NEW = UserState()
LATEST = 2**32 - 1  # seconds: the year 2106
WATERMARKS = 4
EVENT_IDS = 32
EVENT_ID = 6  # bytes of an event id's digest
BORN = 8  # bytes


def advance(
    state: UserState | None, received: Received, vector: Vector | None, settings: UserSettings, *, space: int = 0
) -> UserState:
    """The state after this interaction; the same object when it was applied before.

    `vector` is that of the item, or of a search's query; None, zero or not finite: interests stay as they are.
    `space` is `space_of` the encoder it comes from; interests of another encoder are forgotten.
    """
    state = state or NEW
    interaction, source = received.interaction, received.source
    if source.offset < next_offset(state, source):
        return state
    event_ids = _with_event_id(state.event_ids, interaction.event_id)
    if event_ids is None:
        return replace(state, watermarks=_with_watermark(state, source))
    weight = settings.weights.get(interaction.event_type, 0.0)
    time = event_time(interaction, state.updated_at)
    updated_at = max(state.updated_at, time)
    interests = faded(state, updated_at, settings)
    direction = None if vector is None or not weight else _direction(vector)
    if direction is not None:
        held = interests if state.space == space else ()
        interests = _moved(held, direction, weight, settings, state.interactions + 1)
    changed = replace(
        state,
        interactions=state.interactions + 1,
        updated_at=updated_at,
        born=state.born or digest(f"{source.topic}/{source.partition}/{source.offset}".encode(), BORN),
        watermarks=_with_watermark(state, source),
        event_ids=event_ids,
        interests=interests,
        space=state.space if direction is None else space,
    )
    if weight and interaction.item_id is not None:
        entry = Entry(interaction.item_id, interaction.event_type, int(time), place_of(source), weight > 0)
        changed = appended(changed, entry, settings.history, settings.seen)
    return fitted(changed)


def digest(named: bytes, size: int) -> bytes:
    """`size` bytes that stand for these."""
    return blake2b(named, digest_size=size).digest()


def event_time(interaction: Interaction, default: float) -> float:
    """The interaction's time in epoch seconds, held between 1970 and 2106."""
    timestamp = interaction.timestamp
    return min(max(timestamp, 0.0), float(LATEST)) if math.isfinite(timestamp) else default


def faded(state: UserState, until: float, settings: UserSettings) -> tuple[Interest, ...]:
    """The interests as they are at `until`; time never runs backwards."""
    elapsed = until - state.updated_at
    return decayed(state.interests, 0.5 ** (elapsed / settings.half_life)) if elapsed > 0 else state.interests


def _moved(
    held: tuple[Interest, ...], direction: Vector, weight: float, settings: UserSettings, phase: int
) -> tuple[Interest, ...]:
    """Interests with this vector in them; it counts in full however late it comes."""
    if held and len(held[0].direction) != len(direction):
        held = ()
    held = decayed(held, math.exp(-abs(weight) / settings.memory))
    if weight < 0:
        return away(held, direction, -weight, phase)
    limit = capacity(len(direction), settings.interests)
    return toward(held, direction, weight, limit=limit, similarity=settings.similarity, phase=phase)


def _direction(vector: Vector) -> Vector | None:
    """At length 1, or None where there is no direction."""
    square = float(np.vdot(vector, vector))  # unlike `@` it is silent about infinities
    if not 1e-24 < square < math.inf:
        return None
    scaled: Vector = vector / math.sqrt(square)
    return scaled


def _with_watermark(state: UserState, source: Source) -> tuple[tuple[str, int, int], ...]:
    """The source's next offset, most recently moved last."""
    own = (source.topic, source.partition, source.offset + 1)
    others = [mark for mark in state.watermarks if mark[:2] != own[:2]]
    return (*others, own)[-WATERMARKS:]


def _with_event_id(event_ids: bytes, event_id: str | None) -> bytes | None:
    """The last event ids with this one; None when it is among them already."""
    if event_id is None:
        return event_ids
    own = digest(event_id.encode(), EVENT_ID)
    if own in event_ids:
        return None
    return (event_ids + own)[-EVENT_IDS * EVENT_ID :]

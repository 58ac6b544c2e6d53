"""What comes of clicks: values that the engine returns, and the stages publish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from stream_engine.events import Item, Recommendation, Source
from stream_engine.items.updates import ItemUpdate
from stream_engine.users import UserState

NOWHERE = Source("", -1, -1)


class UserOutcome(NamedTuple):
    """A user after a chunk: the new state, and the list that reflects it."""

    user_id: str
    state: UserState
    recommendation: Recommendation


@dataclass(frozen=True, slots=True)
class ChunkOutcome:
    """What a chunk of clicks led to; `announced` are inline items that the view does not know."""

    users: tuple[UserOutcome, ...]
    updates: tuple[ItemUpdate, ...]
    announced: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Observed:
    """What a chunk of clicks changed, where nobody wants the lists: states by user, and the rest of an outcome."""

    states: Mapping[str, UserState]
    updates: tuple[ItemUpdate, ...]
    announced: tuple[Item, ...]


def recommendation_id(user_id: str, source: Source) -> str:
    """The same for the same user and trigger, so that a list made twice is recognisable."""
    place = f"{user_id}\0{source.topic}\0{source.partition}\0{source.offset}"
    return blake2b(place.encode(), digest_size=12).hexdigest()

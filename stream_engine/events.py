"""What flows on the user-facing topics: plain frozen values, and their JSON shape."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

FORMAT_VERSION = 1

EventType = Literal[
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
]
ReasonKind = Literal["clicked_together", "similar_to", "follows", "trending", "new", "again"]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Position = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Version = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Component = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]  # its square must fit a float32
Embedding = Annotated[tuple[Component, ...], msgspec.Meta(min_length=1, max_length=8192)]


class Source(msgspec.Struct, frozen=True, order=True):
    """Where a record stands in the log."""

    topic: str
    partition: int
    offset: int


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that can be recommended; times are epoch seconds."""

    item_id: Id
    title: str = ""
    description: str = ""
    categories: tuple[str, ...] = ()
    price: float | None = None
    available: bool = True
    published_at: float | None = None
    expires_at: float | None = None
    attributes: dict[str, Any] = {}
    vector: Embedding | None = None
    version: Version = FORMAT_VERSION

    @property
    def text(self) -> str:
        """What the encoder reads."""
        return " ".join(part for part in (self.title, self.description, " > ".join(self.categories)) if part)


class ItemDeleted(msgspec.Struct, frozen=True):
    """A null record on the items topic: this item is gone."""

    item_id: Id


class Interaction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing a user did; `timestamp` is in epoch seconds, `item_id` is None only for a search."""

    user_id: Id
    event_type: EventType = "click"
    item_id: Id | None = None
    timestamp: float = 0.0
    event_id: Id | None = None
    session_id: Id | None = None
    value: float | None = None
    recommendation_id: Id | None = None
    position: Position | None = None
    query: str | None = None
    item: Item | None = None
    anonymous: bool = False
    attributes: dict[str, Any] = {}
    version: Version = FORMAT_VERSION


class Received(msgspec.Struct, frozen=True):
    """An interaction and the place in the log it was read from."""

    interaction: Interaction
    source: Source


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an item is in the list; `share` is this signal's part of the score, 0 to 1."""

    kind: ReasonKind
    item_id: str | None = None
    share: float = 0.0


class RecommendedItem(msgspec.Struct, frozen=True):
    """One place of a list; ranks count from 1."""

    item_id: str
    rank: int
    score: float
    source: str
    reasons: tuple[Reason, ...] = ()


class Trigger(msgspec.Struct, frozen=True):
    """The last interaction a list reflects."""

    event_id: str | None
    topic: str
    partition: int
    offset: int


class Models(msgspec.Struct, frozen=True):
    """Which models made a list."""

    encoder: str
    ranker: str


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """One user's list, and what it reflects."""

    recommendation_id: str
    user_id: str
    generated_at: float
    trigger: Trigger
    interactions: int
    model: Models
    items: tuple[RecommendedItem, ...]
    degraded: tuple[str, ...] = ()
    version: Version = FORMAT_VERSION


class UserControl(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the `users` topic says of one user; `erase` stands for a null record."""

    user_id: Id
    erase: bool = False
    merge_into: Id | None = None
    attributes: dict[str, Any] = {}
    version: Version = FORMAT_VERSION


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that could not be processed: as received, plus where and why."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    source: Source
    stage: str
    error: str
    message: str

"""The port: what finds the items nearest to a vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from stream_engine.vectors import Vector


class Match(NamedTuple):
    """One found item and its cosine to the query."""

    item_id: str
    score: float


@dataclass(frozen=True, slots=True)
class Point:
    """One item as the index holds it; `vector` is a unit vector of shape (d,)."""

    item_id: str
    vector: Vector
    available: bool = True
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """The `limit` available items nearest to `vector`, of any of `categories` (none given: all)."""

    vector: Vector
    limit: int
    categories: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Index(Protocol):
    """Vectors by item; every method raises Unavailable when the store is away."""

    async def upsert(self, points: Sequence[Point]) -> None:
        """Store or replace, idempotently; visible to the next search."""

    async def delete(self, item_ids: Sequence[str]) -> None:
        """Remove; unknown ids are ignored."""

    async def search(self, queries: Sequence[Query]) -> list[list[Match]]:
        """One list a query, best first, ties by item id; one round trip for all."""
        ...

    async def count(self) -> int:
        """How many items are stored."""
        ...

    async def close(self) -> None:
        """Release the connection or files; idempotent."""

"""Exact search in memory against the definition, over any sequence of writes."""

import asyncio
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_engine.index.memory import MemoryIndex
from stream_engine.index.protocol import Point, Query
from stream_engine.vectors import Vector, unit

IDS = st.sampled_from([f"i{number}" for number in range(9)])
CATEGORIES = st.lists(st.sampled_from("abc"), max_size=3).map(tuple)
VECTORS = st.tuples(*[st.integers(-2, 2)] * 3).map(lambda values: unit(np.array(values)))  # few enough to tie
POINTS = st.builds(Point, IDS, VECTORS, st.booleans(), CATEGORIES)
WRITES = st.one_of(
    st.tuples(st.just("upsert"), st.lists(POINTS, max_size=6)), st.tuples(st.just("delete"), st.lists(IDS, max_size=4))
)
QUERIES = st.builds(
    Query, VECTORS, st.integers(0, 12), st.one_of(st.just(()), CATEGORIES), st.lists(IDS, max_size=4).map(tuple)
)


@given(st.lists(WRITES, max_size=12), st.lists(QUERIES, min_size=1, max_size=9))
def test_search_is_its_definition(writes: list[Any], queries: list[Query]) -> None:
    asyncio.run(check(writes, queries))


async def check(writes: list[Any], queries: list[Query]) -> None:
    index, stored = MemoryIndex(3), dict[str, Point]()
    for operation, argument in writes:
        await getattr(index, operation)(argument)
        if operation == "upsert":
            stored |= {point.item_id: point for point in argument}
        else:
            stored = {item_id: point for item_id, point in stored.items() if item_id not in argument}
    assert await index.count() == len(stored)
    for query, matches in zip(queries, await index.search(queries), strict=True):
        assert [match.item_id for match in matches] == expected(list(stored.values()), query)
        assert all(abs(match.score - cosine(stored[match.item_id].vector, query.vector)) < 1e-5 for match in matches)


def expected(points: list[Point], query: Query) -> list[str]:
    if not query.vector.any():
        return []
    found = [
        (-round(cosine(point.vector, query.vector), 6), point.item_id)
        for point in points
        if point.available
        and point.item_id not in query.exclude
        and (not query.categories or set(point.categories) & set(query.categories))
    ]
    return [item_id for _, item_id in sorted(found)][: query.limit]


def cosine(one: Vector, other: Vector) -> float:
    return float(np.dot(one.astype(np.float64), other.astype(np.float64)))

"""What every index promises, asked of each implementation."""

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import AsyncQdrantClient

from stream_engine.index.edge import EdgeIndex
from stream_engine.index.memory import MemoryIndex
from stream_engine.index.open import open_index
from stream_engine.index.protocol import Index, Match, Point, Query, Store
from stream_engine.index.qdrant import QdrantIndex, connect
from stream_engine.index.resilient import ResilientIndex
from stream_engine.settings import IndexSettings
from stream_engine.vectors import Matrix, unit

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),
]
DIMENSIONS = 16
IMPLEMENTATIONS = ["memory", "sketched", "edge", "local", "grpc", "resilient", "server"]
Open = Callable[[], Awaitable[Index]]


@pytest.fixture(params=IMPLEMENTATIONS)
async def open_one(request: pytest.FixtureRequest, tmp_path: Path, qdrant_server: Any) -> AsyncIterator[Open]:
    """Opens an empty index of the implementation; several are several indexes."""
    opened: list[Index] = []

    async def store(number: int) -> Store:
        settings = IndexSettings(collection=f"test-{uuid.uuid4().hex}")
        match request.param:
            case "memory" | "sketched":
                return MemoryIndex(DIMENSIONS, exact=request.param == "memory", sketched_from=3)
            case "edge":
                return EdgeIndex(tmp_path / f"edge-{number}", DIMENSIONS)
            case "local":
                client = AsyncQdrantClient(":memory:")
            case "grpc":
                served = {"location": qdrant_server.url, "grpc_port": qdrant_server.port}
                client = connect(settings.model_copy(update=served))
            case "resilient":
                return ResilientIndex(MemoryIndex(DIMENSIONS), lambda: 0.0)
            case _:
                if "QDRANT_URL" not in os.environ:
                    pytest.skip("QDRANT_URL names no server")
                client = connect(settings.model_copy(update={"location": os.environ["QDRANT_URL"]}))
        return QdrantIndex(client, settings, name=f"{settings.collection}-fp", dimensions=DIMENSIONS)

    async def opening() -> Index:
        made = await store(len(opened))
        opened.append(made)
        await made.ensure()
        return made

    yield opening
    for index in opened:
        await index.close()


@pytest.fixture
async def index(open_one: Open) -> Index:
    return await open_one()


def vectors(count: int, seed: int = 1) -> Matrix:
    return unit(np.random.default_rng(seed).standard_normal((count, DIMENSIONS)))


def points(count: int, seed: int = 1) -> list[Point]:
    return [Point(f"item-{number}", vector) for number, vector in enumerate(vectors(count, seed))]


def axis(number: int, cosine: float = 1.0) -> Any:
    """At this cosine to axis 0, and otherwise along axis `number`."""
    vector = np.zeros(DIMENSIONS, dtype=np.float32)
    vector[0], vector[number] = cosine, np.sqrt(1 - cosine**2)
    return vector


def ids(matches: list[Match]) -> list[str]:
    return [match.item_id for match in matches]


async def found(index: Index, **query: Any) -> list[str]:
    [matches] = await index.search([Query(**{"vector": axis(1), "limit": 10, **query})])
    return ids(matches)


async def test_nearest_first_with_cosines(index: Index) -> None:
    await index.upsert([Point("far", axis(1, -0.5)), Point("near", axis(2, 0.9)), Point("mid", axis(3, 0.25))])
    [matches] = await index.search([Query(axis(1), 10)])
    assert ids(matches) == ["near", "mid", "far"]
    assert [match.score for match in matches] == pytest.approx([0.9, 0.25, -0.5], abs=1e-6)


async def test_nothing_stored_nothing_asked(index: Index) -> None:
    assert await index.search([]) == []
    assert await index.search([Query(axis(1), 5), Query(axis(2), 5)]) == [[], []]
    await index.upsert([])
    await index.delete([])
    assert await index.count() == 0


async def test_limit(index: Index) -> None:
    await index.upsert(points(7))
    for limit, expected in ((0, 0), (1, 1), (6, 6), (7, 7), (1000, 7)):
        assert len(await found(index, limit=limit)) == expected


async def test_upsert_replaces_and_is_idempotent(index: Index) -> None:
    await index.upsert([Point("a", axis(1, 0.1), categories=("old",)), Point("b", axis(2, 0.5))])
    for _ in range(2):
        await index.upsert([Point("a", axis(1, 0.8), categories=("new", "new"))])
        assert await index.count() == 2
        assert await found(index) == ["a", "b"]
        assert await found(index, categories=("old",)) == []
        assert await found(index, categories=("new",)) == ["a"]


async def test_the_last_of_a_batch_wins(index: Index) -> None:
    await index.upsert([Point("a", axis(1, 0.1)), Point("a", axis(1, 0.7))])
    assert await index.count() == 1
    [[match]] = await index.search([Query(axis(1), 10)])
    assert match.score == pytest.approx(0.7, abs=1e-6)


async def test_delete(index: Index) -> None:
    await index.upsert(points(5))
    await index.delete(["item-1", "item-4", "never seen", "item-1"])
    assert await index.count() == 3
    assert sorted(await found(index)) == ["item-0", "item-2", "item-3"]
    await index.upsert(points(2))
    assert sorted(await found(index)) == ["item-0", "item-1", "item-2", "item-3"]


async def test_unavailable_items_are_kept_but_not_found(index: Index) -> None:
    await index.upsert([Point("a", axis(1, 0.9)), Point("b", axis(1, 0.5))])
    await index.upsert([Point("a", axis(1, 0.9), available=False)])
    assert await found(index) == ["b"]
    assert await index.count() == 2
    await index.upsert([Point("a", axis(1, 0.9))])
    assert await found(index) == ["a", "b"]
    await index.upsert([Point("a", axis(1, 0.9), available=False)])
    await index.delete(["a"])
    assert await index.count() == 1


async def test_categories_are_any_of(index: Index) -> None:
    await index.upsert(
        [
            Point("a", axis(1, 0.9), categories=("x", "y")),
            Point("b", axis(1, 0.8), categories=("y",)),
            Point("c", axis(1, 0.7), categories=("z",)),
            Point("d", axis(1, 0.6)),
        ]
    )
    assert await found(index, categories=("y",)) == ["a", "b"]
    assert await found(index, categories=("x", "z")) == ["a", "c"]
    assert await found(index, categories=("nobody",)) == []
    assert await found(index) == ["a", "b", "c", "d"]


async def test_excluded_items_make_room_for_the_next(index: Index) -> None:
    await index.upsert([Point(name, axis(1, 0.9 - place / 10)) for place, name in enumerate("abcdef")])
    assert await found(index, limit=2, exclude=("a", "c", "unknown")) == ["b", "d"]
    assert await found(index, limit=9, exclude=tuple("abcdef")) == []


async def test_ties_by_item_id(index: Index) -> None:
    await index.upsert([Point(name, axis(1, 0.5)) for name in ("c", "a", "d", "b")])
    assert await found(index, limit=4) == ["a", "b", "c", "d"]


async def test_zero_vectors(index: Index) -> None:
    zero = np.zeros(DIMENSIONS, dtype=np.float32)
    await index.upsert([Point("zero", zero), Point("near", axis(1, 0.9)), Point("behind", axis(1, -0.9))])
    assert await index.search([Query(zero, 5), Query(axis(1), 5)]) == [
        [],
        [
            Match("near", pytest.approx(0.9, abs=1e-6)),
            Match("zero", 0.0),
            Match("behind", pytest.approx(-0.9, abs=1e-6)),
        ],
    ]


async def test_ids_and_categories_of_any_script(index: Index) -> None:
    names = ["åäö", "商品/1", "a b\tc", "🛒", "x" * 512, "-1", "00", "0"]
    await index.upsert([Point(name, axis(1, 0.5), categories=(name,)) for name in names])
    assert await found(index) == sorted(names)
    for name in names:
        assert await found(index, categories=(name,)) == [name]
    await index.delete(names[:4])
    assert await found(index) == sorted(names[4:])


async def test_a_batch_is_its_queries_one_by_one(index: Index) -> None:
    await index.upsert(points(300))
    queries = [Query(vector, 10 + number, exclude=(f"item-{number}",)) for number, vector in enumerate(vectors(9, 2))]
    queries.append(queries[0])
    batch = await index.search(queries)
    singles = [matches for query in queries for matches in await index.search([query])]
    assert list(map(ids, batch)) == list(map(ids, singles))


async def test_a_vector_of_another_length_is_a_bug(index: Index) -> None:
    short = np.ones(DIMENSIONS - 1, dtype=np.float32)
    with pytest.raises(ValueError, match="dimensions"):
        await index.upsert([*points(2), Point("a", short)])
    assert await index.count() == 0
    await index.upsert(points(1))
    with pytest.raises(ValueError, match="dimensions"):
        await index.search([Query(short, 1)])


async def test_close_twice(index: Index) -> None:
    await index.upsert(points(3))
    await index.close()
    await index.close()


@pytest.mark.parametrize("seed", range(4))
async def test_same_answers_as_exact_memory(open_one: Open, seed: int) -> None:
    """The same random writes, deletions and filtered queries; ids may differ only where scores tie."""
    tested, exact = await open_one(), MemoryIndex(DIMENSIONS)
    rng = np.random.default_rng(seed)
    for round_ in range(3):
        written = [random_point(rng, int(number)) for number in rng.integers(0, 400, 250)]
        gone = [f"item-{number}" for number in rng.integers(0, 400, 30)]
        for index in (tested, exact):
            await index.upsert(written)
            await index.delete(gone)
        assert await tested.count() == await exact.count()
        queries = [random_query(rng, vector) for vector in vectors(12, seed * 10 + round_)]
        for query, ours, theirs in zip(queries, await tested.search(queries), await exact.search(queries), strict=True):
            assert [m.score for m in ours] == pytest.approx([m.score for m in theirs], abs=1e-4)
            assert len(set(ids(ours))) == len(ours)
            [everything] = await exact.search([query._replace(limit=1000)])
            cosine = dict(everything)
            assert [cosine[match.item_id] for match in ours] == pytest.approx([m.score for m in ours], abs=1e-4)


def random_point(rng: np.random.Generator, number: int) -> Point:
    categories = tuple(name for name in "abcde" if rng.random() < 0.3)
    [vector] = unit(rng.standard_normal((1, DIMENSIONS)))
    return Point(f"item-{number}", vector, available=bool(rng.random() < 0.8), categories=categories)


def random_query(rng: np.random.Generator, vector: Any) -> Query:
    return Query(
        vector,
        limit=int(rng.integers(1, 60)),
        categories=tuple(name for name in "abcde" if rng.random() < 0.2),
        exclude=tuple(f"item-{number}" for number in rng.integers(0, 500, int(rng.integers(0, 80)))),
    )


@pytest.mark.parametrize("location", ["memory", "edge"])
async def test_open_index_chooses(location: str, tmp_path: Path) -> None:
    settings = IndexSettings(location=location)
    index = await open_index(settings, fingerprint="m@1/fp32", dimensions=DIMENSIONS, data_dir=tmp_path)
    await index.upsert(points(3))
    assert (index.available, await index.count()) == (True, 3)
    assert (tmp_path / "index" / "items-m-1-fp32").exists() == (location == "edge")
    await index.close()

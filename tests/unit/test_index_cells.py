"""Sketches in cells: what a search in a large catalogue finds of what an exact one would."""

import numpy as np
import pytest

from stream_engine.index import cells, memory
from stream_engine.index.cells import Cells, fitted
from stream_engine.index.memory import MemoryIndex
from stream_engine.index.protocol import Match, Point, Query
from stream_engine.vectors import Matrix, unit

DIMENSIONS, LIMIT = 96, 20


def alike(count: int, seed: int = 0, groups: int = 300, first: int = 0) -> Matrix:
    """Vectors as texts have them: groups of similar ones, which lie in a space of fewer dimensions than they have."""
    rng, world = np.random.default_rng(seed), np.random.default_rng(99)
    space = world.standard_normal((24, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    centres = world.standard_normal((1_000, 24)) @ space
    noise = rng.standard_normal((count, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    return unit((centres[first + rng.integers(0, groups, count)] + noise).astype(np.float32))


def ids(matches: list[Match]) -> set[str]:
    return {match.item_id for match in matches}


async def recall(count: int) -> float:
    nearly, exact = MemoryIndex(DIMENSIONS, exact=False), MemoryIndex(DIMENSIONS)
    vectors = alike(count)
    for index in (nearly, exact):
        for begin in range(0, count, 1_000):
            await index.upsert([Point(f"i{n}", vectors[n]) for n in range(begin, min(count, begin + 1_000))])
    assert nearly._cells is not None
    queries = [Query(vector, LIMIT) for vector in alike(100, seed=1)]
    answers = zip(await nearly.search(queries), await exact.search(queries), strict=True)
    return float(np.mean([len(ids(ours) & ids(theirs)) / LIMIT for ours, theirs in answers]))


async def test_all_sketches_are_looked_at_where_there_are_few() -> None:
    assert await recall(6_000) >= 0.98


async def test_the_nearest_cells_hold_the_nearest_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LOOK_AT", 4_000)
    assert await recall(20_000) >= 0.95


async def test_vectors_that_sketches_do_not_tell_apart_are_compared_one_by_one() -> None:
    vectors = unit(np.random.default_rng(0).standard_normal((4_500, 384)).astype(np.float32))
    assert fitted(vectors) is None
    index = MemoryIndex(384, exact=False)
    await index.upsert([Point(f"i{number}", vector) for number, vector in enumerate(vectors)])
    assert index._cells is None
    [[first, *_]] = await index.search([Query(vectors[7], 5)])
    assert first == ("i7", 1.0)


@pytest.fixture
def small_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, rows in {"SIZE": 16, "SMALLEST": 4, "FEWEST": 3}.items():
        monkeypatch.setattr(cells, name, rows)


@pytest.mark.usefixtures("small_cells")
@pytest.mark.parametrize("seed", range(5))
def test_rows_are_where_they_were_put(seed: int) -> None:
    """Rows come, go and take each other's number; all that are there are found, each near its own vector."""
    chance, vectors = np.random.default_rng(seed), alike(400, seed)
    tested = Cells(np.eye(DIMENSIONS, dtype=np.float32))
    held: dict[int, int] = {}
    for number, vector in enumerate(vectors):
        row = len(held)
        tested.add(np.array([row]), vector[None])
        held[row] = number
        while len(held) > 1 and chance.random() < (0.25 if number < 200 else 0.55):  # they grow, then shrink
            gone, last = int(chance.integers(0, len(held))), len(held) - 1
            tested.remove(gone)
            if gone != last:
                tested.rename(last, gone)
                held[gone] = held[last]
            del held[last]
    found = tested.near(vectors[0], look_at=1_000, keep=1_000)
    assert sorted(found.tolist()) == sorted(held)
    for row, number in held.items():
        assert row in tested.near(vectors[number], look_at=1_000, keep=1)


@pytest.mark.usefixtures("small_cells")
@pytest.mark.parametrize("seed", range(3))
async def test_a_catalogue_that_turns_over_leaves_no_cells_behind_and_is_searched_as_an_exact_one(seed: int) -> None:
    nearly, exact = MemoryIndex(DIMENSIONS, exact=False, sketched_from=200), MemoryIndex(DIMENSIONS)
    chance, held = np.random.default_rng(seed), list[str]()
    for turn in range(60):
        new = [Point(f"{turn}-{n}", each) for n, each in enumerate(alike(50, 100 * seed + turn, groups=20, first=turn))]
        held += [point.item_id for point in new]
        gone = {held[place] for place in chance.integers(0, len(held) // 4, len(held) // 6)}  # old ones
        held = [item_id for item_id in held if item_id not in gone]
        for index in (nearly, exact):
            await index.upsert(new)
            await index.delete(sorted(gone))
    assert nearly._cells is not None
    used = nearly._cells._used
    assert nearly._cells._counts[:used].min() >= cells.FEWEST
    assert nearly._cells._counts.sum() == await nearly.count() == await exact.count() == len(held) < memory.KEEP
    queries = [Query(vector, LIMIT) for vector in alike(50, seed, groups=20, first=59)]
    for ours, theirs in zip(await nearly.search(queries), await exact.search(queries), strict=True):
        assert [match.item_id for match in ours] == [match.item_id for match in theirs]


@pytest.mark.usefixtures("small_cells")
def test_vectors_all_the_same_do_not_hinder() -> None:
    tested = Cells(np.eye(DIMENSIONS, dtype=np.float32))
    tested.add(np.arange(200), np.repeat(alike(1), 200, axis=0))
    assert len(tested.near(alike(1)[0], look_at=1_000, keep=1_000)) == 200
    for row in range(200):
        tested.remove(row)
    assert (tested.near(alike(1)[0], look_at=1_000, keep=1_000).size, tested._used) == (0, 1)

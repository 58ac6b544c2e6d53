"""Qdrant Edge on disk: reopened, foreign, broken, taken."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from harness.guarded import eventually

from stream_engine.errors import Unavailable
from stream_engine.index import edge
from stream_engine.index.edge import EdgeIndex
from stream_engine.index.memory import MemoryIndex
from stream_engine.index.open import open_index
from stream_engine.index.protocol import Match, Point, Query
from stream_engine.settings import IndexSettings
from stream_engine.vectors import Matrix, unit

DIMENSIONS = 8


def vectors(count: int, dimensions: int = DIMENSIONS) -> Matrix:
    return unit(np.random.default_rng(5).standard_normal((count, dimensions)))


def points(count: int, dimensions: int = DIMENSIONS) -> list[Point]:
    return [Point(f"item-{number}", vector) for number, vector in enumerate(vectors(count, dimensions))]


async def opened(directory: Path, dimensions: int = DIMENSIONS, *, quantized: bool = False) -> EdgeIndex:
    index = EdgeIndex(directory, dimensions, quantized=quantized)
    await index.ensure()
    return index


async def test_reopened_where_it_stopped(tmp_path: Path) -> None:
    first = await opened(tmp_path / "shard")
    await first.upsert([*points(40), Point("off", vectors(1)[0], available=False, categories=("x",))])
    await first.delete(["item-3"])
    queries = [Query(vector, 20) for vector in vectors(5)]
    answers = await first.search(queries)
    await first.close()
    with pytest.raises(Unavailable):
        await first.search(queries)
    with pytest.raises(Unavailable):
        await first.count()

    second = await opened(tmp_path / "shard")
    assert await second.count() == 40
    assert await second.search(queries) == answers
    await second.upsert([Point("item-3", vectors(4)[3], categories=("x",)), Point("off", vectors(1)[0])])
    assert await second.count() == 41
    [[first_match, *_]] = await second.search([Query(vectors(4)[3], 5, categories=("x",))])
    assert first_match == Match("item-3", 1.0)
    await second.close()


async def test_survives_being_killed(tmp_path: Path) -> None:
    program = f"""
import asyncio, os, signal
import numpy as np
from pathlib import Path
from stream_engine.index.edge import EdgeIndex
from stream_engine.index.protocol import Point

async def main():
    index = EdgeIndex(Path({str(tmp_path / "shard")!r}), 4)
    await index.ensure()
    await index.upsert([Point(str(n), np.eye(4, dtype=np.float32)[n % 4]) for n in range(600)])
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
    killed = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program], check=False, timeout=60)
    assert killed.returncode == -9
    index = await opened(tmp_path / "shard", 4)
    assert await index.count() == 600
    [matches] = await index.search([Query(np.eye(4, dtype=np.float32)[1], 1000)])
    assert sum(match.score == 1.0 for match in matches) == 150
    await index.close()


async def test_another_length_of_vectors_starts_fresh(tmp_path: Path) -> None:
    index = await opened(tmp_path / "shard")
    await index.upsert(points(5))
    await index.close()
    index = await opened(tmp_path / "shard", 12)
    assert await index.count() == 0
    await index.upsert(points(3, 12))
    assert await index.count() == 3
    await index.close()


async def test_another_fingerprint_never_meets_these_vectors(tmp_path: Path) -> None:
    for fingerprint, before in (("one", 0), ("two", 0), ("one", 3)):
        index = await open_index(
            IndexSettings(location="edge"), fingerprint=fingerprint, dimensions=DIMENSIONS, data_dir=tmp_path
        )
        assert await index.count() == before
        await index.upsert(points(3))
        await index.close()


@pytest.mark.parametrize("damage", ["truncate", "garbage", "remove", "file"])
async def test_what_cannot_be_read_is_started_fresh(tmp_path: Path, damage: str) -> None:
    shard = tmp_path / "shard"
    index = await opened(shard)
    await index.upsert(points(50))
    await index.close()
    files = sorted(path for path in shard.rglob("*") if path.is_file())
    for path in files:
        match damage:
            case "truncate":
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
            case "garbage":
                path.write_bytes(b"\xff\x00garbage" * 99)
            case "remove" if "segments" in path.parts:
                path.unlink()
    if damage == "file":
        for path in files:
            path.unlink()
    index = await opened(shard)
    assert await index.count() in {0, 50}  # its log of writes may have survived, then it is complete
    await index.upsert(points(50))
    assert await index.count() == 50
    [matches] = await index.search([Query(vectors(1)[0], 1)])
    assert matches == [Match("item-0", 1.0)]
    await index.close()


async def test_a_directory_in_use_is_unavailable_until_it_is_free(tmp_path: Path) -> None:
    first = await opened(tmp_path / "shard")
    await first.upsert(points(5))
    second = EdgeIndex(tmp_path / "shard", DIMENSIONS)
    with pytest.raises(Unavailable, match="open in another process"):
        await second.ensure()
    assert await first.count() == 5
    await first.close()
    await second.ensure()
    assert await second.count() == 5
    await second.close()


@pytest.mark.parametrize("file", ["vector_storage-text/vectors/chunk_0.mmap", "vector_storage-text/deleted/status.dat"])
async def test_a_shard_that_fails_later_is_replaced_by_a_fresh_one(tmp_path: Path, file: str) -> None:
    """One damaged file is noticed when loading (Rust panics) or only when searching."""
    index = await opened(tmp_path / "shard")
    await index.upsert(points(60))
    await index.close()
    [damaged] = (tmp_path / "shard").rglob(file)
    damaged.write_bytes(b"")
    await index.ensure()
    try:
        await index.upsert(points(60))
        await index.search([Query(vectors(1)[0], 1)])
    except Unavailable:
        await index.ensure()
        assert await index.count() == 0
        await index.upsert(points(60))
    [matches] = await index.search([Query(vectors(1)[0], 1)])
    assert matches == [Match("item-0", 1.0)]
    await index.close()


async def test_a_shard_that_failed_is_not_trusted_again(tmp_path: Path) -> None:
    index = await opened(tmp_path / "shard")
    await index.upsert(points(5))
    assert index._shard is not None
    index._shard.close()  # every call fails, as on a disk that does
    for _ in range(2):
        with pytest.raises(Unavailable):
            await index.search([Query(vectors(1)[0], 1)])
    await index.ensure()
    assert await index.count() == 0
    await index.upsert(points(5))
    await index.close()
    await index.ensure()
    assert await index.count() == 5
    await index.close()


def families(count: int, dimensions: int = 384) -> list[Point]:
    """Vectors as texts have them: in groups of similar ones."""
    chance = np.random.default_rng(6)
    centres = unit(chance.standard_normal((count // 50, dimensions)))
    around = chance.standard_normal((count, dimensions)) * 0.6 / dimensions**0.5
    return [
        Point(f"item-{n}", vector) for n, vector in enumerate(unit(centres[np.arange(count) % len(centres)] + around))
    ]


def in_graph(index: EdgeIndex) -> int:
    assert index._shard is not None
    return index._shard.info().indexed_vectors_count


@pytest.mark.parametrize(("quantized", "quick"), [(False, False), (True, False), (True, True)])
async def test_a_graph_is_built_beside_what_answers(tmp_path: Path, *, quantized: bool, quick: bool) -> None:
    """Past the size where one is built, answers are nearly those of a full scan, and nothing written is lost."""
    *before, late, gone, changed = families(4_000)
    index, exact = await opened(tmp_path / "shard", 384, quantized=quantized), MemoryIndex(384)
    await index.upsert([*before, gone, replace(changed, categories=("old",))])
    building = asyncio.create_task(index.optimize())
    await eventually(lambda: index._since is not None)
    await index.upsert([late, changed])
    await index.delete([gone.item_id])
    await exact.upsert([*before, late, changed])
    asked = Query(before[0].vector, 50, exclude=("item-7",), quick=quick)
    queries = [asked._replace(vector=unit(point.vector + before[0].vector)) for point in before[:20]]

    async def shared() -> list[int]:
        answers = zip(await index.search(queries), await exact.search(queries), strict=True)
        return [len({each.item_id for each in ours} & {each.item_id for each in theirs}) for ours, theirs in answers]

    assert np.mean(await shared()) >= (46 if quick else 48)
    assert (in_graph(index), building.done()) == (0, False)
    await building
    for _ in range(2):
        assert in_graph(index) >= 3_900
        assert np.mean(await shared()) >= 46
        assert await index.count() == 3_999
        [found, [best], old] = await index.search(
            [Query(gone.vector, 9), Query(late.vector, 1), Query(changed.vector, 1, categories=("old",))]
        )
        assert gone.item_id not in {match.item_id for match in found}
        assert (best.item_id, best.score) == (late.item_id, pytest.approx(1.0, abs=1e-4))
        assert not old
        assert [path.name for path in (tmp_path / "shard").iterdir()] == ["2"]
        await index.close()
        await index.ensure()
    await index.close()


async def test_a_graph_that_cannot_be_built_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(edge, "BUILD_AFTER", 10)
    index = await opened(tmp_path / "shard")
    await index.upsert(points(20))
    (tmp_path / "shard" / "building").mkdir()  # where the copy should go
    for written, said in ((20, 1), (20, 1), (31, 2)):
        await index.upsert(points(written))
        with caplog.at_level("WARNING"):
            await index.optimize()
        assert caplog.messages.count("no graph") == said
        (tmp_path / "shard" / "building").mkdir(exist_ok=True)
    assert await index.count() == 31
    await index.close()


async def test_where_no_process_can_be_started_the_graph_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(edge, "BUILD_AFTER", 10)
    monkeypatch.setattr("sys.executable", str(tmp_path / "nothing"))
    index = await opened(tmp_path / "shard")
    await index.upsert(points(20))
    with caplog.at_level("WARNING"):
        await index.optimize()
    assert caplog.messages.count("no graph") == 1
    assert len((await index.search([Query(points(1)[0].vector, 3)]))[0]) == 3
    await index.close()


async def test_a_build_ends_with_whom_it_is_for(tmp_path: Path) -> None:
    index = await opened(tmp_path / "shard", 384)
    await index.upsert(families(3_000))
    await index.close()
    source = str(next((tmp_path / "shard").iterdir()))
    command = [sys.executable, "-m", "stream_engine.index.building", source, str(tmp_path / "copy"), "384", "1"]
    done = await asyncio.to_thread(subprocess.run, command, stdin=subprocess.DEVNULL, check=False, timeout=60)
    assert done.returncode == 1


async def test_what_is_as_it_was_is_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = await opened(tmp_path / "shard")
    await index.upsert(points(5))
    written: list[int] = []
    write = edge.shards.write
    monkeypatch.setattr(edge.shards, "write", lambda shard, changes: [written.extend(changes), write(shard, changes)])
    for _ in range(2):
        await index.upsert(points(6)[:5])
        await index.upsert([replace(points(3)[2], available=False), points(2)[1]])
        await index.upsert([points(3)[2]])
        assert written == [2, 2]
        written.clear()
        await index.close()
        await index.ensure()
    await index.close()


async def test_a_full_disk_is_unavailable_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write to a mapped file that finds no room on its disk would end the process."""
    index = EdgeIndex(tmp_path / "index", 4)
    await index.ensure()
    point = Point("a", np.eye(4, dtype=np.float32)[0])
    with monkeypatch.context() as full:
        full.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1 << 20))
        for call in (index.ensure, lambda: index.upsert([point])):
            with pytest.raises(Unavailable, match="full"):
                await call()
    await index.ensure()
    await index.upsert([point])
    assert await index.count() == 1
    await index.close()

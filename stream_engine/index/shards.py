"""Shards of Qdrant Edge on disk: folders with numbers, of which the highest is in use. Knows no items' meaning.

Edge searches in the caller's thread and holds the interpreter for it; it builds nothing by itself.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import qdrant_edge as edge

from stream_engine.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")

VECTOR = "text"
SPARE = 64 << 20  # bytes of disk left free: one that fills up under a mapped file ends the process
LINKS, BREADTH = 16, 100  # of the graph: links of a point; points looked at to find them
GRAPH_FROM = 2_000  # KB of vectors; of fewer, or fewer that a filter leaves, each is looked at
BLOCK = 1 << 16  # bytes


def config(dimensions: int, *, quantized: bool) -> edge.EdgeConfig:
    """Points as they are written, without a graph until one is built; four bits a component beside each if quantized.

    Measured: four bits (TurboQuant) take half the search time of int8, at recall .99 without rescoring.
    """
    half_bytes = edge.TurboQuantQuantizationConfig(always_ram=True, bits=edge.TurboQuantBitSize.Bits4)
    return edge.EdgeConfig(
        vectors={VECTOR: edge.EdgeVectorParams(dimensions, edge.Distance.Dot)},
        hnsw_config=edge.HnswIndexConfig(
            m=LINKS, ef_construct=BREADTH, full_scan_threshold=GRAPH_FROM, max_indexing_threads=1
        ),
        quantization_config=half_bytes if quantized else None,
        optimizers=edge.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=GRAPH_FROM),
        max_search_threads=1,
    )


def opened(directory: Path, config: edge.EdgeConfig, *, fresh: bool) -> tuple[edge.EdgeShard, Path]:
    """The shard in use, and its folder; one that cannot be read, or any if `fresh`, makes place for an empty one.

    Raises Unavailable if another process has it open.
    """
    current = newest(directory)
    if current is not None and not fresh:
        try:
            shard = loaded(current, config)
        except Unavailable as failure:
            if "WouldBlock" in failure.reason:
                raise Unavailable("index", f"{directory} is open in another process") from failure
        else:
            guarded(keep_only, directory, current)
            return shard, current
    return guarded(_created, directory, config)


def newest(directory: Path) -> Path | None:
    """The folder in use, if there is any."""
    numbered = [path for path in directory.glob("*") if re.fullmatch(r"\d{1,18}", path.name)]
    return max(numbered, key=lambda path: int(path.name), default=None)


def following(folder: Path) -> Path:
    """The folder to use after this one."""
    return folder.with_name(str(int(folder.name) + 1))


def loaded(folder: Path, config: edge.EdgeConfig) -> edge.EdgeShard:
    """The shard in this folder; raises Unavailable."""
    return guarded(edge.EdgeShard.load, str(folder), config)


def moved(folder: Path, place: Path, config: edge.EdgeConfig) -> edge.EdgeShard:
    """The shard in this folder, loaded where it belongs; raises Unavailable."""
    guarded(folder.rename, place)
    return loaded(place, config)


def keep_only(directory: Path, current: Path) -> None:
    """Remove whatever else is there."""
    for path in directory.iterdir():
        if path != current:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def payloads(shard: edge.EdgeShard) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number and payload of every point."""
    offset: Any = None
    while True:
        request = edge.ScrollRequest(offset=offset, limit=1_000, with_payload=True, with_vector=False)
        records, offset = shard.scroll(request)
        yield from ((int(record.id), record.payload or {}) for record in records)
        if offset is None:
            return


def write(shard: edge.EdgeShard, changes: Mapping[int, edge.Point | None]) -> None:
    """Put these points in place of those with their numbers; None removes."""
    if stored := [point for point in changes.values() if point is not None]:
        shard.update(edge.UpdateOperation.upsert_points(stored))
    if gone := [number for number, point in changes.items() if point is None]:
        shard.update(edge.UpdateOperation.delete_points([*gone]))


def unbuilt(shard: edge.EdgeShard) -> int:
    """Vectors that are not part of the graph, or of what it would be made of."""
    count: int = shard.count(edge.CountRequest(filter=edge.Filter(must=[edge.HasVectorCondition(VECTOR)])))
    return max(0, count - int(shard.info().indexed_vectors_count))


def build(source: Path, target: Path, config: edge.EdgeConfig, copied: Callable[[], None]) -> None:
    """A copy of a shard that nobody writes to until `copied` is called, with everything in one graph."""
    shutil.copytree(source, target, copy_function=_copy_without_holes)
    copied()
    shard = edge.EdgeShard.load(str(target), config)
    shard.optimize()
    shard.flush()
    shard.close()


def require_room(directory: Path) -> None:
    """Raise Unavailable if the disk is full."""
    if not guarded(has_room, directory):
        raise Unavailable("index", f"the disk of {directory} is full")


def has_room(directory: Path, size: int = 0) -> bool:
    """Whether so many bytes may be written and enough is left."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(directory.parent).free >= size + SPARE


def size_of(folder: Path) -> int:
    """Bytes it takes on the disk."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*"))


def guarded(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Edge raises bare exceptions, and for a panic in Rust one that is not even an Exception."""
    try:
        return call(*args, **kwargs)
    except BaseException as failure:
        if isinstance(failure, Exception) or type(failure).__name__ == "PanicException":
            raise Unavailable("index", str(failure)) from failure
        raise


def _created(directory: Path, config: edge.EdgeConfig) -> tuple[edge.EdgeShard, Path]:
    if directory.exists():
        shutil.rmtree(directory)
    folder = directory / "1"
    folder.mkdir(parents=True)
    shard = edge.EdgeShard.create(str(folder), config)
    shard.update(edge.UpdateOperation.create_field_index("categories", edge.PayloadSchemaType.Keyword))
    return shard, folder


def _copy_without_holes(source: str, target: str) -> None:
    """Edge's files are mostly room for more, which takes no disk as long as nobody writes it."""
    with Path(source).open("rb") as read, Path(target).open("wb") as written:
        while block := read.read(BLOCK):
            if block.count(0) == len(block):
                written.seek(len(block), 1)
            else:
                written.write(block)
        written.truncate()

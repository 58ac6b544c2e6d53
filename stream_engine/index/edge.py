"""Qdrant Edge inside the worker: a shard in a directory. The only file that imports qdrant_edge."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import qdrant_edge as edge

from stream_engine.errors import Unavailable
from stream_engine.index.found import found
from stream_engine.index.protocol import Match, Point, Query, checked

P = ParamSpec("P")
T = TypeVar("T")

VECTOR = "text"
UPDATE_BATCH = 256  # points an update: about 8 ms, in which the interpreter is held for 3
FLUSH_EVERY = 20_000  # points written between flushes; the log of writes grows until then
OPTIMIZE_EVERY = 1_000  # points written between optimisations, at the least
SPARE = 64 << 20  # bytes of disk left free: one that fills up under a mapped file ends the process
OVERSAMPLING = 2.0  # candidates by four bits per wanted result, rescored with the full vectors


class EdgeIndex:
    """Every vector is scanned, by four bits a component with rescoring if `quantized`: no graph, building one stops us.

    Measured: optimising holds the interpreter, 20 to 50 µs a point for four bits (TurboQuant, half the search time of
    int8 at 10,000 points, recall 1.0) and 260 µs for HNSW. An unavailable item is stored without its vector, so that
    it cannot be found and no filter has to be paid for.
    """

    def __init__(self, directory: Path, dimensions: int, *, quantized: bool = False) -> None:
        self._directory = directory
        self._dimensions = dimensions
        self._quantized = quantized
        rescored = edge.QuantizationSearchParams(ignore=not quantized, rescore=quantized, oversampling=OVERSAMPLING)
        self._params = edge.SearchParams(quantization=rescored)
        self._shard: edge.EdgeShard | None = None
        self._broken = False
        self._points: dict[str, int] = {}  # by item id
        self._names: list[str] = []  # the item of each point, nothing where it was deleted
        self._unflushed = 0
        self._unoptimized = 0
        self._lock = asyncio.Lock()

    async def ensure(self) -> None:
        """Load the shard, or start a fresh one where it is missing, foreign or broken; raises Unavailable."""
        async with self._lock:
            _require_room(self._directory)
            if self._shard is not None:
                return
            config = _config(self._dimensions, quantized=self._quantized)
            self._shard, items = await asyncio.to_thread(_open, self._directory, config, fresh=self._broken)
            self._broken = False
            self._points = {item_id: point for point, item_id in items.items()}
            self._names = [items.get(point, "") for point in range(max(items, default=-1) + 1)]
            self._unflushed = self._unoptimized = 0

    async def upsert(self, points: Sequence[Point]) -> None:
        """Store or replace, idempotently; visible to the next search."""
        for point in points:
            checked(point.vector, self._dimensions)
        unique = iter({point.item_id: point for point in points}.values())
        async with self._lock:
            while batch := list(islice(unique, UPDATE_BATCH)):
                await self._update(edge.UpdateOperation.upsert_points([self._stored(point) for point in batch]))
                await self._maintain(len(batch))

    async def delete(self, item_ids: Sequence[str]) -> None:
        """Remove; unknown ids are ignored."""
        async with self._lock:
            known = [point for item_id in item_ids if (point := self._points.pop(item_id, None)) is not None]
            if known:
                await self._update(edge.UpdateOperation.delete_points([*known]))
                for point in known:
                    self._names[point] = ""

    async def search(self, queries: Sequence[Query]) -> Sequence[Sequence[Match]]:
        """One list a query, best first, ties by item id."""
        asked = [query for query in queries if query.limit > 0 and checked(query.vector, self._dimensions).any()]
        if not asked:
            return [[] for _ in queries]
        async with self._lock:
            request = edge.QueryBatchRequest([self._request(query) for query in asked])
            # Edge holds the interpreter while it searches: in a thread everything would wait just the same
            answers = await self._call(lambda shard: shard.query_batch(request), inline=True)
            matches = {id(query): self._matches(query, hits) for query, hits in zip(asked, answers, strict=True)}
        return [matches.get(id(query), []) for query in queries]

    async def count(self) -> int:
        """How many items are stored."""
        if self._shard is None:
            raise Unavailable("index", "not open")
        return len(self._points)

    async def close(self) -> None:
        """Write everything to disk and release the directory; idempotent."""
        async with self._lock:
            if self._shard is not None:
                await self._call(edge.EdgeShard.flush)
                self._shard.close()
                self._shard = None

    async def _maintain(self, written: int) -> None:
        self._unflushed += written
        self._unoptimized += written
        if self._unflushed >= FLUSH_EVERY:
            await self._call(edge.EdgeShard.flush)
            self._unflushed = 0
        copy = 8 * self._dimensions * len(self._points)  # bytes, about
        if self._unoptimized >= max(OPTIMIZE_EVERY, len(self._points) // 4) and _has_room(self._directory, copy):
            await self._call(edge.EdgeShard.optimize)
            self._unoptimized = 0

    async def _update(self, operation: edge.UpdateOperation) -> None:
        _require_room(self._directory)
        await self._call(lambda shard: shard.update(operation))

    async def _call(self, call: Callable[[edge.EdgeShard], T], *, inline: bool = False) -> T:
        """A shard that fails is given up: the next `ensure` starts a fresh one, for its owner to fill."""
        shard = self._shard
        if shard is None:
            raise Unavailable("index", "not open")
        try:
            return _guarded(call, shard) if inline else await asyncio.to_thread(_guarded, call, shard)
        except Unavailable:
            self._shard, self._broken = None, True
            with suppress(Unavailable):
                _guarded(edge.EdgeShard.close, shard)
            raise

    def _stored(self, point: Point) -> edge.Point:
        number = self._points.get(point.item_id)
        if number is None:
            number = self._points[point.item_id] = len(self._names)
            self._names.append(point.item_id)
        return edge.Point(
            number,
            {VECTOR: point.vector.tolist()} if point.available else {},
            {"item_id": point.item_id, "categories": list(point.categories)},
        )

    def _request(self, query: Query) -> edge.QueryRequest:
        """Excluded items are asked for as well and dropped after: a filter would cost every scanned item."""
        excluded = sum(item_id in self._points for item_id in query.exclude)
        return edge.QueryRequest(
            limit=query.limit + excluded,
            query=edge.Query.Nearest(query.vector.tolist(), VECTOR),
            filter=_of_any(query.categories) if query.categories else None,
            with_payload=False,
            params=self._params,
        )

    def _matches(self, query: Query, hits: Sequence[edge.ScoredPoint]) -> Sequence[Match]:
        if query.exclude:
            excluded = {self._points.get(item_id) for item_id in query.exclude}
            hits = [hit for hit in hits if hit.id not in excluded]
        return found([hit.id for hit in hits], [hit.score for hit in hits], self._names, query.limit)


def _of_any(categories: Sequence[str]) -> edge.Filter:
    return edge.Filter(must=[edge.FieldCondition("categories", edge.MatchAny(list(categories)))])


def _config(dimensions: int, *, quantized: bool) -> edge.EdgeConfig:
    half_bytes = edge.TurboQuantQuantizationConfig(always_ram=True, bits=edge.TurboQuantBitSize.Bits4)
    return edge.EdgeConfig(
        vectors={VECTOR: edge.EdgeVectorParams(dimensions, edge.Distance.Dot)},
        hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10_000),
        quantization_config=half_bytes if quantized else None,
        optimizers=edge.EdgeOptimizersConfig(
            default_segment_number=1,
            indexing_threshold=400 if quantized else 1_000_000_000,
        ),
        max_search_threads=1,
    )


def _require_room(directory: Path) -> None:
    if not _guarded(_has_room, directory):
        raise Unavailable("index", f"the disk of {directory} is full")


def _has_room(directory: Path, size: int = 0) -> bool:
    """Whether so much may be written and enough is left."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(directory.parent).free >= size + SPARE


def _open(directory: Path, config: edge.EdgeConfig, *, fresh: bool) -> tuple[edge.EdgeShard, dict[int, str]]:
    """The shard and the item of each of its points; what cannot be read is thrown away: it is derived."""
    if directory.exists() and not fresh:
        try:
            return _guarded(_load, directory, config)
        except Unavailable as failure:
            if "WouldBlock" in failure.reason:
                raise Unavailable("index", f"{directory} is open in another process") from failure
    return _guarded(_create, directory, config), {}


def _load(directory: Path, config: edge.EdgeConfig) -> tuple[edge.EdgeShard, dict[int, str]]:
    shard = edge.EdgeShard.load(str(directory), config)
    if _has_room(directory, sum(file.stat().st_blocks * 512 for file in directory.rglob("*"))):
        shard.optimize()
    return shard, _items(shard)


def _create(directory: Path, config: edge.EdgeConfig) -> edge.EdgeShard:
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(parents=True)
    shard = edge.EdgeShard.create(str(directory), config)
    shard.update(edge.UpdateOperation.create_field_index("categories", edge.PayloadSchemaType.Keyword))
    return shard


def _items(shard: edge.EdgeShard) -> dict[int, str]:
    items: dict[int, str] = {}
    offset: Any = None
    while True:
        request = edge.ScrollRequest(offset=offset, limit=1_000, with_payload=["item_id"], with_vector=False)
        records, offset = shard.scroll(request)
        items.update((int(record.id), (record.payload or {})["item_id"]) for record in records)
        if offset is None:
            return items


def _guarded(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Edge raises bare exceptions, and for a panic in Rust one that is not even an Exception."""
    try:
        return call(*args, **kwargs)
    except BaseException as failure:
        if isinstance(failure, Exception) or type(failure).__name__ == "PanicException":
            raise Unavailable("index", str(failure)) from failure
        raise

"""Qdrant Edge inside the worker: a shard in a directory, and its graph built anew beside it as it grows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import qdrant_edge as edge

from stream_engine.errors import Unavailable
from stream_engine.index import shards
from stream_engine.index.building import Build
from stream_engine.index.found import found
from stream_engine.index.protocol import Match, Point, Query, checked
from stream_engine.index.shards import guarded

log = logging.getLogger(__name__)
T = TypeVar("T")

UPDATE_BATCH = 256  # points an update: about 8 ms, in which the interpreter is held for 3
FLUSH_EVERY = 20_000  # points written between flushes; the log of writes grows until then
BUILD_AFTER = 1_000  # vectors written since the graph was built: a search looks at each of them, 50 µs for all
BUILD_SHARE = 0.1  # and what share of all vectors they are at the least
LOOKED_AT, QUICKLY = 100, 64  # points of the graph at the least: of the 60 nearest (real titles) .98 and .91 are found
RESCORED = 2.0  # times as many as are wanted are scored by full vectors, where it is not quick; so many are looked at


class EdgeIndex:
    """A graph of what was there when it was built, by four bits a component if `quantized`, and all since one by one.

    An unavailable item is stored without its vector, so that it cannot be found and no filter has to be paid for.
    What is as it was is not written again.
    """

    def __init__(self, directory: Path, dimensions: int, *, quantized: bool = False) -> None:
        self._directory = directory
        self._dimensions = dimensions
        self._quantized = quantized
        self._config = shards.config(dimensions, quantized=quantized)
        self._params = {quick: _params(quantized=quantized, quick=quick) for quick in (False, True)}
        self._shard: edge.EdgeShard | None = None
        self._folder = directory  # of the shard
        self._broken = False
        self._points: dict[str, int] = {}  # by item id
        self._names: list[str] = []  # the item of each point, nothing where it was deleted
        self._digests: dict[str, int] = {}  # of what is stored, by item id
        self._unflushed = 0
        self._unbuilt = 0
        self._since: dict[int, edge.Point | None] | None = None  # what was written since a build took its copy
        self._writing = asyncio.Lock()
        self._calling = asyncio.Lock()

    async def ensure(self) -> None:
        """Load the shard, or start a fresh one where it is missing, foreign or broken; raises Unavailable."""
        async with self._writing:
            shards.require_room(self._directory)
            if self._shard is not None:
                return
            shard, self._folder, unbuilt, payloads = await asyncio.to_thread(self._open)
            items = {point: payload["item_id"] for point, payload in payloads.items()}
            self._points = {item_id: point for point, item_id in items.items()}
            self._names = [items.get(point, "") for point in range(max(items, default=-1) + 1)]
            self._digests = {payload["item_id"]: payload.get("digest", 0) for payload in payloads.values()}
            self._unflushed, self._unbuilt = 0, unbuilt
            self._shard, self._broken, self._since = shard, False, None

    async def upsert(self, points: Sequence[Point]) -> None:
        """Store or replace, idempotently; visible to the next search."""
        for point in points:
            checked(point.vector, self._dimensions)
        unique = {point.item_id: (point, _digest(point)) for point in points}
        async with self._writing:
            fresh = iter([each for each in unique.values() if self._digests.get(each[0].item_id) != each[1]])
            while batch := list(islice(fresh, UPDATE_BATCH)):
                shards.require_room(self._directory)
                await self._write(dict(self._stored(*each) for each in batch))
                self._digests |= {point.item_id: digest for point, digest in batch}
                self._unbuilt += len(batch)

    async def delete(self, item_ids: Sequence[str]) -> None:
        """Remove; unknown ids are ignored."""
        async with self._writing:
            shards.require_room(self._directory)
            known = {each: point for each in item_ids if (point := self._points.pop(each, None)) is not None}
            if known:
                await self._write(dict.fromkeys(known.values()))
                for item_id, point in known.items():
                    self._names[point] = ""
                    self._digests.pop(item_id, None)

    async def search(self, queries: Sequence[Query]) -> Sequence[Sequence[Match]]:
        """One list a query, best first, ties by item id."""
        asked = [query for query in queries if query.limit > 0 and checked(query.vector, self._dimensions).any()]
        if not asked:
            return [[] for _ in queries]
        async with self._calling:
            request = edge.QueryBatchRequest([self._request(query) for query in asked])
            # Edge holds the interpreter while it searches: in a thread everything would wait just the same
            answers = self._asked(lambda shard: shard.query_batch(request))
            matches = {id(query): self._matches(query, hits) for query, hits in zip(asked, answers, strict=True)}
        return [matches.get(id(query), []) for query in queries]

    async def count(self) -> int:
        """How many items are stored."""
        if self._shard is None:
            raise Unavailable("index", "not open")
        return len(self._points)

    async def optimize(self) -> None:
        """Build the graph anew if much was written since; the old one and what was written answer meanwhile."""
        if self._shard is None or self._unbuilt < max(BUILD_AFTER, BUILD_SHARE * len(self._points)):
            return
        if not shards.has_room(self._directory, 3 * shards.size_of(self._folder)):
            return
        shard = self._shard
        try:
            async with self._writing:
                await self._call(edge.EdgeShard.flush)
                build = await Build.start(self._folder, dimensions=self._dimensions, quantized=self._quantized)
                self._unbuilt, self._since = 0, {}
            folder = await build.result()
            async with self._writing:
                if self._shard is shard:
                    await self._move_to(folder)
        except Unavailable as failure:
            log.warning("no graph", extra={"reason": failure.reason})
            self._unbuilt, self._since = 0, None  # until as much is written again
            with suppress(Unavailable):
                await asyncio.to_thread(guarded, shards.keep_only, self._directory, self._folder)

    async def close(self) -> None:
        """Write everything to disk and release the directory; idempotent."""
        async with self._writing:
            if self._shard is not None:
                await self._call(edge.EdgeShard.flush)
                self._shard.close()
                self._shard = None

    def _open(self) -> tuple[edge.EdgeShard, Path, int, dict[int, dict[str, Any]]]:
        shard, folder = shards.opened(self._directory, self._config, fresh=self._broken)
        return shard, folder, guarded(shards.unbuilt, shard), dict(guarded(shards.payloads, shard))

    async def _move_to(self, folder: Path) -> None:
        """Use the shard in this folder, once it has what was written since it was copied."""
        place = shards.following(self._folder)
        shard = await asyncio.to_thread(shards.moved, folder, place, self._config)
        changes = iter((self._since or {}).items())
        while batch := dict(islice(changes, UPDATE_BATCH)):
            await asyncio.to_thread(guarded, shards.write, shard, batch)
        async with self._calling:
            before, self._shard, self._folder, self._since = self._shard, shard, place, None
        if before is not None:
            await asyncio.to_thread(guarded, edge.EdgeShard.close, before)
        await asyncio.to_thread(guarded, shards.keep_only, self._directory, place)

    async def _write(self, changes: Mapping[int, edge.Point | None]) -> None:
        await self._call(lambda shard: shards.write(shard, changes))
        if self._since is not None:
            self._since |= changes
        self._unflushed += len(changes)
        if self._unflushed >= FLUSH_EVERY:
            await self._call(edge.EdgeShard.flush)
            self._unflushed = 0

    async def _call(self, call: Callable[[edge.EdgeShard], T]) -> T:
        async with self._calling:
            return await asyncio.to_thread(self._asked, call)

    def _asked(self, call: Callable[[edge.EdgeShard], T]) -> T:
        """A shard that fails is given up: the next `ensure` starts a fresh one, for its owner to fill."""
        shard = self._shard
        if shard is None:
            raise Unavailable("index", "not open")
        try:
            return guarded(call, shard)
        except Unavailable:
            self._shard, self._broken = None, True
            with suppress(Unavailable):
                guarded(edge.EdgeShard.close, shard)
            raise

    def _stored(self, point: Point, digest: int) -> tuple[int, edge.Point]:
        number = self._points.get(point.item_id)
        if number is None:
            number = self._points[point.item_id] = len(self._names)
            self._names.append(point.item_id)
        vectors = {shards.VECTOR: point.vector.tolist()} if point.available else {}
        payload = {"item_id": point.item_id, "categories": list(point.categories), "digest": digest}
        return number, edge.Point(number, vectors, payload)

    def _request(self, query: Query) -> edge.QueryRequest:
        """Excluded items are asked for as well and dropped after: a filter would cost every item looked at."""
        excluded = sum(item_id in self._points for item_id in query.exclude)
        return edge.QueryRequest(
            limit=query.limit + excluded,
            query=edge.Query.Nearest(query.vector.tolist(), shards.VECTOR),
            filter=_of_any(query.categories) if query.categories else None,
            with_payload=False,
            params=self._params[query.quick],
        )

    def _matches(self, query: Query, hits: Sequence[edge.ScoredPoint]) -> Sequence[Match]:
        if query.exclude:
            excluded = {self._points.get(item_id) for item_id in query.exclude}
            hits = [hit for hit in hits if hit.id not in excluded]
        return found([hit.id for hit in hits], [hit.score for hit in hits], self._names, query.limit)


def _params(*, quantized: bool, quick: bool) -> edge.SearchParams:
    """With care the best are scored by full vectors; to ask for more of them costs as much where none is."""
    rescored = quantized and not quick
    scored = edge.QuantizationSearchParams(
        ignore=not quantized, rescore=rescored, oversampling=RESCORED if rescored else 1.0
    )
    return edge.SearchParams(hnsw_ef=QUICKLY if quick else LOOKED_AT, quantization=scored)


def _of_any(categories: Sequence[str]) -> edge.Filter:
    return edge.Filter(must=[edge.FieldCondition("categories", edge.MatchAny(list(categories)))])


def _digest(point: Point) -> int:
    """Stands for all that is stored of the point: 63 bits."""
    said = f"{point.available} {point.categories}".encode()
    return int.from_bytes(blake2b(point.vector.tobytes() + said, digest_size=8).digest()) >> 1

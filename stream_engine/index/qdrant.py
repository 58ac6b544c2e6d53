"""A Qdrant server (1.15 or newer), over gRPC. The only file that imports qdrant_client."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, TypeVar

import grpc
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from stream_engine.errors import BadConfiguration, Unavailable
from stream_engine.index.protocol import Match, Point, Query, checked, ranked
from stream_engine.index.tls import ssl_context
from stream_engine.settings import IndexSettings

T = TypeVar("T")

UPSERT_BATCH = 256  # points a request: 0.4 MB at 384 dimensions
KNOWN_POINTS = 20_000  # point ids remembered, at 3 µs and 300 bytes each
CREATE_TIMEOUT = 30.0  # seconds; a new collection takes longer than a search may
OVERSAMPLING = 2.0  # int8 candidates per wanted result, rescored with the full vectors
INDEXED = {"available": models.PayloadSchemaType.BOOL, "categories": models.PayloadSchemaType.KEYWORD}
GRPC_OPTIONS: dict[str, Any] = {  # come back soon after an outage
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 5_000,
}
REFUSED = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED, 401, 403}
INVALID = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED, 400, 405, 422}
FAILURES = (grpc.RpcError, ApiException, QdrantException, TimeoutError, OSError)


def connect(settings: IndexSettings) -> AsyncQdrantClient:
    """A client for the server at `settings.location`; connects when first used. BadConfiguration for a wrong CA."""
    verify = ssl_context(settings)
    ours = {"root_certificates": settings.ssl_ca.read_bytes()} if settings.ssl_ca else {}
    return AsyncQdrantClient(
        url=settings.location,
        api_key=settings.api_key.get_secret_value() or None,
        prefer_grpc=settings.prefer_grpc,
        grpc_port=settings.grpc_port,
        timeout=math.ceil(settings.timeout),
        grpc_options=GRPC_OPTIONS | ours,
        verify=verify,
        check_compatibility=False,  # prints from a thread of its own
    )


def point_id(item_id: str) -> str:
    """The point an item is stored as: always the same for the same item."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"stream-engine:item:{item_id}"))


class QdrantIndex:
    """One collection per encoder fingerprint; the alias names the one to use from outside.

    Reads and writes name the collection itself, so that a switched alias never mixes two models' vectors.
    """

    def __init__(self, client: AsyncQdrantClient, settings: IndexSettings, *, name: str, dimensions: int) -> None:
        self._client = client
        self._name = name
        self._alias = settings.collection
        self._dimensions = dimensions
        self._timeout = settings.timeout
        self._quantized = settings.quantized
        self._excluded = lru_cache(KNOWN_POINTS)(point_id)  # the same items are excluded again and again

    async def ensure(self) -> None:
        """Create collection, payload indexes and alias where missing; raises Unavailable or BadConfiguration."""
        try:
            async with asyncio.timeout(CREATE_TIMEOUT):
                await self._ensure_collection()
                for field, schema in INDEXED.items():
                    await self._client.create_payload_index(self._name, field, schema, wait=True)
                await self._ensure_alias()
        except FAILURES as failure:
            status = _status(failure)
            if status in REFUSED:
                raise BadConfiguration("index.api_key", _reason(failure)) from failure
            if status in INVALID:
                raise BadConfiguration("index.location", _reason(failure)) from failure
            raise Unavailable("index", _reason(failure)) from failure

    async def upsert(self, points: Sequence[Point]) -> None:
        """Store or replace, idempotently; visible to the next search."""
        unique = list({point.item_id: point for point in points}.values())
        for batch in _batches([self._struct(point) for point in unique]):
            async with self._asking():
                await self._client.upsert(self._name, batch, wait=True)

    async def delete(self, item_ids: Sequence[str]) -> None:
        """Remove; unknown ids are ignored."""
        for batch in _batches([point_id(item_id) for item_id in item_ids]):
            async with self._asking():
                await self._client.delete(self._name, models.PointIdsList(points=batch), wait=True)

    async def search(self, queries: Sequence[Query]) -> list[list[Match]]:
        """One list a query, best first, ties by item id; one round trip for all."""
        asked = [query for query in queries if query.limit > 0 and checked(query.vector, self._dimensions).any()]
        if not asked:
            return [[] for _ in queries]
        async with self._asking():
            responses = await self._client.query_batch_points(self._name, [self._request(query) for query in asked])
        found = {id(query): _matches(answer.points) for query, answer in zip(asked, responses, strict=True)}
        return [found.get(id(query), []) for query in queries]

    async def count(self) -> int:
        """How many items are stored."""
        async with self._asking():
            return (await self._client.count(self._name, exact=True)).count

    async def optimize(self) -> None:
        """The server does so by itself."""

    async def close(self) -> None:
        """Close the connection; idempotent."""
        await self._client.close()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """What goes wrong inside is Unavailable, unless the request itself was wrong: that is a bug."""
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except FAILURES as failure:
            if _status(failure) in INVALID:
                raise
            raise Unavailable("index", _reason(failure)) from failure

    async def _ensure_collection(self) -> None:
        if await self._client.collection_exists(self._name):
            return
        int8 = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
        try:
            await self._client.create_collection(
                self._name,
                vectors_config=models.VectorParams(size=self._dimensions, distance=models.Distance.DOT),
                quantization_config=models.ScalarQuantization(scalar=int8) if self._quantized else None,
                timeout=math.ceil(CREATE_TIMEOUT),
            )
        except FAILURES:  # another worker may have been first
            if not await self._client.collection_exists(self._name):
                raise

    async def _ensure_alias(self) -> None:
        """Point the alias here, unless it names another model's collection that still holds more."""
        aliases = {alias.alias_name: alias.collection_name for alias in (await self._client.get_aliases()).aliases}
        current = aliases.get(self._alias)
        if current == self._name or (current is not None and await self._holds_more(current)):
            return
        await self._client.update_collection_aliases(
            [
                models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=self._alias)),
                models.CreateAliasOperation(
                    create_alias=models.CreateAlias(collection_name=self._name, alias_name=self._alias)
                ),
            ]
        )

    async def _holds_more(self, other: str) -> bool:
        theirs, ours = [await self._client.count(name, exact=True) for name in (other, self._name)]
        return theirs.count > ours.count

    def _struct(self, point: Point) -> models.PointStruct:
        return models.PointStruct(
            id=point_id(point.item_id),
            vector=checked(point.vector, self._dimensions).tolist(),
            payload={
                "item_id": point.item_id,
                "available": point.available,
                "categories": list(point.categories),
            },
        )

    def _request(self, query: Query) -> models.QueryRequest:
        rescored = models.QuantizationSearchParams(
            ignore=not self._quantized, rescore=self._quantized, oversampling=OVERSAMPLING
        )
        return models.QueryRequest(
            query=query.vector.tolist(),
            filter=_filter(query, [self._excluded(item_id) for item_id in query.exclude]),
            limit=query.limit,
            with_payload=["item_id"],
            params=models.SearchParams(quantization=rescored),
        )


def _filter(query: Query, excluded: Sequence[str]) -> models.Filter:
    must: list[models.Condition] = [
        models.FieldCondition(key="available", match=models.MatchValue(value=True)),
    ]
    if query.categories:
        must.append(models.FieldCondition(key="categories", match=models.MatchAny(any=list(query.categories))))
    return models.Filter(must=must, must_not=[models.HasIdCondition(has_id=list(excluded))] if excluded else None)


def _matches(hits: Sequence[models.ScoredPoint]) -> list[Match]:
    ids = [str((hit.payload or {})["item_id"]) for hit in hits]
    return ranked(ids, [hit.score for hit in hits], len(ids))


def _batches(points: list[T]) -> Iterator[list[T]]:
    return (points[start : start + UPSERT_BATCH] for start in range(0, len(points), UPSERT_BATCH))


def _status(failure: BaseException) -> object:
    """The gRPC or HTTP status; None when no answer came."""
    if isinstance(failure, grpc.aio.AioRpcError):
        return failure.code()
    return failure.status_code if isinstance(failure, UnexpectedResponse) else None


def _reason(failure: BaseException) -> str:
    if isinstance(failure, grpc.aio.AioRpcError):
        return f"{failure.code().name}: {failure.details()}"
    if isinstance(failure, ResponseHandlingException):
        failure = failure.source
    return str(failure) or type(failure).__name__

"""What is particular to a Qdrant server: names, aliases, indexes, and every way it can be away."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from pydantic import SecretStr
from qdrant_client import AsyncQdrantClient
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from stream_engine.errors import BadConfiguration, Unavailable
from stream_engine.index.open import open_index
from stream_engine.index.protocol import Match, Point, Query
from stream_engine.index.qdrant import QdrantIndex, connect, point_id
from stream_engine.settings import IndexSettings
from stream_engine.vectors import Matrix

pytestmark = [
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),
    pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection"),
]
EYE: Matrix = np.eye(4, dtype=np.float32)
POINTS = [Point("a", EYE[0]), Point("b", EYE[1])]
QUERY = Query(EYE[0], 1)


@pytest.fixture
def settings(qdrant_server: Any) -> IndexSettings:
    return IndexSettings(location=qdrant_server.url, grpc_port=qdrant_server.port)


@pytest.fixture
async def index(settings: IndexSettings) -> AsyncIterator[QdrantIndex]:
    index = made(settings)
    await index.ensure()
    await index.upsert(POINTS)
    yield index
    await index.close()


def made(settings: IndexSettings, fingerprint: str = "fp") -> QdrantIndex:
    return QdrantIndex(connect(settings), settings, name=f"{settings.collection}-{fingerprint}", dimensions=4)


async def aliases(server: Any) -> dict[str, str]:
    return {alias.alias_name: alias.collection_name for alias in (await server.store.get_aliases()).aliases}


async def test_the_collection_is_reached_through_the_alias(index: QdrantIndex, qdrant_server: Any) -> None:
    assert await aliases(qdrant_server) == {"items": "items-fp"}
    assert (await qdrant_server.store.count("items")).count == 2
    assert qdrant_server.indexed == {"available", "categories"}
    [record] = await qdrant_server.store.retrieve("items", [point_id("a")])
    assert record.payload == {"item_id": "a", "available": True, "categories": []}
    assert point_id("a") == "72e29870-a215-5bb3-9542-08c5eeb2f044"


async def test_ensure_changes_nothing_that_is_there(index: QdrantIndex, qdrant_server: Any) -> None:
    qdrant_server.asked.clear()
    await index.ensure()
    assert await index.count() == 2
    assert not {"Create", "UpdateAliases"} & set(qdrant_server.asked)


async def test_the_alias_moves_to_a_new_model_once_it_is_filled(
    index: QdrantIndex, settings: IndexSettings, qdrant_server: Any
) -> None:
    upgraded = made(settings, "new")
    await upgraded.ensure()
    await upgraded.upsert(POINTS[:1])
    await upgraded.ensure()
    assert await aliases(qdrant_server) == {"items": "items-fp"}
    assert await index.search([Query(EYE[1], 1)]) == [[Match("b", 1.0)]]
    await upgraded.upsert(POINTS)
    await upgraded.ensure()
    assert await aliases(qdrant_server) == {"items": "items-new"}
    await upgraded.upsert([Point("b", EYE[3])])
    assert await index.search([Query(EYE[1], 1)]) == [[Match("b", 1.0)]]  # the old model's vectors, still
    await upgraded.close()


async def test_one_round_trip_for_all_queries(index: QdrantIndex, qdrant_server: Any) -> None:
    qdrant_server.asked.clear()
    await index.search([QUERY] * 50)
    assert qdrant_server.asked == ["QueryBatch"]
    await index.upsert([Point(str(number), EYE[number % 4]) for number in range(600)])
    assert qdrant_server.asked == ["QueryBatch"] + ["Upsert"] * 3


@pytest.mark.parametrize("quantized", [False, True])
async def test_quantisation_is_a_setting(settings: IndexSettings, qdrant_server: Any, *, quantized: bool) -> None:
    index = made(settings.model_copy(update={"quantized": quantized}))
    await index.ensure()
    assert (qdrant_server.quantized == {"items-fp"}) == quantized
    params = index._request(QUERY).params
    assert params is not None
    assert params.quantization is not None
    assert (params.quantization.rescore, params.quantization.ignore) == (quantized, not quantized)
    await index.close()


async def every_call_is_unavailable(index: QdrantIndex, reason: str) -> None:
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: index.search([QUERY]),
        lambda: index.upsert(POINTS),
        lambda: index.delete(["a"]),
        index.count,
        index.ensure,
    ]
    for call in calls:
        with pytest.raises(Unavailable, match=reason):
            await call()


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "CANCELLED"])
async def test_a_server_in_trouble_is_unavailable(index: QdrantIndex, qdrant_server: Any, code: str) -> None:
    qdrant_server.failure = grpc.StatusCode[code]
    await every_call_is_unavailable(index, f"{code}: as told")
    qdrant_server.failure = None
    assert await index.search([QUERY]) == [[Match("a", 1.0)]]


async def test_a_request_that_was_wrong_is_a_bug(index: QdrantIndex, qdrant_server: Any) -> None:
    qdrant_server.failure = grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.aio.AioRpcError):
        await index.search([QUERY])


async def test_a_silent_server_is_unavailable_after_the_timeout(settings: IndexSettings, qdrant_server: Any) -> None:
    index = made(settings.model_copy(update={"timeout": 0.05}))
    await index.ensure()
    qdrant_server.before = asyncio.Event().wait
    with pytest.raises(Unavailable, match="TimeoutError"):
        await index.search([QUERY])
    await index.close()


async def test_nobody_listening_is_unavailable_at_once(settings: IndexSettings, qdrant_server: Any) -> None:
    await qdrant_server.stop()
    for prefer_grpc in (True, False):
        index = made(settings.model_copy(update={"prefer_grpc": prefer_grpc}))
        started = time.monotonic()
        await every_call_is_unavailable(index, "^index: .")
        assert time.monotonic() - started < settings.timeout
        await index.close()


async def test_a_restarted_server_is_found_again(index: QdrantIndex, qdrant_server: Any) -> None:
    await qdrant_server.stop()
    with pytest.raises(Unavailable):
        await index.search([QUERY])
    await qdrant_server.start()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await index.search([QUERY]) == [[Match("a", 1.0)]]
                break
            except Unavailable:
                await asyncio.sleep(0.02)


async def test_a_dropped_collection_is_made_again_for_its_owner_to_fill(
    settings: IndexSettings, qdrant_server: Any, tmp_path: Path
) -> None:
    now = 0.0
    index = await open_index(settings, fingerprint="fp", dimensions=4, data_dir=tmp_path, clock=lambda: now)
    await index.upsert(POINTS)
    await qdrant_server.store.delete_collection("items-fp")
    with pytest.raises(Unavailable, match="NOT_FOUND"):
        await index.search([QUERY])
    now = 60.0
    async with asyncio.timeout(5):
        while not index.available:
            with pytest.raises(Unavailable):
                await index.count()
            await asyncio.sleep(0)
    assert (index.recoveries, await index.count()) == (1, 0)
    assert await aliases(qdrant_server) == {"items": "items-fp"}
    await index.upsert(POINTS)
    assert await index.search([QUERY]) == [[Match("a", 1.0)]]
    await index.close()


async def test_a_wrong_key_refuses_the_start(settings: IndexSettings, qdrant_server: Any, tmp_path: Path) -> None:
    qdrant_server.api_key = "right"
    for key in ("", "wrong"):
        refused = settings.model_copy(update={"api_key": SecretStr(key)})
        with pytest.raises(BadConfiguration, match=r"index\.api_key"):
            await open_index(refused, fingerprint="fp", dimensions=4, data_dir=tmp_path)
    accepted = settings.model_copy(update={"api_key": SecretStr("right")})
    index = await open_index(accepted, fingerprint="fp", dimensions=4, data_dir=tmp_path)
    await index.upsert(POINTS)
    qdrant_server.api_key = "rotated"
    with pytest.raises(Unavailable, match="UNAUTHENTICATED"):
        await index.search([QUERY])
    await index.close()


async def test_an_alias_that_is_a_collection_refuses_the_start(settings: IndexSettings, qdrant_server: Any) -> None:
    await qdrant_server.store.create_collection("items", vectors_config={})
    index = made(settings)
    with pytest.raises(BadConfiguration, match="already exists"):
        await index.ensure()
    await index.close()


async def test_two_workers_may_create_at_once(settings: IndexSettings, qdrant_server: Any) -> None:
    workers = [made(settings) for _ in range(4)]
    await asyncio.gather(*(worker.ensure() for worker in workers))
    assert await aliases(qdrant_server) == {"items": "items-fp"}
    assert qdrant_server.asked.count("Create") > 1  # they did race
    for worker in workers:
        await worker.close()


@pytest.mark.parametrize(
    "failure",
    [
        ResponseHandlingException(httpx.ConnectError("refused")),
        UnexpectedResponse(503, "down", b"", httpx.Headers()),
        UnexpectedResponse(404, "Not found: Collection `items-fp` doesn't exist!", b"", httpx.Headers()),
    ],
)
async def test_over_rest_failures_mean_the_same(settings: IndexSettings, failure: Exception) -> None:
    class Broken(AsyncQdrantClient):
        async def query_batch_points(self, *_: Any, **__: Any) -> Any:
            raise failure

    client = Broken(":memory:")
    with pytest.raises(Unavailable):
        await QdrantIndex(client, settings, name="items-fp", dimensions=4).search([QUERY])
    await client.close()

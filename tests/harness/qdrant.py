"""A Qdrant server for tests: the real gRPC service definition in front of qdrant-client's local mode."""

# ruff: noqa: N802 (the names are the service definition's)

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import grpc
from qdrant_client import AsyncQdrantClient, models
from qdrant_client import grpc as rpc
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.grpc import collections_service_pb2_grpc, points_service_pb2_grpc

from harness.certificates import Certificates


class LocalServer:
    """Answers over gRPC what the index asks; fails on request."""

    def __init__(self) -> None:
        self.store = AsyncQdrantClient(":memory:")
        self.api_key = ""
        self.failure: grpc.StatusCode | None = None
        self.before: Callable[[], Awaitable[Any]] | None = None  # awaited before every answer
        self.asked: list[str] = []
        self.indexed: set[str] = set()
        self.quantized: set[str] = set()
        self.port = 0
        self.certificates: Certificates | None = None  # set before the start: TLS
        self._server: grpc.aio.Server | None = None

    @property
    def url(self) -> str:
        return f"http{'s' if self.certificates else ''}://127.0.0.1:1"  # REST is not served: nothing may need it

    async def start(self) -> None:
        self._server = grpc.aio.server(interceptors=[Gate(self)])
        collections_service_pb2_grpc.add_CollectionsServicer_to_server(Collections(self), self._server)
        points_service_pb2_grpc.add_PointsServicer_to_server(Points(self), self._server)
        address = f"127.0.0.1:{self.port}"
        if self.certificates is None:
            self.port = self._server.add_insecure_port(address)
        else:
            pair = self.certificates.key.read_bytes(), self.certificates.certificate.read_bytes()
            self.port = self._server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None


class Gate(grpc.aio.ServerInterceptor):
    def __init__(self, server: LocalServer) -> None:
        self.server = server

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        server, handler = self.server, await continuation(details)

        async def answer(request: Any, context: Any) -> Any:
            server.asked.append(details.method.rsplit("/", 1)[1])
            if server.before is not None:
                await server.before()
            if server.api_key and dict(details.invocation_metadata).get("api-key") != server.api_key:
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Must provide an API key")
            if server.failure is not None:
                await context.abort(server.failure, "as told")
            try:
                return await handler.unary_unary(request, context)
            except ValueError as error:
                missing = "not found" in str(error)
                await context.abort(
                    grpc.StatusCode.NOT_FOUND if missing else grpc.StatusCode.INVALID_ARGUMENT, str(error)
                )

        return grpc.unary_unary_rpc_method_handler(answer, handler.request_deserializer, handler.response_serializer)


class Collections(collections_service_pb2_grpc.CollectionsServicer):
    def __init__(self, server: LocalServer) -> None:
        self.server, self.store = server, server.store

    async def CollectionExists(self, request: Any, context: Any) -> Any:
        exists = await self.store.collection_exists(request.collection_name)
        return rpc.CollectionExistsResponse(result=rpc.CollectionExists(exists=exists))

    async def Create(self, request: Any, context: Any) -> Any:
        if request.HasField("quantization_config"):
            self.server.quantized.add(request.collection_name)
        vectors = GrpcToRest.convert_vectors_config(request.vectors_config)
        await self.store.create_collection(request.collection_name, vectors_config=vectors)
        return rpc.CollectionOperationResponse(result=True)

    async def ListAliases(self, request: Any, context: Any) -> Any:
        aliases = (await self.store.get_aliases()).aliases
        return rpc.ListAliasesResponse(aliases=[RestToGrpc.convert_alias_description(alias) for alias in aliases])

    async def UpdateAliases(self, request: Any, context: Any) -> Any:
        await self.store.update_collection_aliases(
            [GrpcToRest.convert_alias_operations(action) for action in request.actions]
        )
        return rpc.CollectionOperationResponse(result=True)


class Points(points_service_pb2_grpc.PointsServicer):
    def __init__(self, server: LocalServer) -> None:
        self.server, self.store = server, server.store

    async def CreateFieldIndex(self, request: Any, context: Any) -> Any:
        assert request.wait
        self.server.indexed.add(request.field_name)
        return done()

    async def Upsert(self, request: Any, context: Any) -> Any:
        assert request.wait
        points = [GrpcToRest.convert_point_struct(point) for point in request.points]
        await self.store.upsert(request.collection_name, points)
        return done()

    async def Delete(self, request: Any, context: Any) -> Any:
        assert request.wait
        await self.store.delete(request.collection_name, GrpcToRest.convert_points_selector(request.points))
        return done()

    async def Count(self, request: Any, context: Any) -> Any:
        counted = await self.store.count(request.collection_name, exact=request.exact)
        return rpc.CountResponse(result=rpc.CountResult(count=counted.count))

    async def QueryBatch(self, request: Any, context: Any) -> Any:
        asked = [query_request(query) for query in request.query_points]
        answers = await self.store.query_batch_points(request.collection_name, asked)
        return rpc.QueryBatchResponse(
            result=[
                rpc.BatchResult(result=[RestToGrpc.convert_scored_point(hit) for hit in answer.points])
                for answer in answers
            ]
        )


def query_request(query: Any) -> models.QueryRequest:
    return models.QueryRequest(
        query=GrpcToRest.convert_query(query.query),
        filter=GrpcToRest.convert_filter(query.filter),
        limit=query.limit,
        with_payload=GrpcToRest.convert_with_payload_interface(query.with_payload),
    )


def done() -> Any:
    return rpc.PointsOperationResponse(result=rpc.UpdateResult(status=rpc.UpdateStatus.Completed))


class Qdrant:
    """The stand-in server, on a loop of its own, for a worker that is a process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.server = self.run(self._made())
        self.run(self.server.start())

    @staticmethod
    async def _made() -> LocalServer:
        return LocalServer()

    def run(self, answer: Coroutine[Any, Any, Any]) -> Any:
        """What the coroutine returns."""
        return asyncio.run_coroutine_threadsafe(answer, self._loop).result(30)

    async def empty(self) -> None:
        """Drop all there is."""
        for collection in (await self.server.store.get_collections()).collections:
            await self.server.store.delete_collection(collection.name)

    def close(self) -> None:
        """Stop it, and the loop."""
        self.run(self.server.stop())
        self.run(self.server.store.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

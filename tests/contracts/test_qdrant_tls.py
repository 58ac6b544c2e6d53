"""A Qdrant server behind TLS with a key: over gRPC, over REST, and as `doctor` sees it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from harness.certificates import Certificates, make_certificates
from harness.http import answering
from harness.qdrant import LocalServer
from pydantic import SecretStr

from stream_engine.cli.doctor import index_answers
from stream_engine.errors import BadConfiguration, Unavailable
from stream_engine.index.protocol import Match, Point, Query
from stream_engine.index.qdrant import QdrantIndex, connect
from stream_engine.settings import IndexSettings, Settings

pytestmark = pytest.mark.filterwarnings("ignore:Local mode performs exact")
KEY = SecretStr("the key")
VECTOR = np.array([1, 0, 0, 0], np.float32)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def server(certificates: Certificates) -> AsyncIterator[LocalServer]:
    server = LocalServer()
    server.certificates, server.api_key = certificates, KEY.get_secret_value()
    await server.start()
    yield server
    await server.stop()
    await server.store.close()


def settings(server: LocalServer, ca: Path | None, key: SecretStr = KEY) -> IndexSettings:
    return IndexSettings(location=server.url, grpc_port=server.port, api_key=key, ssl_ca=ca, timeout=1)


def made(settings: IndexSettings) -> QdrantIndex:
    return QdrantIndex(connect(settings), settings, name="items-fp", dimensions=4)


async def test_the_index_works_over_tls_with_a_key(server: LocalServer, certificates: Certificates) -> None:
    index = made(settings(server, certificates.ca))
    await index.ensure()
    await index.upsert([Point("a", VECTOR)])
    assert await index.search([Query(VECTOR, 1)]) == [[Match("a", 1.0)]]
    await index.close()
    refused = made(settings(server, certificates.ca, SecretStr("wrong")))
    with pytest.raises(BadConfiguration, match=r"index\.api_key"):
        await refused.ensure()
    await refused.close()


@pytest.mark.parametrize("authority", ["other", None])
async def test_a_server_nobody_we_trust_signed_is_told_nothing(
    authority: str | None, server: LocalServer, certificates: Certificates
) -> None:
    index = made(settings(server, getattr(certificates, authority) if authority else None))
    with pytest.raises(Unavailable):
        await index.count()
    assert server.asked == []
    await index.close()


async def test_over_rest_it_is_the_same(certificates: Certificates) -> None:
    with answering(certificates) as server:
        server.body = json.dumps({"result": {"exists": True}, "status": "ok", "time": 0}).encode()
        own = IndexSettings(location=server.url, prefer_grpc=False, api_key=KEY, ssl_ca=certificates.ca)
        client = connect(own)
        assert await client.collection_exists("items")
        await client.close()
        index = made(own.model_copy(update={"ssl_ca": certificates.other}))
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await index.ensure()
        await index.close()
        assert server.keys == [KEY.get_secret_value()]


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_an_authority_that_does_not_load_is_named(text: str | None, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadConfiguration, match=r"index\.ssl_ca.*ca\.pem does not load"):
        connect(IndexSettings(location="https://127.0.0.1:1", ssl_ca=file))


def test_doctor_asks_over_tls_and_trusts_the_same(certificates: Certificates) -> None:
    with answering(certificates) as server:
        own = IndexSettings(location=server.url, api_key=KEY, ssl_ca=certificates.ca)
        assert index_answers(Settings(index=own)) == server.url
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            index_answers(Settings(index=own.model_copy(update={"ssl_ca": certificates.other})))
        assert server.keys == [KEY.get_secret_value()]


def test_doctor_takes_the_key_nowhere_else() -> None:
    with answering() as named, answering() as other:
        named.location = other.url
        with pytest.raises(Unavailable, match="302"):
            index_answers(Settings(index=IndexSettings(location=named.url, api_key=KEY)))
        assert (named.keys, other.keys) == ([KEY.get_secret_value()], [])

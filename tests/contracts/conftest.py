"""What several contract suites need."""

from collections.abc import AsyncIterator

import pytest
from harness.qdrant import LocalServer


@pytest.fixture
async def qdrant_server() -> AsyncIterator[LocalServer]:
    server = LocalServer()
    await server.start()
    yield server
    await server.stop()
    await server.store.close()

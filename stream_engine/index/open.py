"""Which index the settings mean."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from stream_engine.index.memory import MemoryIndex
from stream_engine.index.protocol import Store
from stream_engine.index.resilient import ResilientIndex
from stream_engine.settings import IndexSettings


async def open_index(
    settings: IndexSettings,
    *,
    fingerprint: str,
    dimensions: int,
    data_dir: Path,
    clock: Callable[[], float] = time.monotonic,
) -> ResilientIndex:
    """The index at `settings.location`; one that is away is opened when it is back; raises BadConfiguration."""
    name = collection_name(settings.collection, fingerprint)
    index = ResilientIndex(_store(settings, name, dimensions, data_dir), clock)
    await index.ensure()
    return index


def collection_name(collection: str, fingerprint: str) -> str:
    """Where vectors of this encoder live, as a name for a collection or directory."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{collection}-{fingerprint}")


def _store(settings: IndexSettings, name: str, dimensions: int, data_dir: Path) -> Store:
    """Adapters are imported when they are chosen: each loads a large native library."""
    match settings.location:
        case "memory":
            return MemoryIndex(dimensions, exact=False)
        case "edge":
            from stream_engine.index.edge import EdgeIndex  # noqa: PLC0415

            return EdgeIndex(data_dir / "index" / name, dimensions, quantized=settings.quantized)
        case _:
            from stream_engine.index.qdrant import QdrantIndex, connect  # noqa: PLC0415

            return QdrantIndex(connect(settings), settings, name=name, dimensions=dimensions)

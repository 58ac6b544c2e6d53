"""The encoder of a worker: a blocking model in a thread of its own, behind a cache."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, Protocol, TypeVar

import numpy as np

from stream_engine.encoder.cache import VectorCache
from stream_engine.errors import Unavailable
from stream_engine.vectors import Matrix, Vector, unit

PLANNED = 1024  # texts to plan at once: some 20 ms of the thread

P = ParamSpec("P")
T = TypeVar("T")


class TextModel(Protocol):
    """Texts to unit vectors, blocking."""

    @property
    def fingerprint(self) -> str:
        """Names model, revision and precision."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        ...

    def plan(self, texts: Sequence[str]) -> list[list[int]]:
        """The places of texts that are best encoded together; every place once."""
        ...

    def encode(self, texts: Sequence[str]) -> Matrix:
        """Unit rows, shape (len(texts), dimensions)."""
        ...


class BatchingEncoder:
    """An Encoder that computes each text once and never blocks the event loop.

    Its thread gets one run of the model at a time, so that a click's one text need not wait for a whole catalogue.
    """

    def __init__(self, model: TextModel, cache: VectorCache | None = None) -> None:
        self._model = model
        self._cache = cache
        self._closed = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoder")

    @property
    def fingerprint(self) -> str:
        """The model's."""
        return self._model.fingerprint

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        return self._model.dimensions

    async def encode(self, texts: Sequence[str]) -> Matrix:
        """Unit rows, shape (len(texts), dimensions), whatever the batch; raises Unavailable."""
        distinct = list(dict.fromkeys(texts))
        vectors = await self._run(self._cache.get, distinct) if self._cache and distinct else {}
        missing = sorted((text for text in distinct if text not in vectors), key=len)
        for start in range(0, len(missing), PLANNED):
            part = missing[start : start + PLANNED]
            plan = await self._run(self._model.plan, part) if len(part) > 1 else [[0]]
            for places in plan:
                vectors |= await self._run(self._compute, [part[place] for place in places])
        rows = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[:] = vectors[text]
        return unit(rows)

    async def close(self) -> None:
        """Let what is under way end, then free the thread and the cache; idempotent."""
        self._closed = True
        await asyncio.to_thread(self._thread.shutdown)
        if self._cache:
            self._cache.close()

    def _compute(self, texts: list[str]) -> dict[str, Vector]:
        # Rounded as the cache rounds: a vector is the same, fresh or remembered.
        rows = self._model.encode(texts).astype(np.float16).astype(np.float32)
        if self._cache:
            self._cache.put(texts, rows)
        return dict(zip(texts, rows, strict=True))

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._closed:
            raise Unavailable("encoder", "closed")
        future = self._thread.submit(work, *args, **kwargs)
        return await asyncio.wrap_future(future)

"""A circuit breaker around an index: an outage costs a search nothing, and ends by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from stream_engine.errors import StreamEngineError, Unavailable
from stream_engine.index.protocol import Match, Point, Query, Store

T = TypeVar("T")

FIRST_PAUSE = 0.5  # seconds
LONGEST_PAUSE = 15.0  # seconds
OPTIMIZE_EVERY = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Circuit:
    """How often the store failed since it last answered; open (not asked) while `retry_at` is set."""

    failures: int = 0
    retry_at: float | None = None
    reason: str = ""


def opened(circuit: Circuit, reason: str, now: float) -> Circuit:
    """The circuit after one more failure: the pause doubles up to a cap."""
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(circuit.failures, 16))
    return Circuit(circuit.failures + 1, now + pause, reason)


class ResilientIndex:
    """Fails fast after Unavailable, and probes in the background, when next called, once the pause is over."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._circuit = Circuit()
        self._probe: asyncio.Task[None] | None = None
        self._recoveries = 0

    @property
    def available(self) -> bool:
        """Whether the store is asked at all; if not, lists are degraded."""
        return self._circuit.retry_at is None

    @property
    def reason(self) -> str:
        """Why it is not available; empty when it is."""
        return "" if self.available else self._circuit.reason

    @property
    def recoveries(self) -> int:
        """How often the store came back; after a change its owner compares `count()` with what it holds and refills."""
        return self._recoveries

    async def ensure(self) -> None:
        """Open the store; one that is away opens the circuit instead; raises BadConfiguration if refused."""
        if not self.available:
            self._start_probe()
            return
        try:
            await self._store.ensure()
        except Unavailable as failure:
            self._fail(failure)

    async def upsert(self, points: Sequence[Point]) -> None:
        """Store or replace; raises Unavailable, at once while the circuit is open."""
        await self._ask(lambda: self._store.upsert(points))

    async def delete(self, item_ids: Sequence[str]) -> None:
        """Remove; raises Unavailable, at once while the circuit is open."""
        await self._ask(lambda: self._store.delete(item_ids))

    async def search(self, queries: Sequence[Query]) -> Sequence[Sequence[Match]]:
        """One list a query; raises Unavailable, at once while the circuit is open."""
        return await self._ask(lambda: self._store.search(queries))

    async def count(self) -> int:
        """How many items are stored; raises Unavailable, at once while the circuit is open."""
        return await self._ask(self._store.count)

    async def optimize(self) -> None:
        """Have searches made cheap again, if the store is there; whether it still is, a search finds out."""
        if self.available:
            with suppress(Unavailable):
                await self._store.optimize()

    async def keep_optimized(self, every: float = OPTIMIZE_EVERY) -> None:
        """Do so for ever, with so many seconds in between."""
        while True:
            await self.optimize()
            await asyncio.sleep(every)

    async def close(self) -> None:
        """Stop probing and close the store; idempotent."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)
        await self._store.close()

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        if not self.available:
            self._start_probe()
            raise Unavailable("index", self._circuit.reason)
        try:
            answer = await call()
        except Unavailable as failure:
            self._fail(failure)
            raise
        if self._circuit.failures:
            self._circuit = Circuit()
        return answer

    def _fail(self, failure: Unavailable) -> None:
        """Calls that were under way together count as one failure."""
        if self.available:
            self._open(failure)

    def _open(self, failure: StreamEngineError) -> None:
        reason = failure.reason if isinstance(failure, Unavailable) else str(failure)
        self._circuit = opened(self._circuit, reason, self._clock())

    def _start_probe(self) -> None:
        if self._probe is not None:
            if not self._probe.done():
                return
            self._probe.result()  # a bug in the store must surface
        if self._circuit.retry_at is not None and self._clock() >= self._circuit.retry_at:
            self._probe = asyncio.create_task(self._recover(), name="index-probe")

    async def _recover(self) -> None:
        try:
            await self._store.ensure()
            await self._store.count()  # may not take longer than a search: one that is slow would keep clicks waiting
        except StreamEngineError as failure:
            self._open(failure)
        else:
            self._circuit = Circuit(self._circuit.failures)
            self._recoveries += 1

"""The one place that decides what is applied when: in order, gathered, handled ahead, finished or given up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from stream_engine.errors import NewerVersion, Unavailable
from stream_engine.metrics import Metrics
from stream_engine.streaming.attempts import Abandoned, Attempts, Handle, raised
from stream_engine.streaming.chunks import Chunk, Record
from stream_engine.streaming.positions import Partition, Positions
from stream_engine.streaming.publisher import Outgoing, Publisher

Due = Callable[[Sequence[Record]], Awaitable[Mapping[Partition, int]]]

GATHER_AT_MOST = 1_000  # chunks, of a few records each as a rule: a backlog is applied in pieces
LOOK_EVERY = 0.02  # seconds
PIECES = 8  # of a turn: others who write the same table want theirs
HEAD_START = 0.0005  # seconds until a piece has left for the broker, which works on it while we handle the next


@dataclass(frozen=True, slots=True)
class Stage:
    """What is done with the records of one topic: `handle` returns all that is to be published, and sends nothing.

    `forget` drops what it remembers beyond its table, before partitions move; stages of one table share a `turn`. With
    `linger` (seconds) chunks are gathered for so long, and while others are being applied, and handled together, about
    `together` records at a time; with `ahead`, they are handled while those before are on their way to the broker.
    `due` says which other partitions must be done up to where before a chunk is taken; a `patient` stage publishes a
    lot that nobody waits for.
    """

    name: str
    handle: Handle
    forget: Callable[[], None] = lambda: None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    linger: float | None = None
    together: int = 1 << 30
    ahead: bool = False
    due: Due | None = None
    patient: bool = False


@dataclass(frozen=True, slots=True)
class _Sent:
    """A piece on its way to the broker."""

    chunks: Sequence[Chunk]
    arriving: asyncio.Task[None]


class Guard:
    """Applies one topic's chunks: all effects of a chunk reach the broker, then its position moves; or neither."""

    def __init__(
        self,
        stage: Stage,
        *,
        positions: Positions,
        publisher: Publisher,
        dead_letters: str,
        may_write: Callable[[], None],
        metrics: Metrics,
        outdated: Callable[[NewerVersion], NoReturn] = raised,
        max_pause: float = 2.0,
    ) -> None:
        self._stage = stage
        self._positions = positions
        self._metrics = metrics
        self._attempts = Attempts(
            stage.name,
            stage.handle,
            publisher=publisher,
            dead_letters=dead_letters,
            may_write=may_write,
            metrics=metrics,
            outdated=outdated,
            max_pause=max_pause,
        )
        self._gathered: list[Chunk] = []
        self._arrived = asyncio.Event()

    @property
    def holding(self) -> frozenset[str]:
        """The dependencies that are waited for."""
        return self._attempts.holding

    @property
    def lingers(self) -> bool:
        """Whether chunks wait for others, so that somebody must run `linger`."""
        return self._stage.linger is not None

    async def run(self, chunk: Chunk) -> bool:
        """Accept and apply the chunk; False if what comes before it must be handed over again."""
        if self._stage.due is not None:
            await self._wait_until_due(chunk, self._stage.due)
        if not self._positions.accept(chunk.span):
            lost = self._positions.is_behind_a_loss(chunk.span)
            self._metrics.rewinds.inc(lost)
            return not lost
        self._gathered.append(chunk)
        self._arrived.set()
        if not self.lingers or len(self._gathered) >= GATHER_AT_MOST:
            await self.flush()
        return True

    async def _wait_until_due(self, chunk: Chunk, due: Due) -> None:
        """Return when what must be done before is, or the chunk is void; nothing is in hand meanwhile."""
        for pause in self._attempts.pauses():
            try:
                places = await due(chunk.records)
            except Unavailable as away:
                self._attempts.note_away(away, pause)
                await asyncio.sleep(pause)
            else:
                break
            if not self._positions.is_current(chunk.span):
                return
        while self._positions.is_current(chunk.span) and self._behind(places):  # noqa: ASYNC110 - positions tell nobody
            await asyncio.sleep(LOOK_EVERY)

    def _behind(self, places: Mapping[Partition, int]) -> bool:
        """Whether a partition that we own is not done so far."""
        stands = {partition: self._positions.next_of(partition) for partition in places}
        return any(at is not None and at < places[partition] for partition, at in stands.items())

    async def linger(self) -> None:
        """Apply what has arrived `linger` seconds after the first of it, for ever."""
        while True:
            if not self._gathered:
                await self._arrived.wait()
            self._arrived.clear()
            await asyncio.sleep(self._stage.linger or 0.0)
            async with self._stage.turn:
                await self._take_turn()

    async def flush(self) -> None:
        """Apply what is gathered."""
        while self._gathered:
            async with self._stage.turn:
                await self._take_turn()

    async def finish(self) -> None:
        """Return when no chunk is in hand: what is not on its way to the broker yet is given up."""
        self._attempts.give_up()
        self._gathered.clear()
        async with self._stage.turn:
            self._stage.forget()
            self._attempts.go_on()

    async def _take_turn(self) -> None:
        """Apply piece after piece, each handled while the one before is on its way; at the end, all have arrived.

        A piece handled ahead of one that then failed is handled again after it, as if it had been delivered twice.
        """
        sent: _Sent | None = None
        try:
            for _ in range(PIECES if self._stage.ahead else 1):
                await self._wait_for_more(sent)
                if not (chunks := self._taken()):
                    break
                sent = await self._follow(sent, chunks)
            await self._has_arrived(sent)
        finally:
            if sent is not None:
                sent.arriving.cancel()

    async def _wait_for_more(self, sent: _Sent | None) -> None:
        """Return when there is more to handle, or nothing on its way any more."""
        if sent is None:
            return
        if self._gathered:  # else it leaves while we wait
            await asyncio.wait([sent.arriving], timeout=HEAD_START)
        while not (self._gathered or sent.arriving.done()):
            self._arrived.clear()
            arrival = asyncio.ensure_future(self._arrived.wait())
            await asyncio.wait([sent.arriving, arrival], return_when=asyncio.FIRST_COMPLETED)
            arrival.cancel()

    def _taken(self) -> list[Chunk]:
        """The first of what is gathered: whole chunks, until they hold as many records as are handled together."""
        taken, records = 0, 0
        while taken < len(self._gathered) and (not taken or records < self._stage.together):
            records += len(self._gathered[taken].records)
            taken += 1
        chunks, self._gathered = self._gathered[:taken], self._gathered[taken:]
        return [chunk for chunk in chunks if self._positions.is_current(chunk.span)]

    async def _follow(self, sent: _Sent | None, chunks: Sequence[Chunk]) -> _Sent | None:
        """Handle a piece and send it once the one before has arrived; where either fails, that one first, then this."""
        began = time.perf_counter()
        try:
            effects = await self._attempts.handled(_records(chunks))
        except Exception as failure:  # noqa: BLE001 - whatever it is, it has its turn
            await self._has_arrived(sent)
            await self._insist(chunks, failure)
            return None
        if not await self._has_arrived(sent):
            await self._insist(chunks)
            return None
        return _Sent(chunks, asyncio.ensure_future(self._send(chunks, effects, began)))

    async def _send(self, chunks: Sequence[Chunk], effects: Sequence[Outgoing], began: float) -> None:
        await self._attempts.publish(effects)
        self._done(chunks, began)

    async def _has_arrived(self, sent: _Sent | None) -> bool:
        """Return when the piece has arrived; False if it took more than one attempt."""
        if sent is None:
            return True
        try:
            await sent.arriving
        except Exception as failure:  # noqa: BLE001 - as above
            await self._insist(sent.chunks, failure)
            return False
        return True

    async def _insist(self, chunks: Sequence[Chunk], failure: Exception | None = None) -> None:
        """Apply a piece, however often it has to be tried after this failure."""
        began = time.perf_counter()
        try:
            await self._attempts.apply(_records(chunks), failure)
        except Abandoned:
            for chunk in chunks:
                self._positions.give_up(chunk.span)
            return
        self._done(chunks, began)

    def _done(self, chunks: Sequence[Chunk], began: float) -> None:
        """Move on, and say how long it took."""
        for chunk in chunks:
            self._positions.done(chunk.span)
        records = sum(len(chunk.records) for chunk in chunks)
        self._metrics.records.labels(self._stage.name).inc(records)
        self._metrics.chunk_records.labels(self._stage.name).observe(records)
        self._metrics.chunk_seconds.labels(self._stage.name).observe(time.perf_counter() - began)
        for chunk in chunks:
            waited = time.time() - chunk.records[0].timestamp / 1000
            self._metrics.latency.labels(self._stage.name).observe(max(0.0, waited))


def _records(chunks: Sequence[Chunk]) -> list[Record]:
    return [record for chunk in chunks for record in chunk.records]

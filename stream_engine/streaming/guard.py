"""The one place that handles failure: refuse the event, hold for a dependency, isolate our own bug."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

from stream_engine.codec import dead_letter_headers
from stream_engine.codec.dead_letters import NAMES as HEADERS
from stream_engine.errors import NewerVersion, StreamEngineError, Unavailable
from stream_engine.events import DeadLetter
from stream_engine.metrics import Metrics
from stream_engine.streaming.chunks import Chunk, Record, source_of
from stream_engine.streaming.positions import Partition, Positions
from stream_engine.streaming.publisher import Outgoing, Publisher, Refused

log = logging.getLogger(__name__)
Handle = Callable[[Sequence[Record]], Awaitable[list[Outgoing]]]
Due = Callable[[Sequence[Record]], Awaitable[Mapping[Partition, int]]]

GATHER_AT_MOST = 200  # chunks: a backlog is applied in pieces
LOOK_EVERY = 0.02  # seconds
CLIPPED = 1_000  # bytes that are kept of a record too large for the dead letters


class Abandoned(StreamEngineError):
    """The chunk in hand was given up for a rebalance or a stop; its records will be read again."""


def raised(error: NewerVersion) -> NoReturn:
    """What to do about a later version where nobody says: let whoever runs the guard see it."""
    raise error


@dataclass(frozen=True, slots=True)
class Stage:
    """What is done with the records of one topic: `handle` returns all that is to be published, and sends nothing.

    `forget` drops what it remembers beyond its table, before partitions move; stages of one table share a `turn`. With
    `linger` (seconds) chunks are gathered for so long, and while others are being applied, and handled together, about
    `together` records at a time. `due` says which other partitions must be done up to where before a chunk is taken.
    """

    name: str
    handle: Handle
    forget: Callable[[], None] = lambda: None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    linger: float | None = None
    together: int = 1 << 30
    due: Due | None = None


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
        self._publisher = publisher
        self._dead_letters = dead_letters
        self._may_write = may_write
        self._metrics = metrics
        self._outdated = outdated
        self._max_pause = max_pause
        self._give_up = asyncio.Event()
        self._gathered: list[Chunk] = []
        self._arrived = asyncio.Event()
        self._handling: asyncio.Future[list[Outgoing]] | None = None
        self.holding: frozenset[str] = frozenset()

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
        for pause in _pauses(self._max_pause):
            try:
                places = await due(chunk.records)
            except Unavailable as away:
                log.warning("hold", extra={"dependency": away.dependency, "reason": away.reason, "pause": pause})
                self.holding |= {away.dependency}
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

    @property
    def lingers(self) -> bool:
        """Whether chunks wait for others, so that somebody must run `linger`."""
        return self._stage.linger is not None

    async def flush(self) -> None:
        """Apply what is gathered."""
        while self._gathered:
            async with self._stage.turn:
                await self._flush(self._taken())

    async def linger(self) -> None:
        """Flush what has arrived `linger` seconds after the first of it, for ever."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await asyncio.sleep(self._stage.linger or 0.0)
            await self.flush()

    def _taken(self) -> list[Chunk]:
        """The first of what is gathered: whole chunks, until they hold as many records as are handled together."""
        taken, records = 0, 0
        while taken < len(self._gathered) and (not taken or records < self._stage.together):
            records += len(self._gathered[taken].records)
            taken += 1
        chunks, self._gathered = self._gathered[:taken], self._gathered[taken:]
        return [chunk for chunk in chunks if self._positions.is_current(chunk.span)]

    async def _flush(self, chunks: Sequence[Chunk]) -> None:
        if not chunks:
            return
        began = time.perf_counter()
        try:
            await self._apply([record for chunk in chunks for record in chunk.records])
        except Abandoned:
            for chunk in chunks:
                self._positions.give_up(chunk.span)
            return
        for chunk in chunks:
            self._positions.done(chunk.span)
        self._measure(chunks, time.perf_counter() - began)

    async def finish(self) -> None:
        """Return when no chunk is in hand: what is not on its way to the broker yet is given up."""
        self._give_up.set()
        self._gathered.clear()
        if self._handling is not None:
            self._handling.cancel()
        async with self._stage.turn:
            self._stage.forget()
            self._give_up.clear()

    def _measure(self, chunks: Sequence[Chunk], seconds: float) -> None:
        records = sum(len(chunk.records) for chunk in chunks)
        self._metrics.records.labels(self._stage.name).inc(records)
        self._metrics.chunk_records.labels(self._stage.name).observe(records)
        self._metrics.chunk_seconds.labels(self._stage.name).observe(seconds)
        for chunk in chunks:
            waited = time.time() - chunk.records[0].timestamp / 1000
            self._metrics.latency.labels(self._stage.name).observe(max(0.0, waited))

    async def _apply(self, records: Sequence[Record]) -> None:
        """A chunk that fails is applied record by record; the record that still fails is refused."""
        try:
            await self._carry_out(records, self._stage.handle)
        except Abandoned:
            raise
        except NewerVersion as newer:  # another worker can read it: it is no fault of the record
            self._outdated(newer.on(records[0].topic))
        except Exception as error:  # noqa: BLE001 - whatever it is, the stream goes on
            if len(records) == 1:
                await self._refuse(records[0], error)
                return
            for record in records:
                await self._apply([record])

    async def _carry_out(self, records: Sequence[Record], handle: Handle) -> None:
        """Handle and publish, as often as it takes while a dependency is away."""
        for pause in _pauses(self._max_pause):
            try:
                effects = await self._handled(records, handle)
                self._may_write()
                await self._publisher.publish(effects)
            except Unavailable as away:
                await self._hold(away, pause)
            else:
                self._count(effects)
                self.holding = frozenset()
                return

    async def _refuse(self, record: Record, error: Exception) -> None:
        log.error("failure", exc_info=error, extra={"source": source_of(record)})
        self._metrics.failures.labels(type(error).__name__).inc()
        letter = dead_letter(record, error, topic=self._dead_letters, stage=self._stage.name)
        for smaller in (letter, letter._replace(timestamp_ms=None), _clipped(letter)):
            with suppress(Refused):  # its time, or its size
                return await self._carry_out([record], _always(smaller))
        raise Refused(self._dead_letters)

    async def _handled(self, records: Sequence[Record], handle: Handle) -> list[Outgoing]:
        if self._give_up.is_set():
            raise Abandoned(self._stage.name)
        self._handling = asyncio.ensure_future(handle(records))
        try:
            return await self._handling
        except asyncio.CancelledError:
            if self._give_up.is_set():
                raise Abandoned(self._stage.name) from None
            raise
        finally:
            self._handling = None

    async def _hold(self, away: Unavailable, pause: float) -> None:
        log.warning("hold", extra={"dependency": away.dependency, "reason": away.reason, "pause": pause})
        self.holding |= {away.dependency}
        self._metrics.holds.labels(away.dependency).inc()
        try:
            async with asyncio.timeout(pause):
                await self._give_up.wait()
        except TimeoutError:
            return
        raise Abandoned(away.dependency)

    def _count(self, effects: Sequence[Outgoing]) -> None:
        for topic, count in Counter(effect.topic for effect in effects).items():
            self._metrics.published.labels(topic).inc(count)
            if topic == self._dead_letters:
                self._metrics.dead_letters.labels(self._stage.name).inc(count)


def dead_letter(record: Record, error: Exception, *, topic: str, stage: str) -> Outgoing:
    """The record as received, with headers that say where and why it was refused."""
    message = str(error) if isinstance(error, StreamEngineError) else "".join(traceback.format_exception(error))[-900:]
    headers = tuple(record.headers or ())
    letter = DeadLetter(record.key, record.value, headers, source_of(record), stage, type(error).__name__, message)
    return Outgoing(topic, record.key, record.value, dead_letter_headers(letter), None, record.timestamp)


def _clipped(letter: Outgoing) -> Outgoing:
    """A letter the broker takes for certain: the beginning of what was received, and our own headers."""
    key, value = letter.key and letter.key[:CLIPPED], letter.value and letter.value[:CLIPPED]
    return letter._replace(key=key, value=value, headers=letter.headers[-len(HEADERS) :], timestamp_ms=None)


def _always(letter: Outgoing) -> Handle:
    async def handle(_: Sequence[Record]) -> list[Outgoing]:
        return [letter]

    return handle


def _pauses(longest: float) -> Iterator[float]:
    pause = 0.05
    while True:
        yield pause
        pause = min(2 * pause, longest)

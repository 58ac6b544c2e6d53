"""What happens to records that are applied: refuse the event, hold for a dependency, isolate our own bug."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import NoReturn

from stream_engine.errors import NewerVersion, StreamEngineError, Unavailable
from stream_engine.metrics import Metrics
from stream_engine.streaming.chunks import Record, source_of
from stream_engine.streaming.letters import clipped, dead_letter
from stream_engine.streaming.publisher import Outgoing, Publisher, Refused

log = logging.getLogger(__name__)
Handle = Callable[[Sequence[Record]], Awaitable[list[Outgoing]]]


class Abandoned(StreamEngineError):
    """What was in hand was given up for a rebalance or a stop; its records will be read again."""


def raised(error: NewerVersion) -> NoReturn:
    """What to do about a later version where nobody says: let whoever runs the guard see it."""
    raise error


class Attempts:
    """Handles records of one topic and publishes what comes of it, as often as it takes.

    Between `give_up` and `go_on` whatever is tried or waits for another attempt ends with Abandoned.
    """

    def __init__(
        self,
        name: str,
        handle: Handle,
        *,
        publisher: Publisher,
        dead_letters: str,
        may_write: Callable[[], None],
        metrics: Metrics,
        outdated: Callable[[NewerVersion], NoReturn],
        max_pause: float,
    ) -> None:
        self._name = name
        self._handle = handle
        self._publisher = publisher
        self._dead_letters = dead_letters
        self._may_write = may_write
        self._metrics = metrics
        self._outdated = outdated
        self._max_pause = max_pause
        self._given_up = asyncio.Event()
        self._handling: asyncio.Future[list[Outgoing]] | None = None
        self.holding: frozenset[str] = frozenset()

    def give_up(self) -> None:
        """Handle nothing more; what is on its way to the broker goes on."""
        self._given_up.set()
        if self._handling is not None:
            self._handling.cancel()

    def go_on(self) -> None:
        """The next records may come."""
        self._given_up.clear()

    def pauses(self) -> Iterator[float]:
        """Seconds to wait after each attempt that failed."""
        pause = 0.05
        while True:
            yield pause
            pause = min(2 * pause, self._max_pause)

    def note_away(self, away: Unavailable, pause: float) -> None:
        """Say what is waited for."""
        log.warning("hold", extra={"dependency": away.dependency, "reason": away.reason, "pause": pause})
        self.holding |= {away.dependency}

    async def handled(self, records: Sequence[Record]) -> list[Outgoing]:
        """What is to be published: one attempt; raises Abandoned, or what the handler does."""
        return await self._handled(records, self._handle)

    async def publish(self, effects: Sequence[Outgoing]) -> None:
        """One attempt; raises Unavailable or Refused."""
        self._may_write()
        await self._publisher.publish(effects)
        self._count(effects)
        self.holding = frozenset()

    async def apply(self, records: Sequence[Record], failure: Exception | None = None) -> None:
        """Handle and publish, after a first attempt that may have come to a failure; raises Abandoned.

        What fails is applied record by record; the record that still fails is refused.
        """
        try:
            await self._carry_out(records, self._handle, failure)
        except Abandoned:
            raise
        except NewerVersion as newer:  # another worker can read it: it is no fault of the record
            self._outdated(newer.on(records[0].topic))
        except Exception as error:  # noqa: BLE001 - whatever it is, the stream goes on
            if len(records) == 1:
                await self._refuse(records[0], error)
                return
            for record in records:
                await self.apply([record])

    async def _carry_out(self, records: Sequence[Record], handle: Handle, failure: Exception | None = None) -> None:
        """Handle and publish, again and again while a dependency is away."""
        for pause in self.pauses():
            try:
                if failure is not None:
                    raise failure
                await self.publish(await self._handled(records, handle))
            except Unavailable as away:
                failure = None
                await self._hold(away, pause)
            else:
                return

    async def _handled(self, records: Sequence[Record], handle: Handle) -> list[Outgoing]:
        if self._given_up.is_set():
            raise Abandoned(self._name)
        self._handling = asyncio.ensure_future(handle(records))
        try:
            return await self._handling
        except asyncio.CancelledError:
            if self._given_up.is_set():
                raise Abandoned(self._name) from None
            raise
        finally:
            self._handling = None

    async def _hold(self, away: Unavailable, pause: float) -> None:
        self.note_away(away, pause)
        self._metrics.holds.labels(away.dependency).inc()
        try:
            async with asyncio.timeout(pause):
                await self._given_up.wait()
        except TimeoutError:
            return
        raise Abandoned(away.dependency)

    async def _refuse(self, record: Record, error: Exception) -> None:
        log.error("failure", exc_info=error, extra={"source": source_of(record)})
        self._metrics.failures.labels(type(error).__name__).inc()
        letter = dead_letter(record, error, topic=self._dead_letters, stage=self._name)
        for smaller in (letter, letter._replace(timestamp_ms=None), clipped(letter)):
            with suppress(Refused):  # its time, or its size
                return await self._carry_out([record], _always(smaller))
        raise Refused(self._dead_letters)

    def _count(self, effects: Sequence[Outgoing]) -> None:
        for topic, count in Counter(effect.topic for effect in effects).items():
            self._metrics.published.labels(topic).inc(count)
            if topic == self._dead_letters:
                self._metrics.dead_letters.labels(self._name).inc(count)


def _always(letter: Outgoing) -> Handle:
    async def handle(_: Sequence[Record]) -> list[Outgoing]:
        return [letter]

    return handle

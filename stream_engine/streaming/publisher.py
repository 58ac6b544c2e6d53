"""Records on their way to the broker: published together, every one acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    BrokerResponseError,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from stream_engine.errors import StreamEngineError, Unavailable
from stream_engine.settings import KafkaSettings
from stream_engine.streaming.clients import client_options

DEAD_LETTER_SLACK = 100_000  # bytes a record may grow by the headers that say why it was refused


REFUSALS = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidTimestampError)


class Refused(StreamEngineError):
    """The broker will never take one of these records, however often it is asked."""


class Outgoing(NamedTuple):
    """A record to publish; without a partition its key decides, as in every Java client."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None
    timestamp_ms: int | None = None


class Publisher(Protocol):
    """Where records go."""

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Return once the broker has all of them, in order per partition; raises Unavailable or Refused.

        Nothing is on its way any more when it raises.
        """
        ...


class FakePublisher:
    """Keeps what it was given; fails as often as told."""

    def __init__(self, failures: int = 0) -> None:
        self.published: list[Outgoing] = []
        self.failures = failures

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Keep the records, or fail."""
        if self.failures > 0:
            self.failures -= 1
            raise Unavailable("broker", "told to fail")
        self.published.extend(records)


class KafkaPublisher:
    """One idempotent producer, which tries for as long as it takes."""

    def __init__(self, settings: KafkaSettings, *, timeout: float) -> None:
        self._settings = settings
        self._timeout = timeout
        self._producer = self._make()
        self._renewing = asyncio.Lock()
        self.on_written: Callable[[str, int, int], None] = lambda *_: None  # told topic, partition and offset

    def _make(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **client_options(self._settings),
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            request_timeout_ms=int(self._timeout * 1000),
            max_request_size=self._settings.max_record_bytes + DEAD_LETTER_SLACK,
            compression_type=None,
        )

    async def start(self) -> None:
        """Connect; raises Unavailable."""
        try:
            await self._producer.start()
        except KafkaError as error:
            raise Unavailable("broker", repr(error)) from error

    async def stop(self) -> None:
        """Flush and disconnect."""
        await self._producer.stop()

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Send all, then wait for all."""
        producer, sent, failure = self._producer, [], None
        try:
            for record in records:
                sent.append(await _send(producer, record))  # noqa: PERF401 - kept when a later one fails
        except KafkaError as error:
            failure = error
        for result in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(result, BaseException):
                failure = failure or result
            else:
                self.on_written(result.topic, result.partition, result.offset)
        if failure is not None:
            await self._failed(producer, failure)

    async def _failed(self, producer: AIOKafkaProducer, failure: BaseException) -> NoReturn:
        if not isinstance(failure, KafkaError):
            raise failure
        if isinstance(failure, BrokerResponseError) and not failure.retriable:
            with suppress(KafkaError):
                await self._renew(producer)
        if isinstance(failure, REFUSALS):
            raise Refused(repr(failure)) from failure
        raise Unavailable("broker", repr(failure)) from failure

    async def _renew(self, broken: AIOKafkaProducer) -> None:
        """An idempotent producer that had one batch refused has all that follow refused, as out of order."""
        async with self._renewing:
            if self._producer is broken:
                fresh = self._make()
                await fresh.start()
                self._producer = fresh
                await broken.stop()


def _send(producer: AIOKafkaProducer, record: Outgoing) -> Awaitable[asyncio.Future[Any]]:
    sending: Awaitable[asyncio.Future[Any]] = producer.send(
        record.topic,
        record.value,
        key=record.key,
        partition=record.partition,
        timestamp_ms=record.timestamp_ms,
        headers=list(record.headers),
    )
    return sending

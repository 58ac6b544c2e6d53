"""Records on their way to the broker: published together, every one acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple, NoReturn, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    BrokerResponseError,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)
from aiokafka.producer.message_accumulator import BatchBuilder

from stream_engine.errors import StreamEngineError, Unavailable
from stream_engine.giving_way import give_way
from stream_engine.settings import KafkaSettings
from stream_engine.streaming.clients import client_options
from stream_engine.streaming.partitioning import partition_of

BATCH = 128 * 1024  # bytes: brokers hold a batch to the bound of a record
SOON = 0.005  # seconds that are given way at most: there are not many pieces
MANY = 100  # records after which clicks have their turn: a fraction of a millisecond
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
        self._largest = settings.max_record_bytes + DEAD_LETTER_SLACK
        self._producer = self._make()
        self._renewing = asyncio.Lock()
        self.on_written: Callable[[str, int, int, int], None] = lambda *_: None  # topic, partition, offset, how many

    def _make(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **client_options(self._settings),
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            request_timeout_ms=int(self._timeout * 1000),
            max_request_size=self._largest,
            max_batch_size=BATCH,
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
        """Send all, a batch for each partition, then wait for all."""
        fitting = [record for record in records if _size(record) <= self._largest]
        producer, sent = self._producer, []
        failure = None if len(fitting) == len(records) else _too_large(records, self._largest)
        try:
            places = await _by_place(producer, fitting)
            for (topic, partition), group in places.items():
                for batch in await _batches(producer, group):
                    sending = await producer.send_batch(batch, topic, partition=partition)
                    sent.append((sending, batch.record_count()))
        except KafkaError as error:
            failure = error
        results = await asyncio.gather(*(sending for sending, _ in sent), return_exceptions=True)
        for result, (_, count) in zip(results, sent, strict=True):
            if isinstance(result, BaseException):
                failure = failure or result
                continue
            self.on_written(result.topic, result.partition, result.offset, count)
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


async def _by_place(producer: AIOKafkaProducer, records: Iterable[Outgoing]) -> dict[tuple[str, int], list[Outgoing]]:
    """The records of each topic and partition, in order."""
    places: dict[tuple[str, int], list[Outgoing]] = {}
    sizes: dict[str, int] = {}
    for number, record in enumerate(records, start=1):
        if number % (10 * MANY) == 0:
            await give_way(SOON)
        partition = record.partition
        if partition is None:
            if record.topic not in sizes:
                sizes[record.topic] = len(await producer.partitions_for(record.topic))
            partition = partition_of(record.key if record.key is not None else record.value or b"", sizes[record.topic])
        places.setdefault((record.topic, partition), []).append(record)
    return places


async def _batches(producer: AIOKafkaProducer, records: Iterable[Outgoing]) -> list[BatchBuilder]:
    """As few as hold them all; one too large for any has a batch to itself."""
    batches = [producer.create_batch()]
    for number, record in enumerate(records, start=1):
        if number % MANY == 0:
            await give_way(SOON)
        if not _append(batches[-1], record):
            batches.append(producer.create_batch())
            _append(batches[-1], record)
    return batches


def _append(batch: BatchBuilder, record: Outgoing) -> bool:
    """Add the record if there is room."""
    headers, timestamp = list(record.headers), record.timestamp_ms
    return batch.append(key=record.key, value=record.value, timestamp=timestamp, headers=headers) is not None


def _too_large(records: Iterable[Outgoing], limit: int) -> KafkaError:
    """What to say where there are records too large for any request."""
    return MessageSizeTooLargeError(f"a record of {max(map(_size, records))} bytes, {limit} at most")


def _size(record: Outgoing) -> int:
    return len(record.key or b"") + len(record.value or b"")

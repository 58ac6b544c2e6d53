"""Records on their way to the broker: published together, every one acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from stream_engine.errors import Unavailable
from stream_engine.settings import KafkaSettings
from stream_engine.streaming.clients import client_options

DEAD_LETTER_SLACK = 100_000  # bytes a record may grow by the headers that say why it was refused


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
        """Return once the broker has all of them, in order per partition; raises Unavailable."""
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
    """One idempotent producer; a record that is not delivered within `timeout` seconds is given up."""

    def __init__(self, settings: KafkaSettings, *, timeout: float) -> None:
        self._producer = AIOKafkaProducer(
            **client_options(settings),
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            request_timeout_ms=int(timeout * 1000),
            max_request_size=settings.max_record_bytes + DEAD_LETTER_SLACK,
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
        try:
            sent = [
                await self._producer.send(
                    record.topic,
                    record.value,
                    key=record.key,
                    partition=record.partition,
                    timestamp_ms=record.timestamp_ms,
                    headers=record.headers,
                )
                for record in records
            ]
            await asyncio.gather(*sent)
        except KafkaError as error:
            raise Unavailable("broker", repr(error)) from error

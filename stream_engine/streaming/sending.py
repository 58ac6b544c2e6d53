"""Records sent from outside, synchronously: for the command line and the demo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaError

from stream_engine.errors import Unavailable
from stream_engine.settings import KafkaSettings
from stream_engine.streaming.clients import client_options
from stream_engine.streaming.reachable import require_reachable

KEPT = 10  # failures that are told one by one


class Outgoing(NamedTuple):
    """One record to send; a None value deletes its key."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Sender:
    """Sends without waiting, and keeps count of what did not arrive."""

    def __init__(self, producer: KafkaProducer) -> None:
        self._producer = producer
        self.sent = 0
        self.failed = 0
        self.failures: list[str] = []

    def send(self, topic: str, record: Outgoing, *, name: str = "") -> None:
        """Hand one record over; a failure is counted under `name`, and told at the end."""
        try:
            future = self._producer.send(topic, key=record.key, value=record.value, headers=list(record.headers))
        except (KafkaError, ValueError) as error:
            self._fail(name, error)
            return
        self.sent += 1
        future.add_errback(lambda error: self._fail(name, error))

    def flush(self) -> None:
        """Return when everything sent has arrived or failed."""
        self._producer.flush()

    def _fail(self, name: str, error: object) -> None:
        self.failed += 1
        if len(self.failures) < KEPT:
            self.failures.append(f"{name}: {error!r}")


@contextmanager
def sender(kafka: KafkaSettings, *, linger_ms: int = 5) -> Iterator[Sender]:
    """A sender with Kafka's own partitioner (murmur2) and full acknowledgement; flushed at the end."""
    require_reachable(kafka)
    try:
        producer = KafkaProducer(linger_ms=linger_ms, bootstrap_timeout_ms=10_000, **client_options(kafka))
    except KafkaError as error:
        raise Unavailable("kafka.broker", f"{kafka.broker}: {error!r}") from error
    try:
        yield Sender(producer)
        producer.flush()
    except KafkaError as error:
        raise Unavailable("kafka.broker", f"{kafka.broker}: {error!r}") from error
    finally:
        producer.close()

"""Topics read from outside any group, synchronously: for the command line and the demo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError

from stream_engine.errors import BadConfiguration, Unavailable
from stream_engine.settings import KafkaSettings
from stream_engine.streaming.clients import client_options
from stream_engine.streaming.reachable import require_reachable

POLL_MS = 250


@contextmanager
def reader(kafka: KafkaSettings, topic: str) -> Iterator[KafkaConsumer]:
    """A consumer of all partitions of `topic`, where it begins; any failure of the broker inside is Unavailable."""
    require_reachable(kafka)
    options = client_options(kafka) | {"enable_auto_commit": False, "allow_auto_create_topics": False}
    try:
        with closing(KafkaConsumer(group_id=None, bootstrap_timeout_ms=10_000, **options)) as consumer:
            partitions = consumer.partitions_for_topic(topic)
            if not partitions:
                raise BadConfiguration(
                    "topics",
                    f"topic {topic!r} does not exist on {kafka.broker}; `stream-engine topics create` makes it",
                )
            consumer.assign([TopicPartition(topic, partition) for partition in sorted(partitions)])
            consumer.seek_to_beginning()
            yield consumer
    except KafkaError as error:
        raise Unavailable("kafka.broker", f"{kafka.broker}: {error!r}") from error


def snapshot(kafka: KafkaSettings, topic: str) -> Iterator[ConsumerRecord]:
    """Every record that is on `topic` now, each partition in order."""
    with reader(kafka, topic) as consumer:
        ends = consumer.end_offsets(list(consumer.assignment()))
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            for partition, records in consumer.poll(timeout_ms=POLL_MS).items():
                yield from (record for record in records if record.offset < ends[partition])


def follow(kafka: KafkaSettings, topic: str, *, from_beginning: bool = False) -> Iterator[ConsumerRecord | None]:
    """Records as they arrive, for ever; None first, when none can be missed any more, and whenever none came."""
    with reader(kafka, topic) as consumer:
        if not from_beginning:
            consumer.seek_to_end()
        for partition in consumer.assignment():
            consumer.position(partition)  # settles where we are
        yield None
        while True:
            polled = consumer.poll(timeout_ms=POLL_MS)
            if not polled:
                yield None
            for records in polled.values():
                yield from records

"""The publisher on a real broker: what it refuses is told apart from what is away, and what follows goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from kafka.partitioner.default import murmur2

from stream_engine.errors import Unavailable
from stream_engine.settings import KafkaSettings, Settings
from stream_engine.streaming.partitioning import partition_of
from stream_engine.streaming.publisher import KafkaPublisher, Outgoing, Refused
from stream_engine.streaming.reading import snapshot

pytestmark = pytest.mark.integration


@pytest.fixture
async def publisher(live_settings: Settings) -> AsyncIterator[KafkaPublisher]:
    made = KafkaPublisher(live_settings.kafka, timeout=30.0)
    await made.start()
    yield made
    await made.stop()


def values(settings: Settings, topic: str) -> list[bytes]:
    return [record.value for record in snapshot(settings.kafka, topic)]


async def test_what_the_broker_refuses_does_not_block_what_follows(
    publisher: KafkaPublisher, live_settings: Settings, prefix: str, create_topics: Callable[..., None]
) -> None:
    create_topics(prefix, partitions=1, configs={"max.message.bytes": "2000"})
    for round_number in range(3):
        small = f"small {round_number}".encode()
        await publisher.publish([Outgoing(prefix, None, small)])
        with pytest.raises(Refused):
            await publisher.publish([Outgoing(prefix, None, b"x" * 5_000)])
    await publisher.publish([Outgoing(prefix, None, b"last")])
    assert values(live_settings, prefix) == [b"small 0", b"small 1", b"small 2", b"last"]


async def test_what_the_client_refuses_keeps_the_others_of_its_chunk_in_order(
    publisher: KafkaPublisher, live_settings: Settings, prefix: str, create_topics: Callable[..., None]
) -> None:
    create_topics(prefix, partitions=1)
    with pytest.raises(Refused):
        await publisher.publish([Outgoing(prefix, None, b"a"), Outgoing(prefix, None, b"x" * 2_000_000)])
    await publisher.publish([Outgoing(prefix, None, b"b")])
    assert values(live_settings, prefix) == [b"a", b"b"]


async def test_keys_headers_times_and_partitions_arrive_as_given(
    publisher: KafkaPublisher, live_settings: Settings, prefix: str, create_topics: Callable[..., None]
) -> None:
    create_topics(prefix, partitions=4)
    await publisher.publish(
        [
            Outgoing(prefix, b"\xff", None, (("h", b"\x00"), ("h", b"")), 3, 1_234_567),
            *(Outgoing(prefix, f"key-{number}".encode(), b"") for number in range(20)),
        ]
    )
    first, *others = sorted(snapshot(live_settings.kafka, prefix), key=lambda record: record.timestamp)
    assert (first.key, first.value, list(first.headers)) == (b"\xff", None, [("h", b"\x00"), ("h", b"")])
    assert (first.partition, first.timestamp) == (3, 1_234_567)
    assert len(others) == 20
    for record in others:
        assert record.partition == partition_of(record.key, 4)
        assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % 4


async def test_nobody_there_is_unavailable(prefix: str) -> None:
    publisher = KafkaPublisher(KafkaSettings(broker="127.0.0.1:1", group=prefix), timeout=1.0)
    with pytest.raises(Unavailable):
        await publisher.start()
    await publisher.stop()

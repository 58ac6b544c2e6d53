"""What topics held before, on a real broker: also where the end of a log is not a record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaAdminClient, TopicPartition

from stream_engine.settings import Settings
from stream_engine.streaming.past import KafkaPast

pytestmark = pytest.mark.integration


@pytest.fixture
async def past(live_settings: Settings) -> AsyncIterator[KafkaPast]:
    made = KafkaPast(live_settings.kafka)
    await made.start()
    yield made
    await made.stop()


async def test_the_mark_of_a_transaction_is_no_record(
    past: KafkaPast, live_settings: Settings, prefix: str, create_topics: Callable[..., None]
) -> None:
    create_topics(prefix, partitions=1)
    assert await past.end(prefix, 0) == 0
    broker = live_settings.kafka.broker
    async with AIOKafkaProducer(bootstrap_servers=broker, transactional_id=prefix) as producer, producer.transaction():
        for value in (b"a", b"b"):
            await producer.send(prefix, value, partition=0, timestamp_ms=1_000)
    assert await past.end(prefix, 0) == 2  # and a mark at 2
    assert [each.value for each in await past.read(prefix, 0, 0, 3)] == [b"a", b"b"]
    assert await past.place(prefix, 0, 1_000) == 0


async def test_what_retention_took_is_not_waited_for(
    past: KafkaPast, live_settings: Settings, prefix: str, create_topics: Callable[..., None]
) -> None:
    create_topics(prefix, partitions=1)
    broker = live_settings.kafka.broker
    async with AIOKafkaProducer(bootstrap_servers=broker) as producer:
        await producer.send_and_wait(prefix, b"a", partition=0)
    admin = KafkaAdminClient(bootstrap_servers=broker)
    admin.delete_records({TopicPartition(prefix, 0): 1})
    admin.close()
    assert await past.end(prefix, 0) == 0

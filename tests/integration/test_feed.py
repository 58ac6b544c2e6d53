"""The feed of the item view on a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
from aiokafka import AIOKafkaProducer

from stream_engine.giving_way import Spare
from stream_engine.settings import Settings
from stream_engine.streaming.feed import Apply, Feed, Subscription

pytestmark = pytest.mark.integration


async def test_one_topic_after_the_other_is_caught_up_with_and_then_all_are_followed(
    live_settings: Settings, prefix: str, create_topics: Callable[..., None]
) -> None:
    topics = [f"{prefix}.{name}" for name in ("last", "first", "empty")]
    create_topics(*topics, partitions=4)
    seen: list[tuple[str, bytes]] = []

    def noting(topic: str) -> Apply:
        return lambda key, _: seen.append((topic, key))

    order = [topics[1], topics[2], topics[0]]
    feed = Feed(
        live_settings.kafka, [Subscription(topic, noting(topic)) for topic in order], after=lambda: None, spare=Spare()
    )
    async with AIOKafkaProducer(bootstrap_servers=live_settings.kafka.broker) as producer, asyncio.timeout(60):
        for number in range(200):
            for topic in (topics[0], topics[1]):
                await producer.send(topic, b"", key=b"%d" % number)
        await producer.flush()
        running = asyncio.ensure_future(feed.run())
        await feed.caught_up.wait()
        assert [topic for topic, _ in seen] == 200 * [topics[1]] + 200 * [topics[0]]
        for topic in topics:
            await producer.send_and_wait(topic, b"", key=b"later")
        while len(seen) < 403:  # noqa: ASYNC110 - the feed tells nobody
            await asyncio.sleep(0.02)
        assert set(seen[400:]) == {(topic, b"later") for topic in topics}
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

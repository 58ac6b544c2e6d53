"""The limit: our stages in a plain aiokafka loop. No Faust, no guard, no lease; a crash or rebalance loses clicks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer
from threadpoolctl import threadpool_limits

from stream_engine.settings import Settings, load
from stream_engine.streaming.clients import client_options
from stream_engine.streaming.parts import Parts, make_stages, open_parts
from stream_engine.streaming.stages import FakeTable
from stream_engine.streaming.topics import ITEMS_TABLE, USERS_TABLE, changelog_topic, interactions_topic


async def main(settings: Settings) -> None:
    """Open what a worker opens, then fetch, handle, publish, commit."""
    threadpool_limits(1, user_api="blas")
    settings.stream.data_dir.mkdir(parents=True, exist_ok=True)
    parts = await open_parts(settings, may_write=lambda: None)
    feeding = asyncio.create_task(parts.feed.run())
    await parts.feed.caught_up.wait()
    await parts.index.optimize()
    exploring = asyncio.create_task(parts.explorer.run())
    await _consume(settings, parts)
    for task in (feeding, exploring):
        task.cancel()


async def _consume(settings: Settings, parts: Parts) -> None:
    group, clicks = settings.kafka.group, settings.topics.clicks
    users, items = (FakeTable(changelog_topic(group, name)) for name in (USERS_TABLE, ITEMS_TABLE))
    stages = make_stages(settings, parts, users=users, items=items, moved=lambda _topic, _count: None)
    interactions = stages[interactions_topic(group)]
    gathered: list[Any] = []
    flushed = time.monotonic()
    consumer = AIOKafkaConsumer(
        clicks,
        interactions_topic(group),
        **client_options(settings.kafka),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=4 * settings.stream.chunk,
    )
    await consumer.start()
    while True:
        for partition, records in (await consumer.getmany(timeout_ms=100)).items():
            if partition.topic != clicks:
                gathered += records
                continue
            for chunk in _chunks(records, settings.stream.chunk):
                await parts.publisher.publish(await stages[clicks].handle(chunk))
        if time.monotonic() - flushed >= interactions.linger:
            if gathered:
                await parts.publisher.publish(await interactions.handle(gathered))
            gathered, flushed = [], time.monotonic()
            await consumer.commit()


def _chunks(records: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [records[begin : begin + size] for begin in range(0, len(records), size)]


if __name__ == "__main__":
    asyncio.run(main(load()))

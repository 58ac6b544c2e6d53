"""Faust as documented, event by event: with our engine, or (EMPTY=1) counting in a table and forwarding."""

from __future__ import annotations

import os

import faust
from per_event import Event, PerEvent

from stream_engine.settings import load

settings = load()
app = faust.App(
    settings.kafka.group,
    broker=f"kafka://{settings.kafka.broker}",
    datadir=str(settings.stream.data_dir / "faust"),
    store="memory://",
    topic_partitions=settings.kafka.partitions,
    consumer_auto_offset_reset="earliest",
    broker_commit_interval=0.5,
)
forwarded = app.topic(settings.topics.recommendations, value_serializer="raw", key_serializer="raw")
raw = app.topic(settings.topics.clicks, value_type=bytes, value_serializer="raw", key_type=bytes, key_serializer="raw")
parsed = app.topic(
    settings.topics.clicks, value_type=bytes, value_serializer="json", key_type=bytes, key_serializer="raw"
)
states = app.Table("states", key_type=bytes, value_type=bytes, partitions=settings.kafka.partitions)
counts = app.Table("counts", default=int, partitions=settings.kafka.partitions)


async def answer(stream: faust.Stream) -> None:
    """Our engine, one event at a time."""
    engine = await PerEvent.open(settings)
    async for event in stream.events():
        message = event.message
        record = Event(
            message.topic, message.partition, message.offset, int(message.timestamp * 1000), message.key, message.value
        )
        made = await engine.answer(record, states.get(message.key))
        states[message.key] = made.state
        await forwarded.send(key=message.key, value=made.list)


async def count(stream: faust.Stream) -> None:
    """Decode, count, forward."""
    async for event in stream.events():
        user = event.value["user_id"]
        counts[user] += 1
        await forwarded.send(key=event.key, value=b'{"count":%d}' % counts[user])


if os.environ.get("EMPTY"):
    app.agent(parsed)(count)
else:
    app.agent(raw)(answer)

if __name__ == "__main__":
    app.main()

"""Faust as its documentation shows it: decode a click, count it in a table, forward it."""

from __future__ import annotations

import os

import faust

app = faust.App(
    "stock",
    broker=f"kafka://{os.environ['BOOTSTRAP']}",
    datadir=os.environ["FAUST_DATADIR"],
    store="memory://",
    topic_partitions=8,
    consumer_auto_offset_reset="earliest",
)
clicks = app.topic("clicks", value_type=bytes, value_serializer="json", key_type=bytes, key_serializer="raw")
forwarded = app.topic("stock-forwarded", value_serializer="json", key_serializer="raw")
counts = app.Table("counts", default=int, partitions=8)


@app.agent(clicks)
async def count(stream: faust.Stream) -> None:
    """One event at a time."""
    async for event in stream.events():
        user = event.value["user_id"]
        counts[user] += 1
        await forwarded.send(key=event.key, value={"user_id": user, "count": counts[user]})


if __name__ == "__main__":
    app.main()

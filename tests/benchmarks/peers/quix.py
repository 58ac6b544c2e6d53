"""Quix Streams: the engine as a stateful function of the clicks, the states in its store and changelog."""

from __future__ import annotations

from typing import Any

from per_event import Blocking, Event
from quixstreams import Application, State, message_context

from stream_engine.settings import Settings, load

STATE = "state"


def main(settings: Settings) -> None:
    """Run until killed."""
    engine = Blocking(settings)
    app = Application(
        broker_address=settings.kafka.broker,
        consumer_group=settings.kafka.group,
        auto_offset_reset="earliest",
        commit_interval=0.5,
        state_dir=settings.stream.data_dir / "quix",
        loglevel="WARNING",
    )
    clicks = app.topic(settings.topics.clicks, value_deserializer="bytes", key_deserializer="bytes")
    lists = app.topic(settings.topics.recommendations, value_serializer="bytes", key_serializer="bytes")

    def answer(value: bytes, key: bytes, timestamp: int, _: Any, state: State) -> bytes:
        place = message_context()
        event = Event(place.topic, place.partition, place.offset, timestamp, key, value)
        made = engine.answer(event, state.get_bytes(STATE))
        state.set_bytes(STATE, made.state)
        return made.list

    app.dataframe(clicks).apply(answer, stateful=True, metadata=True).to_topic(lists)
    app.run()


if __name__ == "__main__":
    main(load())

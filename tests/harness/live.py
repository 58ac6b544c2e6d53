"""A running engine seen from outside: what one sends, what comes back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from kafka import KafkaProducer

from harness.traffic import Answers
from harness.workers import WorkerProcess, cluster, wait_for
from stream_engine.codec import decode_dead_letter
from stream_engine.events import DeadLetter
from stream_engine.settings import EncoderSettings, IndexSettings, KafkaSettings, Settings, TopicSettings
from stream_engine.streaming.admin import create_or_verify
from stream_engine.streaming.partitioning import partition_of
from stream_engine.streaming.reading import snapshot
from stream_engine.streaming.topics import item_state_topic

LARGEST = 1_048_588  # bytes of a batch that a broker takes by default
FEED_POLL = 0.2  # seconds
OVERHEAD = 200  # bytes of a batch that are not the record's value


def settings_on(
    bootstrap: str,
    name: str,
    *,
    encoder: EncoderSettings | None = None,
    index: str = "memory",
    partitions: int = 4,
    session: float = 6.0,
) -> Settings:
    """A group and topics named after `name`; without an encoder, texts that share words are alike."""
    names = {field: f"{name}.{default.default}" for field, default in TopicSettings.model_fields.items()}
    return Settings(
        kafka=KafkaSettings(broker=bootstrap, group=name, partitions=partitions, session_timeout=session),
        topics=TopicSettings(**names),
        encoder=encoder or EncoderSettings(model="hashed"),
        index=IndexSettings(location=index),
    )


class Live:
    """Some workers, and the ends of their topics."""

    def __init__(self, settings: Settings, workers: list[WorkerProcess]) -> None:
        self.settings = settings
        self.topics = settings.topics
        self.workers = workers
        self._connect()

    def _connect(self) -> None:
        broker = self.settings.kafka.broker
        self.answers = Answers(broker, self.topics.recommendations)
        self._producer = KafkaProducer(bootstrap_servers=broker, acks="all", linger_ms=20, max_request_size=LARGEST)

    @contextmanager
    def disconnected(self) -> Iterator[None]:
        """For the time of an outage: kafka-python leaks sockets meanwhile. All lists are read again afterwards."""
        self.close()
        yield
        self._connect()

    def send(
        self,
        topic: str,
        key: str | None,
        value: object,
        headers: Sequence[tuple[str, bytes]] = (),
        *,
        flush: bool = True,
    ) -> None:
        """One record, its value as JSON unless it is bytes or None; on the broker when this returns, if flushed."""
        body = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
        self._producer.send(topic, body, key=key.encode() if key is not None else None, headers=list(headers))
        if flush:
            self.flush()

    def flush(self) -> None:
        """All that was sent is on the broker."""
        self._producer.flush(timeout=60)

    def items(self, titles: Mapping[str, str]) -> None:
        """Publish items by their titles."""
        for item_id, title in titles.items():
            self.send(self.topics.items, item_id, {"item_id": item_id, "title": title}, flush=False)
        self.flush()

    def click(self, user: str, *item_ids: str) -> None:
        """One click after the other."""
        for item_id in item_ids:
            self.send(self.topics.clicks, user, {"user_id": user, "item_id": item_id}, flush=False)
        self.flush()

    def list_of(self, user: str, interactions: int, within: float = 60.0) -> list[str]:
        """The items of the user's list, once it reflects so many interactions."""
        wait_for(lambda: self.answers.interactions(user) >= interactions, f"{interactions} of {user}", within)
        assert self.answers.interactions(user) == interactions
        return self.answers.item_ids(user)

    def more_of(self, user: str, item_id: str) -> list[str]:
        """The user's list after one more click."""
        before = self.answers.interactions(user)
        self.click(user, item_id)
        return self.list_of(user, before + 1)

    def until_known(self, item_ids: Iterable[str]) -> None:
        """Return when every worker's view has the items."""
        topic = item_state_topic(self.settings.kafka.group)
        missing = {item_id.encode() for item_id in item_ids}

        def published() -> bool:
            return missing <= {record.key for record in snapshot(self.settings.kafka, topic)}

        wait_for(published, "the items' records")
        time.sleep(2 * FEED_POLL)  # no worker says how far its view is

    def letters(self) -> list[DeadLetter]:
        """All dead letters there are."""
        records = snapshot(self.settings.kafka, self.topics.dead_letters)
        return [decode_dead_letter(each.key, each.value, each.headers) for each in records]

    def partition(self, key: str) -> int:
        """Where the records of a key go."""
        return partition_of(key.encode(), self.settings.kafka.partitions)

    def close(self) -> None:
        """Let go of the broker."""
        self.answers.close()
        self._producer.close()


@contextmanager
def engine(folder: Path, settings: Settings, workers: int) -> Iterator[Live]:
    """Topics and ready workers; all stopped at the end."""
    create_or_verify(settings)
    with cluster(folder, settings, workers) as running:
        live = Live(settings, running)
        try:
            yield live
        finally:
            live.close()

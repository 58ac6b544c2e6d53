"""Bad input on a running topic: in = answered + dead letters, every letter names its field, the worker lives."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from harness.garbage import ANSWERED, CLICKS, INTERACTIONS, ITEMS, JOINS, USERS, Bad, fuzzed
from harness.live import Live, engine, settings_on
from harness.workers import WorkerProcess, wait_for
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from stream_engine.local.broker import Broker
from stream_engine.settings import UserSettings
from stream_engine.streaming.admin import create_or_verify
from stream_engine.streaming.topics import USERS_TABLE, changelog_topic, interactions_topic, joins_topic

pytestmark = [pytest.mark.integration, pytest.mark.slow]

FUZZED = 2_000
TITLES = {"i0": "red tea pot", "i1": "green tea pot", "i2": "a chair"}
GOODS = (
    b'{"user_id":"u","item_id":"i0"}',
    b'{"user_id":"w","item_id":"x","item":{"title":"tea","categories":["a"],"vector":[1,2]},"attributes":{"a":1}}',
    b'{"anonymous_id":"v","event_type":"search","query":"tea pot","timestamp":1700000000,"position":3,"value":1.5}',
    b'{"specversion":"1.0","source":"/","type":"c","data":{"user_id":"y","item_id":"i1"}}',
)
FIELD = re.compile(r"^[a-z][A-Za-z_-]*(\.[A-Za-z_]+|\[[0-9.]+\])*: ")


@pytest.fixture(scope="module")
def live(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One worker that knows three items."""
    settings = settings_on(broker.bootstrap, "garbage")
    settings = settings.model_copy(update={"users": UserSettings(expire_after=0)})  # some clicks are of years ago
    with engine(tmp_path_factory.mktemp("garbage"), settings, 1) as running:
        running.items(TITLES)
        running.until_known(TITLES)
        yield running


def send(live: Live, topic: str, records: Sequence[Bad]) -> None:
    """Whatever they are, with the client that checks least."""

    async def sent() -> None:
        options = {"max_request_size": 2 << 20, "value_serializer": lambda each: each.value}  # it asserts on nulls
        async with AIOKafkaProducer(bootstrap_servers=live.settings.kafka.broker, **options) as producer:
            waits = [await producer.send(topic, each, each.key, headers=list(each.headers)) for each in records]
            await asyncio.gather(*waits)

    asyncio.run(sent())


def keyed(records: Sequence[Bad]) -> list[Bad]:
    """Those that a compacted topic takes."""
    return [each for each in records if each.key is not None]


def count(live: Live, topic: str) -> int:
    """Records ever put on a topic."""
    with closing(KafkaConsumer(bootstrap_servers=live.settings.kafka.broker)) as consumer:
        partitions = [TopicPartition(topic, each) for each in consumer.partitions_for_topic(topic) or ()]
        return sum(consumer.end_offsets(partitions).values())


def answered(live: Live) -> int:
    """Clicks that last lists count."""
    return sum(answer["interactions"] for answer in list(live.answers.last.values()) if answer)


def test_every_click_in_is_answered_or_refused_by_name(live: Live) -> None:
    good = [Bad("good", ANSWERED, b'{"user_id":"careful","item_id":"i1"}', b"careful") for _ in CLICKS]
    corpus = [each for pair in zip(CLICKS, good, strict=True) for each in pair]
    noise = [Bad("fuzz", ANSWERED, value, b"u") for value in fuzzed(7, FUZZED, GOODS)]
    send(live, live.topics.clicks, corpus + noise)
    sent = len(corpus) + len(noise)
    wait_for(lambda: answered(live) + count(live, live.topics.dead_letters) >= sent, "every record's end")
    letters = live.letters()
    assert answered(live) + len(letters) == sent
    assert live.answers.interactions("careful") == len(CLICKS)
    assert {letter.error for letter in letters} == {"PoisonEvent"}
    assert all(FIELD.match(letter.message) for letter in letters)
    as_sent = Counter((each.key, each.value, each.headers) for each in corpus + noise)
    assert not Counter((letter.key, letter.value, letter.headers) for letter in letters) - as_sent
    refused = Counter((each.key, each.value, each.headers) for each in CLICKS if each.field is not ANSWERED)
    assert not refused - Counter((letter.key, letter.value, letter.headers) for letter in letters)
    moved = live.workers[0].counted(f'stream_engine_moved_total{{topic="{live.topics.clicks}"}}')
    assert 0 < moved == count(live, live.topics.clicks) - sent
    assert not live.workers[0].codes


def test_bad_items_words_on_users_updates_and_histories(live: Live) -> None:
    group, before = live.settings.kafka.group, Counter(letter.stage for letter in live.letters())
    topics = {
        "items": (live.topics.items, keyed(ITEMS)),
        "users": (live.topics.users, keyed(USERS)),
        "interactions": (interactions_topic(group), INTERACTIONS),
        "joins": (joins_topic(group), JOINS),
    }
    for topic, cases in topics.values():
        send(live, topic, cases)
    refused = Counter(stage for stage, (_, cases) in topics.items() for each in cases if each.field is not ANSWERED)

    def new() -> Counter[str]:
        return Counter(letter.stage for letter in live.letters()) - before

    wait_for(lambda: new().total() >= refused.total(), "the letters")
    assert new() == refused
    assert all(FIELD.match(letter.message) for letter in live.letters())
    assert {"i0", "i2"} <= set(live.more_of("after all that", "i1"))


def test_clicks_of_a_producer_with_another_partitioner_are_answered_and_erased(live: Live) -> None:
    """The same user on every partition."""
    clicks, before = 5 * live.settings.kafka.partitions, len(live.letters())
    broker = live.settings.kafka.broker
    with closing(KafkaProducer(bootstrap_servers=broker)) as producer:
        for number in range(clicks):
            value = b'{"user_id":"everywhere","item_id":"i%d"}' % (number % 3)
            producer.send(live.topics.clicks, value, b"everywhere", partition=number % live.settings.kafka.partitions)
        producer.flush()
        live.list_of("everywhere", clicks)
        wrong = (live.partition("everywhere") + 1) % live.settings.kafka.partitions
        producer.send(live.topics.users, None, b"everywhere", partition=wrong)
        producer.flush()
    wait_for(lambda: live.answers.last["everywhere"] is None, "the tombstone")
    assert len(live.letters()) == before
    assert "moved" in live.workers[0].log.read_text()


def test_a_worker_leaves_a_state_of_a_later_version_alone(broker: Broker, tmp_path: Path) -> None:
    settings = settings_on(broker.bootstrap, "later", partitions=1)
    create_or_verify(settings)
    changelog = changelog_topic("later", USERS_TABLE)
    with closing(KafkaProducer(bootstrap_servers=broker.bootstrap)) as producer:
        producer.send(changelog, b"\x02 what tomorrow knows", b"u")
        producer.send(settings.topics.clicks, b'{"user_id":"u","item_id":"i0"}', b"u")
        producer.flush()
    worker = WorkerProcess(tmp_path / "worker", settings)
    worker.start()
    try:
        assert worker.wait(60) == 2
    finally:
        worker.stop()
    told = f"leave: {changelog}: version 2 found, and this worker knows 1 at most; upgrade this worker"
    assert told in worker.log.read_text()
    with closing(KafkaConsumer(bootstrap_servers=broker.bootstrap)) as consumer:
        ends = [TopicPartition(topic, 0) for topic in (changelog, settings.topics.dead_letters)]
        assert consumer.end_offsets(ends) == dict(zip(ends, (1, 0), strict=True))

"""Topics on a real broker."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.workers import wait_for

from stream_engine.errors import BadConfiguration, Unavailable
from stream_engine.settings import KafkaSettings, Settings
from stream_engine.streaming.admin import admin_client, check, compare, create_or_verify, facts_of
from stream_engine.streaming.topics import ITEMS_TABLE, USERS_TABLE, changelog_topic, declared

pytestmark = pytest.mark.integration


def test_created_once_then_verified(live_settings: Settings) -> None:
    assert len(check(live_settings)) == len(declared(live_settings))
    assert set(create_or_verify(live_settings)) == {topic.name for topic in declared(live_settings)}
    assert create_or_verify(live_settings) == ()
    assert check(live_settings) == ()


def test_workers_may_start_together(live_settings: Settings) -> None:
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(create_or_verify, [live_settings] * 3))
    assert check(live_settings) == ()


def test_a_topic_that_disagrees_is_refused(live_settings: Settings, create_topics: Callable[..., None]) -> None:
    create_topics(live_settings.topics.clicks, partitions=2)
    create_topics(live_settings.topics.items, configs={"cleanup.policy": "delete"})
    with pytest.raises(BadConfiguration, match=r"kafka\.partitions: topic .* has 2 partitions"):
        create_or_verify(live_settings)
    assert {problem.setting for problem in check(live_settings)} >= {"kafka.partitions", "topics.items"}


def test_a_topic_that_is_made_anew_is_another_and_how_long_tombstones_stay_is_its_own(
    live_settings: Settings, create_topics: Callable[..., None]
) -> None:
    create_or_verify(live_settings)
    known, kafka = changelog_topic(live_settings.kafka.group, USERS_TABLE), live_settings.kafka
    before = facts_of(kafka, known)
    assert (facts_of(kafka, known), before.tombstones) == (before, 86_400.0)
    assert facts_of(kafka, changelog_topic(live_settings.kafka.group, ITEMS_TABLE)).identity != before.identity
    with admin_client(kafka) as client:
        client.delete_topics([known])
        wait_for(lambda: client.describe_topics([known])[0]["error_code"] != 0, "the topic to be gone")
    create_topics(known, configs={"cleanup.policy": "compact", "delete.retention.ms": "60000"})
    after = facts_of(kafka, known)
    assert (after.identity != before.identity, after.tombstones) == (True, 60.0)


def test_no_broker_is_unavailable() -> None:
    nowhere = Settings(kafka=KafkaSettings(broker="127.0.0.1:1"))
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        check(nowhere)


def test_what_an_earlier_version_left_out_is_added_and_what_somebody_chose_stays(
    live_settings: Settings, create_topics: Callable[..., None]
) -> None:
    users, items = (changelog_topic(live_settings.kafka.group, table) for table in (USERS_TABLE, ITEMS_TABLE))
    create_topics(users, configs={"cleanup.policy": "compact"})
    create_topics(items, configs={"cleanup.policy": "compact", "min.compaction.lag.ms": "5"})
    create_topics(live_settings.topics.clicks, configs={"retention.ms": "86400000"})
    create_or_verify(live_settings)
    # a broker hears of it a moment later
    wait_for(lambda: len(compare(live_settings)[1]) == 2, "what is lacking to be there")
    problems, notes = compare(live_settings)
    assert problems == ()
    clicks, chosen = sorted(notes, key=lambda note: note.setting, reverse=True)
    assert clicks.setting == "topics.clicks"
    assert "has retention.ms=86400000, segment.ms=604800000; as we make it: kafka-configs.sh --alter" in clicks.reason
    assert clicks.reason.endswith("--add-config retention.ms=604800000,segment.ms=86400000")
    assert f"topic {items!r} has min.compaction.lag.ms=5;" in chosen.reason

"""Topics on a real broker."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from stream_engine.errors import BadConfiguration, Unavailable
from stream_engine.settings import KafkaSettings, Settings
from stream_engine.streaming.admin import check, create_or_verify
from stream_engine.streaming.topics import declared

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


def test_no_broker_is_unavailable() -> None:
    nowhere = Settings(kafka=KafkaSettings(broker="127.0.0.1:1"))
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        check(nowhere)

"""Two workers on a real broker learn together: what users of one clicked, users of the other are recommended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

import pytest
from harness.live import Live, engine, settings_on
from harness.workers import wait_for

from stream_engine.local.broker import Broker
from stream_engine.streaming.reading import snapshot
from stream_engine.streaming.topics import ranker_topic

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TITLES = {f"shelf-{number}": f"word{number} other{number}" for number in range(40)}  # no two alike
TOO_LATE = 6.0  # seconds: 2 are promised, and .7 taken; a machine may be three times as busy


@pytest.fixture(scope="module")
def live(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with engine(tmp_path_factory.mktemp("learning"), settings_on(broker.bootstrap, "learning"), 2) as running:
        running.items(TITLES)
        running.until_known(TITLES)
        yield running


def users_of(live: Live, partition: int, name: str) -> Iterator[str]:
    """Users of that name whose clicks come by the partition."""
    return (user for number in count() if live.partition(user := f"{name}-{number}") == partition)


def because_of_others(live: Live, user: str, item_id: str) -> bool:
    """Whether the item is high in the user's list because others clicked it together with theirs."""
    first = live.answers.last[user]["items"][:5]
    kinds = {reason["kind"] for each in first if each["item_id"] == item_id for reason in each["reasons"]}
    return bool(kinds & {"clicked_together", "follows"})


def test_what_was_clicked_together_on_one_worker_is_recommended_by_the_other(live: Live) -> None:
    teachers = users_of(live, 0, "teacher")
    for _ in range(6):
        live.click(next(teachers), "shelf-1", "shelf-2")
    taught = time.monotonic()
    for partition in range(live.settings.kafka.partitions):
        for asker in users_of(live, partition, "asker"):
            live.more_of(asker, "shelf-1")
            if because_of_others(live, asker, "shelf-2"):
                break
            assert time.monotonic() - taught < TOO_LATE
        print(f"partition {partition}: {time.monotonic() - taught:.2f} s")  # noqa: T201


def test_workers_publish_what_their_rankers_learnt(live: Live) -> None:
    topic = ranker_topic(live.settings.kafka.group)
    teachers = users_of(live, 1, "learner")
    for _ in range(3):
        live.click(next(teachers), *(f"shelf-{number}" for number in range(10, 20)))
    wait_for(lambda: len({record.key for record in snapshot(live.settings.kafka, topic)}) >= 1, "learnt weights")

"""What a worker goes on from: its disk after a restart, what it followed after another's end; about 40 s."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from harness.live import Live, engine, settings_on
from harness.workers import WorkerProcess, wait_for

from stream_engine.local.broker import Broker
from stream_engine.settings import Settings
from stream_engine.streaming.reading import snapshot
from stream_engine.streaming.saving import EVERY
from stream_engine.streaming.topics import USERS_TABLE, changelog_topic

pytestmark = [pytest.mark.integration, pytest.mark.slow]

USERS = [f"user-{number}" for number in range(24)]
SAVED = 4 * EVERY + 20.0


def with_stream(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update={"stream": settings.stream.model_copy(update=changes)})


def click(live: Live, sent: Counter[str], users: Sequence[str] = USERS) -> None:
    for user in users:
        live.click(user, "i")
        sent[user] += 1


def answered(live: Live, sent: Counter[str]) -> None:
    wait_for(lambda: live.answers.reflects(sent), "every click in a list", 90)


def read(worker: WorkerProcess, live: Live, to: str) -> float:
    """How many records of the users' changelog the worker has read."""
    topic = changelog_topic(live.settings.kafka.group, USERS_TABLE)
    return worker.counted(f'stream_engine_recovered_total{{to="{to}",topic="{topic}"}}')


def on_disk(worker: WorkerProcess, what: bytes) -> bool:
    """Whether it is in any file of states."""
    return any(what in path.read_bytes() for path in (worker.folder / "states").rglob("*") if path.is_file())


def start(worker: WorkerProcess) -> None:
    worker.start()
    wait_for(worker.ready, "the worker to be back", 120)


def test_a_restart_goes_on_from_the_disk(broker: Broker, tmp_path: Path) -> None:
    sent: Counter[str] = Counter()
    with engine(tmp_path, settings_on(broker.bootstrap, "kept"), 1) as live:
        (worker,) = live.workers
        for _ in range(5):
            click(live, sent)
        answered(live, sent)
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        start(worker)
        click(live, sent)
        answered(live, sent)
        assert read(worker, live, "own") <= live.settings.kafka.partitions  # Faust asks for the last one once more

        wait_for(lambda: on_disk(worker, b"user-23"), "what is to be erased on the disk", SAVED)
        live.send(live.topics.users, "user-23", None)
        wait_for(lambda: not on_disk(worker, b"user-23"), "the disk to forget who was erased", SAVED)
        del sent["user-23"]

        click(live, sent, USERS[:20])
        answered(live, sent)
        worker.signal(signal.SIGKILL)  # the last clicks are on no disk
        worker.wait()
        for path in sorted((worker.folder / "states").rglob("*.sqlite"))[::3]:
            path.write_bytes(b"damaged" * 1000)
        start(worker)
        click(live, sent, USERS[:22])
        answered(live, sent)
        assert live.answers.backwards == 0
        assert live.letters() == []


def test_whoever_follows_a_partition_has_it_when_its_owner_is_gone(broker: Broker, tmp_path: Path) -> None:
    sent: Counter[str] = Counter()
    settings = with_stream(settings_on(broker.bootstrap, "followed"), standby_replicas=1, states_on_disk=False)
    with engine(tmp_path, settings, 2) as live:
        first, second = live.workers
        for _ in range(20):
            click(live, sent)
        answered(live, sent)
        written = len(list(snapshot(settings.kafka, changelog_topic(settings.kafka.group, USERS_TABLE))))
        wait_for(lambda: sum(read(each, live, "follow") for each in live.workers) >= written, "them to follow", 30)
        assert min(read(each, live, "follow") for each in live.workers) > 0
        before = read(second, live, "own")
        first.signal(signal.SIGKILL)
        first.wait()
        click(live, sent)
        answered(live, sent)
        assert read(second, live, "own") - before <= settings.kafka.partitions  # it had followed all the rest
        start(first)
        for _ in range(3):
            click(live, sent)
        answered(live, sent)
        second.signal(signal.SIGTERM)
        assert second.wait() == 0
        click(live, sent)
        answered(live, sent)
        assert live.answers.backwards == 0
        assert live.letters() == []

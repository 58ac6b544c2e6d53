"""A worker with an instance id, back within its session, has its partitions again; no other is disturbed: 30 s."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from harness.live import Live, settings_on
from harness.workers import WorkerProcess, wait_for

from stream_engine.local.broker import Broker
from stream_engine.settings import Settings
from stream_engine.streaming.admin import create_or_verify
from stream_engine.streaming.worker import LEFT

pytestmark = [pytest.mark.integration, pytest.mark.slow]
SESSION = 30.0  # longer than a start takes, however busy the machine
USERS = [f"user-{number}" for number in range(16)]


@pytest.fixture
def settings(broker: Broker) -> Settings:
    made = settings_on(broker.bootstrap, "static", session=SESSION)
    create_or_verify(made)
    return made


@pytest.fixture
def live(settings: Settings, tmp_path: Path) -> Iterator[Live]:
    """Workers a and b, and another b that was not started yet."""
    with ExitStack() as ending:
        workers = [worker(settings, tmp_path / folder, folder[0]) for folder in ("a", "b", "b-again")]
        for each in workers:
            ending.callback(each.stop)
        for each in workers[:2]:
            each.start()
        wait_for(lambda: all(each.ready() for each in workers[:2]), "workers to be ready", 120)
        yield ending.enter_context(closing(Live(settings, workers)))


def worker(settings: Settings, folder: Path, instance_id: str) -> WorkerProcess:
    kafka = settings.kafka.model_copy(update={"instance_id": instance_id})
    return WorkerProcess(folder, settings.model_copy(update={"kafka": kafka}))


def click(live: Live) -> None:
    for user in USERS:
        live.click(user, "i")


def answered(live: Live, clicks: int) -> bool:
    return live.answers.reflects(dict.fromkeys(USERS, clicks))


def rebalances(each: WorkerProcess) -> int:
    return each.log.read_text().count("because it is rebalancing")


def test_a_worker_that_is_back_in_time_disturbs_nobody_and_two_of_one_name_do_not_last(live: Live) -> None:
    a, b, again = live.workers
    click(live)
    wait_for(lambda: answered(live, 1), "the first clicks")
    disturbed = rebalances(b)
    a.signal(signal.SIGKILL)
    assert a.wait() == -signal.SIGKILL
    click(live)
    a.start()
    wait_for(lambda: answered(live, 2), "its partitions to be served again, before its session ends", SESSION)
    assert rebalances(b) == disturbed

    again.start()
    assert b.wait() == LEFT
    assert "another worker has its kafka.instance_id, 'b'" in b.log.read_text()
    click(live)
    wait_for(lambda: answered(live, 3), "the other of that name to go on")
    assert a.running
    assert live.letters() == []

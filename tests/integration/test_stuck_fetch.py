"""A fetch that stands still while heartbeats go on, stopped on purpose: the worker leaves and is replaced; 40 s."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import chain
from pathlib import Path

import pytest
from harness import stuck_worker
from harness.live import Live, settings_on
from harness.workers import WorkerProcess, wait_for

from stream_engine.local.broker import Broker
from stream_engine.settings import Settings
from stream_engine.streaming.admin import create_or_verify
from stream_engine.streaming.worker import LEFT

pytestmark = [pytest.mark.integration, pytest.mark.slow]
STUCK = [sys.executable, "-m", stuck_worker.__name__]
USERS = [f"user-{number}" for number in range(24)]
CLICKS = 10  # of each user, each time


def click(live: Live) -> None:
    for number in range(CLICKS):
        for user in USERS:
            live.send(live.topics.clicks, user, {"user_id": user, "item_id": f"i{number}"}, flush=False)
    live.flush()


def answered(live: Live, clicks: int) -> bool:
    return live.answers.reflects(dict.fromkeys(USERS, clicks))


@contextmanager
def started(folder: Path, *groups: tuple[Settings, int]) -> Iterator[list[Live]]:
    """Groups of so many workers, all at once, and users known; how a fetch is stopped stands in stuck_worker.py."""
    for settings, _ in groups:
        create_or_verify(settings)
    with ExitStack() as running:
        every = [
            [WorkerProcess(folder / f"{settings.kafka.group}-{number}", settings, STUCK) for number in range(count)]
            for settings, count in groups
        ]
        for worker in chain(*every):
            running.callback(worker.stop)
            worker.start()
        found = [
            running.enter_context(closing(Live(settings, workers)))
            for (settings, _), workers in zip(groups, every, strict=True)
        ]
        for live in found:
            click(live)
        wait_for(lambda: all(answered(live, CLICKS) for live in found), "the first clicks")
        wait_for(lambda: all(worker.ready() for worker in chain(*every)), "all to be ready")
        yield found


def stop_fetch(worker: WorkerProcess, fault: str) -> None:
    (worker.folder / "stop").write_text(fault)
    wait_for((worker.folder / "stopped").exists, "the fetch to stand still")


def tended(*lives: Live) -> bool:
    for worker in chain(*(live.workers for live in lives)):
        worker.tend(time.monotonic())
    return True


def test_a_worker_whose_fetch_stands_still_leaves_and_is_replaced(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    alone, heir = (settings_on(broker.bootstrap, f"stuck-{name}", session=3.0) for name in ("alone", "heir"))
    with started(tmp_path, (alone, 1), (heir, 2)) as (serving, inheriting):
        stuck = {serving.workers[0]: "nothing is fetched of", inheriting.workers[0]: "a rebalance does not end"}
        for worker, fault in zip(stuck, ("hang", "empty"), strict=True):
            stop_fetch(worker, fault)
        click(serving)
        assert serving.workers[0].ready()  # nobody would guess
        inheriting.workers[1].signal(signal.SIGTERM)  # what it had is to be recovered by one who cannot fetch
        click(inheriting)
        wait_for(lambda: tended(serving) and not inheriting.workers[0].running, "both to leave")
        for worker, reason in stuck.items():
            assert f"leave: {reason}" in worker.log.read_text()
        assert not answered(inheriting, 2 * CLICKS)

        def all_are() -> bool:
            return tended(serving, inheriting) and all(answered(live, 2 * CLICKS) for live in (serving, inheriting))

        wait_for(all_are, "every click in a list, none counted twice")
        assert [worker.codes for worker in stuck] == [[LEFT], [LEFT]]
        assert serving.letters() == inheriting.letters() == []

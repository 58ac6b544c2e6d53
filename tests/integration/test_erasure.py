"""Erasing and merging on a running engine, a backlog of clicks before and a crash after; about 15 s."""

from __future__ import annotations

import signal
import time
from contextlib import closing
from pathlib import Path

import pytest
from harness.live import Live, settings_on
from harness.workers import WorkerProcess, wait_for
from typer.testing import CliRunner

from stream_engine.cli.main import app
from stream_engine.local.broker import Broker
from stream_engine.settings import environment
from stream_engine.streaming.admin import create_or_verify
from stream_engine.streaming.reading import snapshot
from stream_engine.streaming.topics import USERS_TABLE, changelog_topic
from stream_engine.users import decode_state

pytestmark = [pytest.mark.integration, pytest.mark.slow]

BACKLOG = 200
ITEMS = {f"tea-{number}": f"tea pot {number}" for number in range(20)}


def stored(live: Live) -> dict[bytes, bytes | None]:
    topic = changelog_topic(live.settings.kafka.group, USERS_TABLE)
    return {each.key: each.value for each in snapshot(live.settings.kafka, topic)}


def test_nothing_is_left_and_who_came_back_keeps_what_came_after(broker: Broker, tmp_path: Path) -> None:
    """All is said before a worker runs, so that it is read topic by topic; then the worker is killed and reads on."""
    settings = settings_on(broker.bootstrap, "erasure", partitions=1)
    create_or_verify(settings)
    worker = WorkerProcess(tmp_path, settings)
    with closing(Live(settings, [worker])) as live:
        live.items(ITEMS)
        for user in ("gone-user", "back-user", "anonymous-user"):
            live.click(user, *(f"tea-{number % 20}" for number in range(BACKLOG)))
        time.sleep(0.01)  # stamps are in milliseconds
        for user in ("gone-user", "back-user"):
            live.send(live.topics.users, user, None)
        merge = {"user_id": "anonymous-user", "merge_into": "known-user"}
        live.send(live.topics.users, "anonymous-user", merge)
        time.sleep(0.01)
        live.click("back-user", "tea-3", "tea-4", "tea-5")
        try:
            worker.start()
            wait_for(lambda: is_erased(live, "gone-user"), "the tombstones")
            wait_for(lambda: live.answers.interactions("back-user") == 3, "the list of who came back")
            wait_for(lambda: live.answers.interactions("known-user") == BACKLOG, "what was done before the merge")
            worker.signal(signal.SIGKILL)
            worker.wait()
            worker.start()
            live.click("back-user", "tea-6")
            wait_for(lambda: live.answers.interactions("back-user") == 4, "the list of who came back, again")
            wait_for(lambda: is_erased(live, "gone-user"), "the tombstones, again")
        finally:
            worker.stop()
        state = decode_state(stored(live)[b"back-user"] or b"")
        assert (state.interactions, state.items) == (4, ("tea-3", "tea-4", "tea-5", "tea-6"))
        log = worker.log.read_text()
        assert log
        assert [user for user in ("gone-user", "back-user", "anonymous-user", "known-user") if user in log] == []
        shown = CliRunner().invoke(app, ["users", "show", "gone-user"], env=environment(live.settings))
        assert (shown.exit_code, "no user 'gone-user'" in shown.output) == (1, True)


def is_erased(live: Live, user: str) -> bool:
    """Whether tombstones are the last word on both topics; a user of whom nothing was ever said is not."""
    return live.answers.last.get(user, ...) is None and stored(live).get(user.encode(), b"") is None

"""A user who was away for too long on a running engine: tombstones, and a new life with the next click."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from harness.live import engine, settings_on
from harness.workers import wait_for

from stream_engine.local.broker import Broker
from stream_engine.settings import UserSettings
from stream_engine.streaming.reading import snapshot
from stream_engine.streaming.topics import USERS_TABLE, changelog_topic

pytestmark = [pytest.mark.integration, pytest.mark.slow]

DAY = 86_400.0


def test_old_users_expire_and_come_back_as_new(broker: Broker, tmp_path: Path) -> None:
    users = UserSettings(expire_after=DAY)
    settings = settings_on(broker.bootstrap, "expiry").model_copy(update={"users": users})
    with engine(tmp_path, settings, 1) as live:
        old = {"item_id": "i0", "timestamp": time.time() - 10 * DAY}
        for user in ("old-1", "old-2", "old-3"):
            live.send(live.topics.clicks, user, old | {"user_id": user})
            live.list_of(user, 1)
        live.click("here", "i0", "i1")
        live.list_of("here", 2)
        for user in ("old-1", "old-2", "old-3"):
            wait_for(lambda user=user: live.answers.last[user] is None, f"{user} to expire")
        live.click("old-1", "i1")
        live.list_of("old-1", 1)
        live.click("here", "i2")
        live.list_of("here", 3)
        stored = {each.key: each.value for each in snapshot(settings.kafka, changelog_topic("expiry", USERS_TABLE))}
        assert {key for key, value in stored.items() if value is None} == {b"old-2", b"old-3"}
        wait_for(lambda: live.workers[0].counted("stream_engine_expired") == 3, "the count")
        assert not live.letters()

"""Clicks on ids that nobody announces, on a running engine: only so many are kept, by the topic and after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.live import engine, settings_on
from harness.workers import wait_for

from stream_engine.items.statistics import decode_statistics
from stream_engine.local.broker import Broker
from stream_engine.settings import StatisticsSettings
from stream_engine.streaming.reading import snapshot
from stream_engine.streaming.topics import ITEMS_TABLE, changelog_topic

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ONCE = 60


def test_ids_that_come_once_are_forgotten_and_what_is_announced_or_popular_is_not(
    broker: Broker, tmp_path: Path
) -> None:
    statistics = StatisticsSettings(unannounced=8)  # two a partition
    settings = settings_on(broker.bootstrap, "surplus").model_copy(update={"statistics": statistics})

    def kept() -> dict[str, float]:
        found = {each.key: each.value for each in snapshot(settings.kafka, changelog_topic("surplus", ITEMS_TABLE))}
        return {key.decode(): decode_statistics(value).clicks for key, value in found.items() if key and value}

    with engine(tmp_path, settings, 1) as live:
        live.items({"lamp": "a lamp"})
        live.until_known(["lamp"])
        for user in range(3):
            live.click(f"u{user}", "lamp", "popular")
        live.click("bot", *(f"once-{number}" for number in range(ONCE)))
        live.list_of("bot", ONCE)
        wait_for(lambda: live.workers[0].counted("stream_engine_forgotten") >= ONCE + 1 - 8, "the weakest to go")
        wait_for(lambda: len(kept()) == 1 + 8, "no more than the bound")
        before = kept()
        assert before["lamp"] == before["popular"] == 3
    with engine(tmp_path, settings, 1) as live:
        live.click("u0", "lamp")
        live.list_of("u0", 3)
        wait_for(lambda: kept()["lamp"] == 4, "the click to be counted")
        assert {item_id: clicks for item_id, clicks in kept().items() if item_id in before} == before | {"lamp": 4.0}
        assert not live.letters()

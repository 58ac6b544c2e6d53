"""A rolling upgrade with workers of two real builds on a real broker, there and back: about a minute.

The next build's formats are a version up. It reads ours; ours refuses what it wrote, and says so.
"""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from pathlib import Path

import pytest
from harness.builds import next_build
from harness.live import Live, engine, settings_on
from harness.traffic import Traffic, sending
from harness.workers import WorkerProcess, wait_for

from stream_engine.local.broker import Broker
from stream_engine.streaming.reading import snapshot
from stream_engine.streaming.topics import (
    ITEMS_TABLE,
    USERS_TABLE,
    changelog_topic,
    interactions_topic,
    item_state_topic,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TITLES = {f"item-{number}": f"thing number {number}" for number in range(20)}


def kept(live: Live) -> dict[str, str]:
    """The topics of what is stored."""
    group = live.settings.kafka.group
    return {
        "users": changelog_topic(group, USERS_TABLE),
        "statistics": changelog_topic(group, ITEMS_TABLE),
        "items": item_state_topic(group),
    }


def versions(live: Live, topic: str) -> dict[bytes, list[int]]:
    """The versions of each key's records, in order."""
    found: dict[bytes, list[int]] = defaultdict(list)
    for record in snapshot(live.settings.kafka, topic):
        assert record.value is not None
        found[record.key].append(record.value[0])
    return found


def nothing_went_back(live: Live) -> None:
    """No record of a later version has one of an earlier version behind it; nothing is refused."""
    for topic in kept(live).values():
        assert all(each == sorted(each) for each in versions(live, topic).values()), topic
    assert live.letters() == []


def stopped(worker: WorkerProcess) -> None:
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


def test_the_next_build_goes_on_with_what_ours_wrote_and_ours_refuses_to_go_back(
    broker: Broker, tmp_path: Path
) -> None:
    newer = next_build(tmp_path / "next", ["users/codec.py"])
    with engine(tmp_path, settings_on(broker.bootstrap, "there-and-back"), 1) as live:
        (ours,) = live.workers
        live.items(TITLES)
        live.until_known(TITLES)
        live.click("ann", "item-1", "item-2")
        live.list_of("ann", 2)
        stopped(ours)

        theirs = WorkerProcess(ours.folder, live.settings, newer)
        live.workers.append(theirs)
        try:
            theirs.start()
            wait_for(theirs.ready, "the next build", 120)
            assert theirs.get("/ready") == (200, "ready\n")
            live.click("ann", "item-3")
            assert live.list_of("ann", 3)
            assert versions(live, kept(live)["users"]) == {b"ann": [1, 2]}
            stopped(theirs)

            live.click("ann", "item-4")
            before = {topic: versions(live, topic) for topic in kept(live).values()}
            ours.start()
            assert ours.wait(60) == 2
            said = ours.log.read_text()
            assert f"leave: {kept(live)['users']}: version 2 found, and this worker knows 1 at most; upgrade" in said
            assert {topic: versions(live, topic) for topic in kept(live).values()} == before

            theirs.start()
            assert live.list_of("ann", 4, within=120)
            nothing_went_back(live)
        finally:
            theirs.stop()


def test_both_in_one_group_while_clicks_flow(broker: Broker, tmp_path: Path) -> None:
    newer = next_build(tmp_path / "next")
    settings = settings_on(broker.bootstrap, "both-builds")
    with engine(tmp_path, settings, 1) as live:
        (ours,) = live.workers
        live.items(TITLES)
        traffic = Traffic(broker.bootstrap, live.topics.clicks, users=30, items=len(TITLES), rate=40)
        theirs = WorkerProcess(tmp_path / "theirs", settings, newer)
        live.workers.append(theirs)
        try:
            with sending(traffic):
                wait_for(lambda: live.answers.times.total() > 100, "answers of ours alone")
                theirs.start()
                assert ours.wait(120) == 2  # once the next build has said anything that ours is to read
                wait_for(theirs.ready, "the next build", 60)
                ours.start()  # whoever starts it again
                assert ours.wait(120) == 2
                until = time.monotonic() + 2
                wait_for(lambda: time.monotonic() > until, "some more clicks")
            wait_for(lambda: live.answers.reflects(traffic.sent), "every click in a list", 120)
        finally:
            theirs.stop()
        reasons = [line for line in ours.log.read_text().splitlines() if "leave: " in line]
        ours_to_read = (*kept(live).values(), interactions_topic(settings.kafka.group))
        assert len(reasons) == 2
        assert ours.log.read_text().count("ChunkApp]: Starting") == 1  # the second time it left the group alone
        for reason in reasons:
            assert any(topic in reason for topic in ours_to_read), reason
            known = 2 if kept(live)["statistics"] in reason else 1
            assert f"version {known + 1} found, and this worker knows {known} at most; upgrade this worker" in reason
        assert live.answers.backwards == 0
        nothing_went_back(live)

"""A log evaluated from the topics it is on."""

import json
from pathlib import Path

import pytest

from stream_engine.cli.main import main
from stream_engine.evaluate import log_on_topics
from stream_engine.settings import Settings, env_name, environment
from stream_engine.streaming.admin import create_or_verify
from stream_engine.streaming.sending import Outgoing, sender

pytestmark = pytest.mark.integration
KINDS = ("tea pot", "garden chair", "silk scarf")


@pytest.fixture
def settings(live_settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    monkeypatch.chdir(tmp_path)
    for name, value in environment(live_settings).items():
        if name.startswith(env_name("")):
            monkeypatch.setenv(name, value)
    create_or_verify(live_settings)
    with sender(live_settings.kafka) as sending:
        for kind, title in enumerate(KINDS):
            for number in range(10):
                item = {"item_id": f"{kind}-{number}", "title": f"{title} {number}"}
                sending.send(
                    live_settings.topics.items, Outgoing(item["item_id"].encode(), json.dumps(item).encode(), ())
                )
        sending.send(live_settings.topics.items, Outgoing(b"0-9", None, ()))
        for moment in range(90):
            click = {
                "user_id": f"u{moment % 15}",
                "item_id": f"{moment % 3}-{moment // 15}",
                "timestamp": 1e9 + 60 * moment,
            }
            sending.send(
                live_settings.topics.clicks, Outgoing(click["user_id"].encode(), json.dumps(click).encode(), ())
            )
        sending.send(live_settings.topics.clicks, Outgoing(b"u0", b"{broken", ()))
    assert sending.failures == []
    return live_settings


def test_the_topics_hold_the_log(settings: Settings) -> None:
    log, unreadable = log_on_topics(settings)
    assert unreadable == 1
    assert len(log.items) == 29
    times = [each.interaction.timestamp for each in log.received]
    assert times == sorted(times)
    assert [each.source.offset for each in log.received] == list(range(90))


def test_evaluate_from_kafka(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--from-kafka", "--encoder", "hashed", "--json", "-"]) == 0
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert (result["events"], result["tested"]) == (90, 18)
    assert result["hr@10"] > 0.5
    assert "1 records could not be read" in shown.err

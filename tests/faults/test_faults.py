"""`make test-faults` in short: workers are killed, stopped and frozen, and no click is lost or counted twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness.scenario import FAULTS, Plan, run

from stream_engine.settings import EncoderSettings, IndexSettings, Settings
from stream_engine.streaming.admin import create_or_verify

HARD: dict[str, Any] = {"seconds": 12.0, "rate": 200.0, "every": 3.5, "least": 3, "frozen_for": (7.0, 8.0), "seed": 3}
pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.mark.parametrize("workers", [1, 3])  # and two in the long version
def test_nothing_is_lost_or_counted_twice(live_settings: Settings, tmp_path: Path, workers: int) -> None:
    settings = live_settings.model_copy(
        update={
            "encoder": EncoderSettings(model="hashed"),
            "index": IndexSettings(location="memory"),
            "stream": live_settings.stream.model_copy(update={"standby_replicas": workers // 2}),
        }
    )
    create_or_verify(settings)
    outcome = run(tmp_path, settings, Plan(workers, **HARD))
    assert set(outcome.faults) == set(FAULTS), outcome  # all freezes past the session
    assert outcome.clicks > 2_000
    assert outcome.wrong == {}, outcome

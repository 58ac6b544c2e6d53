"""`make test-faults` in short: workers are killed, stopped and frozen, and no click is lost or counted twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.scenario import FAULTS, Plan, run

from stream_engine.settings import EncoderSettings, IndexSettings, Settings
from stream_engine.streaming.admin import create_or_verify

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_two_workers_under_kill_term_and_freeze(live_settings: Settings, tmp_path: Path) -> None:
    settings = live_settings.model_copy(
        update={"encoder": EncoderSettings(model="hashed"), "index": IndexSettings(location="memory")}
    )
    create_or_verify(settings)
    outcome = run(tmp_path, settings, Plan(workers=2, seconds=24.0, every=4.5, frozen_for=(7.0, 8.0), seed=3))
    assert set(outcome.faults) == set(FAULTS), outcome
    assert outcome.clicks > 4_000
    assert outcome.wrong == {}, outcome

"""The bounds of the project on logs that are not part of it: `make quality`, about five minutes each on a free core.

Nothing may be tuned per log: default settings, one seed. Skips where the logs are not at hand.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from stream_engine.encoder.load import open_encoder
from stream_engine.errors import BadConfiguration
from stream_engine.evaluate import read_log, run
from stream_engine.settings import Settings

LOGS = Path(os.environ.get("STREAM_ENGINE_TEST_LOGS", Path(__file__).parents[3] / "shared/data"))
DATA = Path(__file__).parents[2] / ".cache/quality"
BOUNDS = {
    "amazon_beauty_2014": (0.198, 0.122),
    "movietweetings_100k": (0.210, 0.123),
    "online_retail_2011": (0.314, 0.211),
}
pytestmark = [pytest.mark.quality, pytest.mark.timeout(3_600)]


def evaluated(name: str) -> dict[str, Any]:
    folder = LOGS / name
    if not (folder / "items.jsonl").is_file():
        pytest.skip(f"no {folder}")
    settings = Settings()
    DATA.mkdir(parents=True, exist_ok=True)
    try:
        encoder = open_encoder(settings.encoder, DATA)
    except BadConfiguration as error:
        pytest.skip(str(error))

    async def whole() -> dict[str, Any]:
        try:
            return (await run(read_log(folder / "items.jsonl", folder / "events.jsonl.gz"), settings, encoder)).result
        finally:
            await encoder.close()

    return asyncio.run(whole())


@pytest.mark.parametrize("name", BOUNDS)
def test_lists_are_at_least_this_good(name: str) -> None:
    result = evaluated(name)
    hit_rate, gain = BOUNDS[name]
    assert result["tested"] >= 2_500
    assert result["hr@10"] >= hit_rate
    assert result["ndcg@10"] >= gain
    for baseline, figures in result["baselines"].items():
        assert result["hr@10"] > figures["hr@10"], baseline
        assert result["ndcg@10"] > figures["ndcg@10"], baseline

"""`stream-engine demo` on a catalogue of one's own: real broker, two workers, hashed encoder, a few seconds."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow]
CACHE = Path(__file__).parents[2] / ".cache"
USERS, ITEMS = 12, 60


def test_every_click_is_reflected_and_the_summary_is_written(tmp_path: Path, broker: object) -> None:
    rng = random.Random(3)
    items = [{"item_id": f"i{n}", "title": f"kind {n % 5} thing {n}"} for n in range(ITEMS)]
    events = [{"user_id": f"u{rng.randrange(USERS)}", "item_id": f"i{rng.randrange(ITEMS)}"} for _ in range(120)]
    for name, lines in (("items", items), ("events", events)):
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    environment = {
        **os.environ,
        "STREAM_ENGINE_ENCODER__MODEL": "hashed",
        "STREAM_ENGINE_INDEX__LOCATION": "memory",
        "STREAM_ENGINE_KAFKA__PARTITIONS": "4",
        "STREAM_ENGINE_LOCAL__CACHE_DIR": str(CACHE),
    }
    command = [sys.executable, "-m", "stream_engine.cli.main", "demo", "--items", "items", "--events", "events"]
    more = ["--rate", "40", "--seconds", "3", "--json", "out.json"]
    done = subprocess.run(
        [*command, *more], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out.json").read_text())
    users = len({event["user_id"] for event in events})
    assert (result["clicks"], result["users"], result["dead_letters"]) == (120, users, 0)
    assert users <= result["recommendations"] <= 120
    assert 0 < result["latency_ms"]["p50"] <= result["latency_ms"]["p90"] <= result["latency_ms"]["p99"]
    assert 30 < result["clicks_per_second"] < 45
    assert f"{users} of {users} users who clicked have a list that reflects all their clicks" in done.stderr
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / ".data" / "demo" / "bootstrap").exists()

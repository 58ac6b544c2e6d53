"""What one record in a hundred being garbage costs: the same clicks with and without, through guard and stages.

python tests/benchmarks/garbage.py; no broker, so that nothing else of the machine is in the ratio.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from pathlib import Path
from statistics import median

from prometheus_client import CollectorRegistry

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.garbage import fuzzed
from harness.records import FakeRecord, chunk, click, started
from harness.worlds import Stages

from stream_engine.metrics import Metrics
from stream_engine.streaming.guard import Guard, Stage
from stream_engine.streaming.publisher import FakePublisher

CLICKS, CHUNK, ITEMS, USERS, ROUNDS = 6_400, 64, 500, 400, 5
SHARE = 0.01


def clicks(share: float) -> list[FakeRecord]:
    """Clicks by chance; this share of them gone bad."""
    chance = random.Random(3)
    records = [click(at, f"u{chance.randrange(USERS)}", f"i{chance.randrange(ITEMS)}") for at in range(CLICKS)]
    bad = chance.sample(range(CLICKS), int(share * CLICKS))
    noise = fuzzed(4, len(bad), [records[at].value or b"" for at in bad])
    for at, value in zip(bad, noise, strict=True):
        records[at] = FakeRecord(at, value, b"u", (), "clicks")
    return records


async def seconds(records: list[FakeRecord]) -> tuple[float, int]:
    """CPU seconds of a fresh worker's stages for these, and the dead letters."""
    stages, publisher, positions = Stages(), FakePublisher(), started()
    await stages.stock({f"i{at}": f"word{at % 50} thing{at % 7} {at}" for at in range(ITEMS)})
    guard = Guard(
        Stage("clicks", stages.clicks.handle),
        positions=positions,
        publisher=publisher,
        dead_letters="dead",
        may_write=lambda: None,
        metrics=Metrics(CollectorRegistry()),
    )
    began = time.process_time()
    for at in range(0, CLICKS, CHUNK):
        await guard.run(chunk(positions, records[at : at + CHUNK]))
    return time.process_time() - began, sum(each.topic == "dead" for each in publisher.published)


async def main() -> None:
    """Both in turn, several times; the median ratio."""
    clean, dirty = clicks(0.0), clicks(SHARE)
    await seconds(clean)
    runs = [(await seconds(clean), await seconds(dirty)) for _ in range(ROUNDS)]
    (_, none), (_, letters) = runs[0]
    report = {
        "clicks": CLICKS,
        "dead_letters": letters,
        "dead_letters_of_clean": none,
        "ms_a_click_clean": round(1000 * median(clean[0] for clean, _ in runs) / CLICKS, 3),
        "ms_a_click_with_garbage": round(1000 * median(dirty[0] for _, dirty in runs) / CLICKS, 3),
        "throughput_of_clean": round(median(clean[0] / dirty[0] for clean, dirty in runs), 3),
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    asyncio.run(main())

"""The use case: a log in, figures out."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stream_engine.encoder.protocol import Encoder
from stream_engine.errors import StreamEngineError
from stream_engine.evaluate.baselines import Panel
from stream_engine.evaluate.log import Log
from stream_engine.evaluate.panel import panel_of
from stream_engine.evaluate.plan import STEPS, plan_of
from stream_engine.evaluate.replay import Replay
from stream_engine.evaluate.tally import Tally, figures
from stream_engine.evaluate.world import BLOCK, World
from stream_engine.events import Received
from stream_engine.index.memory import MemoryIndex
from stream_engine.settings import Settings

SAMPLE = 2_500
Progress = Callable[[str, int, int], None]  # what is being done, how much of it is done, of how much


class NothingToEvaluate(StreamEngineError):
    """The log holds no click that could be foretold."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out: `result` has the documented keys, `tally` what the curves are drawn from."""

    result: dict[str, Any]
    tally: Tally
    length: int


async def run(
    log: Log,
    settings: Settings,
    encoder: Encoder,
    *,
    sample: int = SAMPLE,
    seed: int = 0,
    baselines: bool = True,
    progress: Progress = lambda _what, _done, _of: None,
) -> Evaluation:
    """The engine over the log, test then learn; raises NothingToEvaluate.

    The same log, settings and seed give the same result, but for `us_per_click`, `peak_rss_mb` and `seconds`.
    """
    began = time.perf_counter()
    weights = settings.users.weights
    catalogue = [item.item_id for item in log.items]
    plan = plan_of(log.received, catalogue=set(catalogue), weights=weights, sample=sample, seed=seed)
    if not plan.sample:
        raise NothingToEvaluate("the last fifth of the log has no click on an item of the catalogue")
    world = World(settings, encoder, MemoryIndex(encoder.dimensions))
    await _stock(world, log, progress)
    vectors = world.view.vectors(world.view.rows(catalogue))
    panel = panel_of(vectors, every=len(log.received) // STEPS + 1, seed=seed) if baselines else Panel({})

    def counts(each: Received) -> bool:
        return weights.get(each.interaction.event_type, 0.0) > 0

    done = 0

    def advance(clicks: int) -> None:
        nonlocal done
        done += clicks
        progress("clicks", done, len(log.received))

    replayed = await Replay(log, plan, world, panel, counts=counts).run(advance)
    result = {
        "events": len(log.received),
        **figures(replayed.tally, catalogue=len(log.items)),
        "us_per_click": round(replayed.microseconds, 1),
        "peak_rss_mb": round(_peak_rss_mb(), 1),
        "seconds": round(time.perf_counter() - began, 1),
    }
    return Evaluation(result, replayed.tally, len(log.received))


async def _stock(world: World, log: Log, progress: Progress) -> None:
    # the catalogue is older than the first click
    now = log.received[0].interaction.timestamp if log.received else 0.0
    for start in range(0, len(log.items), BLOCK):
        progress("items", start, len(log.items))
        await world.stock(log.items[start : start + BLOCK], now)
    progress("items", len(log.items), len(log.items))


def _peak_rss_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)

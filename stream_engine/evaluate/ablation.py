"""The same log once more for each part of the ranking, with that part left out."""

from __future__ import annotations

from stream_engine.encoder.protocol import Encoder
from stream_engine.evaluate.log import Log
from stream_engine.evaluate.run import Progress, run
from stream_engine.evaluate.tally import Figures
from stream_engine.ranking.sources import SOURCES
from stream_engine.settings import Settings

PARTS = (*SOURCES, "hidden", "replay", "facts", "diversity")


async def ablated(
    log: Log, settings: Settings, encoder: Encoder, *, sample: int, seed: int, progress: Progress
) -> dict[str, Figures]:
    """The figures without each part, by part; baselines are not run again."""
    figures = {}
    for part in PARTS:

        def report(what: str, done: int, of: int, part: str = part) -> None:
            progress(f"{what} without {part}", done, of)

        reduced = without(settings, part)
        found = await run(log, reduced, encoder, sample=sample, seed=seed, baselines=False, progress=report)
        figures[part] = found.result
    return figures


def without(settings: Settings, part: str) -> Settings:
    """The settings with one part of the ranking left out."""
    ranking = settings.ranking
    change = {"diversity": 0.0} if part == "diversity" else {"without": (*ranking.without, part)}
    return settings.model_copy(update={"ranking": ranking.model_copy(update=change)})

"""The baselines of a run."""

from __future__ import annotations

from stream_engine.evaluate import als
from stream_engine.evaluate.baselines import Baseline, ItemKnn, LastText, Panel, Trending
from stream_engine.vectors import Matrix


def panel_of(vectors: Matrix, *, every: int, seed: int) -> Panel:
    """The standard baselines for a catalogue with these unit vectors, shape (n, d), and ALS where it is installed.

    What is learnt in batches is learnt again `every` so many clicks.
    """
    items = len(vectors)
    baselines: dict[str, Baseline] = {
        "trending": Trending(items),
        "last_text": LastText(vectors),
        "item_knn": ItemKnn(items),
    }
    if als.installed():
        baselines["implicit_als"] = als.Als(items, refit=every, seed=seed)
    return Panel(baselines)

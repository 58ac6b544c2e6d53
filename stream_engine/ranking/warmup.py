"""Everything compiled, before the first click has to wait for it."""

from __future__ import annotations

import numpy as np

from stream_engine.events import Source
from stream_engine.index.protocol import Match
from stream_engine.items.record import CatalogueRecord
from stream_engine.items.statistics import observe
from stream_engine.items.updates import updates_of
from stream_engine.items.view import ItemView
from stream_engine.ranking.pipeline import Pipeline
from stream_engine.ranking.question import Question
from stream_engine.ranking.ranker import Ranker
from stream_engine.ranking.taste import tastes_of
from stream_engine.settings import RankingSettings, StatisticsSettings


def warm_up() -> None:
    """Make one list in a shop of two items: seconds the first time on a machine, then a moment."""
    view = ItemView(2, StatisticsSettings(), fingerprint="")
    vectors = np.eye(2, dtype=np.float32)
    for item_id, vector in zip(("a", "b"), vectors, strict=True):
        view.put(CatalogueRecord(item_id, vector=vector))
    for update in updates_of("a", ["b"], source=Source("", 0, 0), timestamp=1.0, weight=1.0, fade=0.9):
        view.put_statistics(update.item_id, observe(None, update, view.settings))
    pipeline = Pipeline(view, Ranker(), RankingSettings(size=1))
    (taste,) = tastes_of(view, [Question("u", 2.0, ("a",), (1,), (True,), interests=vectors[:1])])
    found = pipeline.candidates(taste, pipeline.lookup(taste), [[Match("b", 0.0)]])
    pipeline.made(found)
    pipeline.learn(found, "b")

"""Everything compiled, before the first click has to wait for it."""

from __future__ import annotations

import numpy as np

from stream_engine.events import Interaction, Received, Source
from stream_engine.index.protocol import ranked
from stream_engine.items.record import CatalogueRecord
from stream_engine.items.tally import observe
from stream_engine.items.updates import updates_of
from stream_engine.items.view import ItemView
from stream_engine.ranking.pipeline import Pipeline
from stream_engine.ranking.question import question_of
from stream_engine.ranking.ranker import Ranker
from stream_engine.ranking.taste import tastes_of
from stream_engine.settings import RankingSettings, StatisticsSettings, UserSettings
from stream_engine.users import advance


def warm_up() -> None:
    """Make one list in a shop of three items, after four clicks: seconds the first time on a machine, then a moment."""
    view = ItemView(2, StatisticsSettings(), fingerprint="")
    vectors = np.eye(2, dtype=np.float32)
    for item_id, vector in zip(("a", "b", "c"), (*vectors, vectors[1]), strict=True):
        view.put(CatalogueRecord(item_id, vector=vector))
    for update in updates_of("a", ["b"], source=Source("", 0, 0), timestamp=1.0, weight=1.0, fade=0.9):
        view.put_statistics(update.item_id, observe(None, update, view.settings))
    state = None
    given = (*vectors, vectors[1], -vectors[0])  # the third moves an interest; with room for two, the last merges them
    for offset, vector in enumerate(given):
        click = Received(Interaction(user_id="u", item_id="a", timestamp=1.0), Source("", 0, offset))
        state = advance(state, click, vector, UserSettings(interests=2))
    pipeline = Pipeline(view, Ranker(), RankingSettings(size=1))
    (taste,) = tastes_of(view, [question_of("u", state, 2.0, size=1)])
    (found,) = pipeline.candidates([taste], [pipeline.lookup(taste)], [ranked(["b"], [0.0], 1)])
    pipeline.made([found])
    pipeline.learn(found, "b")

from __future__ import annotations

import numpy as np
import pytest
from harness.shop import NOW, Shop

from stream_engine.events import Interaction, Received, Source
from stream_engine.index.protocol import Match
from stream_engine.ranking.pipeline import Pipeline
from stream_engine.ranking.question import question_of
from stream_engine.ranking.ranker import Ranker
from stream_engine.ranking.taste import Taste, taste_of
from stream_engine.settings import RankingSettings, UserSettings
from stream_engine.users import advance
from stream_engine.vectors import Vector, unit


def shop() -> tuple[Shop, Pipeline]:
    shop = Shop()
    shop.stock("a", 1.0, 0.1)
    shop.stock("b", 0.1, 1.0)
    shop.stock("mute")
    return shop, Pipeline(shop.view, Ranker(), RankingSettings(candidates=7))


def searching(shop: Shop, *clicked: str) -> Taste:
    """Someone who clicked these and then searched for something else."""
    state, clicks = None, [*clicked, None]
    for place, item_id in enumerate(clicks):
        said = Interaction(
            user_id="u", item_id=item_id, event_type="click" if item_id else "search", timestamp=NOW - 100 + 10 * place
        )
        vector: Vector = shop.view.vector(item_id) if item_id else unit(np.eye(8, dtype=np.float32)[5])
        state = advance(state, Received(said, Source("clicks", 0, place)), vector, UserSettings())
    return taste_of(shop.view, question_of("u", state, NOW, size=5))


def test_the_profile_is_looked_up_and_the_last_item_once() -> None:
    here, pipeline = shop()
    taste = here.taste("a", "b")
    lookup = pipeline.lookup(taste)
    assert lookup.about == here.view.row("a")
    assert [(query.limit, query.quick) for query in lookup.queries] == [(7, False), (7, True)]
    assert lookup.queries[0].vector @ here.view.vector("a") == pytest.approx(1.0, abs=1e-2)
    pipeline.candidates([taste], [lookup], [[Match("b", 0.5)], []])
    assert here.named(here.view.columns.similar[here.view.row("a")]) == ["b"]
    again = pipeline.lookup(taste)
    assert (again.about, len(again.queries)) == (None, 1)


def test_what_the_index_did_not_answer_is_asked_again() -> None:
    here, pipeline = shop()
    taste = here.taste("a")
    lookup = pipeline.lookup(taste)
    pipeline.candidates([taste], [lookup], [[], []])
    assert pipeline.lookup(taste).about == lookup.about


def test_a_grown_catalogue_is_asked_again() -> None:
    here, pipeline = shop()
    taste = here.taste("a")
    pipeline.candidates([taste], [pipeline.lookup(taste)], [[Match("b", 0.5)], []])
    here.stock("new", 1.0)
    assert pipeline.lookup(taste).about == here.view.row("a")


def test_a_search_is_looked_up_by_the_interest_it_made() -> None:
    here, pipeline = shop()
    for clicked in ((), ("a",)):
        queries = pipeline.lookup(searching(here, *clicked)).queries
        wanted = np.eye(8, dtype=np.float32)[5]
        assert max(float(query.vector @ wanted) for query in queries) > 0.99


@pytest.mark.parametrize("items", [(), ("mute",), ("unheard",)])
def test_without_texts_there_is_nothing_to_look_up(items: tuple[str, ...]) -> None:
    here, pipeline = shop()
    assert pipeline.lookup(here.taste(*items)).queries == []

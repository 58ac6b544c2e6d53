"""Every reason that is given is recomputed here from the clicks themselves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from harness.shop import NOW, Shop

from stream_engine.events import Reason
from stream_engine.index.protocol import Match, Query
from stream_engine.ranking.candidates import Gatherer
from stream_engine.ranking.features import FEATURES, stock_of
from stream_engine.ranking.habits import Habits
from stream_engine.ranking.pipeline import Lookup, Pipeline
from stream_engine.ranking.ranker import Ranker
from stream_engine.ranking.reasons import KIND_OF, LEAST_SHARE, reasons, why_of
from stream_engine.ranking.sources import BUDGETS
from stream_engine.settings import RankingSettings

Histories = list[list[str]]


def shop_and_histories(seed: int) -> tuple[Shop, Histories]:
    rng = np.random.default_rng(seed)
    shop = Shop()
    for number in range(60):
        shop.stock(f"i{number}", *rng.normal(size=5).tolist())
    histories = [[f"i{number}" for number in rng.zipf(1.4, 5) % 50] for _ in range(80)]
    for number, history in enumerate(histories):
        shop.clicks(*history, at=NOW - 100_000 + 100 * number)
    return shop, histories


def holds(reason: Reason, item_id: str, mine: list[str], shop: Shop, histories: Histories) -> bool:
    clicked = {each for history in histories for each in history}
    if reason.kind == "trending":
        popular = [row for best in shop.view.trending for row in best.rows()[: BUDGETS["trending"]]]
        return shop.view.row(item_id) in popular
    if reason.kind == "new":
        return item_id not in clicked
    if reason.kind == "again":
        return item_id in mine
    assert reason.item_id in mine
    if reason.kind == "clicked_together":
        return any({item_id, reason.item_id} <= set(history) for history in histories)
    if reason.kind == "follows":
        pairs = {pair for history in histories for pair in pairwise(history)}
        return reason.item_id == mine[0] and (reason.item_id, item_id) in pairs
    alike = {other: likeness(shop, other, item_id) for other in mine}
    return alike[reason.item_id] == pytest.approx(max(alike.values()), abs=1e-4) and alike[reason.item_id] > 0.2


def likeness(shop: Shop, one: str, other: str) -> float:
    first, second = (shop.view.vector(each) - shop.view.space.mean for each in (one, other))
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


@pytest.mark.parametrize("seed", range(5))
def test_every_reason_of_every_list_is_true(seed: int) -> None:
    shop, histories = shop_and_histories(seed)
    pipeline = Pipeline(shop.view, Ranker(), RankingSettings(diversity=0.1))
    told = 0
    for user in range(20):
        mine = [f"i{number}" for number in np.random.default_rng(user).choice(60, 3, replace=False)]
        taste, lookup = shop.taste(*mine, size=20), Lookup([Query(np.ones(8, np.float32), 1)])
        (found,) = pipeline.candidates([taste], [lookup], [[Match("i55", 0.4)]])
        for item in pipeline.made([found])[0]:
            assert len(item.reasons) <= 2
            assert len({reason.kind for reason in item.reasons}) == len(item.reasons)
            for reason in item.reasons:
                told += 1
                assert LEAST_SHARE <= reason.share <= 1.0
                assert holds(reason, item.item_id, mine, shop, histories), (reason, item.item_id, mine)
    assert told > 300


def test_reasons_name_the_strongest_shares_first() -> None:
    shop = Shop("mine", "x")
    shop.clicks("mine", "x")
    shares = np.zeros((1, len(FEATURES)), np.float32)
    for name, share in {"together": 0.5, "follows": 3.0, "popular_day": 1.5, "like_last": -9.0}.items():
        shares[0, FEATURES.index(name)] = share
    (found,) = Gatherer(shop.view).gather([shop.taste("mine", size=1)], [np.zeros(0, np.int64)], Habits())
    assert shop.named(found.rows) == ["x"]
    had = np.zeros(1, np.bool_)
    why = why_of(stock_of(shop.view), found.taste.recent, found.rows, found.parts, had, shares)
    (told,) = reasons(why, shop.view.ids)
    assert told == (Reason("follows", "mine", 0.6), Reason("trending", None, 0.3))


def test_every_kind_of_feature_speaks_of_a_kind_of_reason_or_of_none() -> None:
    assert set(KIND_OF) <= set(FEATURES)

from __future__ import annotations

import pytest
from harness.shop import Shop

from stream_engine.ranking.pipeline import Lookup, Pipeline
from stream_engine.ranking.quality import Quality, judged
from stream_engine.ranking.ranker import Ranker
from stream_engine.settings import RankingSettings


def test_hits_count_within_the_first_ten_and_fade() -> None:
    quality = Quality()
    for place, trending in ((0, None), (9, 3), (10, 10), (None, 0)):
        quality = judged(quality, place, trending)
    assert quality.hit_rate == pytest.approx(0.5, abs=1e-3)
    assert quality.trending_hit_rate == pytest.approx(0.5, abs=1e-3)
    assert quality.mean_reciprocal_rank == pytest.approx((1 + 1 / 10 + 1 / 11) / 4, abs=1e-3)
    for _ in range(20_000):
        quality = judged(quality, None, None)
    assert quality.hit_rate < 1e-3
    assert Quality().hit_rate == Quality().mean_reciprocal_rank == Quality().trending_hit_rate == 0.0


def test_a_click_is_foreseen_before_it_is_learnt_from() -> None:
    shop = Shop("mine", "seen", *(f"i{number}" for number in range(30)))
    shop.clicks("mine", "seen")
    ranker = Ranker()
    pipeline = Pipeline(shop.view, ranker, RankingSettings())
    (found,) = pipeline.candidates([shop.taste("mine")], [Lookup([])], [])
    pipeline.learn(found, "seen")
    assert pipeline.quality.hit_rate == pipeline.quality.trending_hit_rate == 1.0
    assert ranker.samples == 1
    (found,) = pipeline.candidates([shop.taste("mine")], [Lookup([])], [])
    pipeline.learn(found, "unheard")
    assert pipeline.quality.hit_rate == pytest.approx(0.5, abs=1e-3)
    assert ranker.samples == 1

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_engine.evaluate.metrics import hit_rate, mrr, ndcg, place_of, summary

PLACES = st.lists(st.one_of(st.none(), st.integers(1, 40)), max_size=30)


def test_figures_by_hand():
    places = [1, 3, 11, None]
    assert hit_rate(places, 10) == 0.5
    assert hit_rate(places, 20) == 0.75
    assert ndcg(places, 10) == pytest.approx((1.0 + 1.0 / math.log2(4)) / 4)
    assert ndcg(places, 20) == pytest.approx((1.0 + 0.5 + 1.0 / math.log2(12)) / 4)
    assert mrr(places, 10) == pytest.approx((1.0 + 1.0 / 3.0) / 4)
    assert summary(places)["mrr@20"] == pytest.approx((1.0 + 1.0 / 3.0 + 1.0 / 11.0) / 4, abs=1e-6)


def test_no_lists_no_hits():
    assert set(summary([]).values()) == {0.0}


@given(PLACES)
def test_measures_are_ordered(places):
    for k in (10, 20):
        assert 0.0 <= mrr(places, k) <= ndcg(places, k) <= hit_rate(places, k) <= 1.0
    assert hit_rate(places, 10) <= hit_rate(places, 20)


def test_places_count_from_one():
    assert place_of("b", ["a", "b"]) == 2
    assert place_of("c", ["a", "b"]) is None

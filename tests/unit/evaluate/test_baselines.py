from __future__ import annotations

import numpy as np
import pytest

from stream_engine.evaluate.als import Als
from stream_engine.evaluate.baselines import FADE, NEARNESS, ItemKnn, LastText, Panel, Trending

VECTORS = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], np.float32)


def test_trending_is_the_decayed_count():
    trending = Trending(3)
    for item in (0, 0, 1):
        trending.learn(0, [], item)
    scores = trending.scores([])
    older = 2 ** (-1 / 1000)
    assert scores[0] / scores[1] == pytest.approx(older + older**2)
    assert scores[2] == 0.0


def test_trending_survives_a_long_log():
    trending = Trending(2)
    for _ in range(400_000):
        trending.learn(0, [], 0)
    trending.learn(0, [], 1)
    scores = trending.scores([])
    assert np.isfinite(scores).all()
    assert scores[0] / scores[1] == pytest.approx(1 / (2 ** (1 / 1000) - 1), rel=1e-6)


def test_last_text_is_the_cosine_to_the_last_item():
    text = LastText(VECTORS)
    assert text.scores([0, 2]) == pytest.approx([1.0, 0.8, 0.0])
    assert not text.scores([]).any()


def test_item_knn_by_hand():
    knn = ItemKnn(3)
    knn.learn(0, [], 0)
    knn.learn(0, [0], 1)  # 0 and 1 next to each other
    knn.learn(0, [1, 0], 2)  # 1 and 2 next to each other, 0 and 2 one apart
    each = 1 / np.sqrt(2)  # every item clicked once
    expected = each * each * (NEARNESS + FADE * 1.0)  # from 0, then from 1
    assert knn.scores([0, 1])[2] == pytest.approx(expected)


def test_had_items_are_left_out_until_repeats_are_normal():
    panel = Panel({"trending": Trending(3)})
    for item in (0, 1, 2):
        panel.learn("a", item)
    panel.learn("b", 0)
    assert panel.ranked("b", 3)["trending"] == [2, 1]
    panel.learn("b", 0)
    assert panel.ranked("b", 3)["trending"][0] == 0


def test_only_scored_items_are_listed_best_first():
    panel = Panel({"text": LastText(VECTORS)})
    assert panel.ranked("a", 2) == {"text": []}
    panel.learn("a", 2)
    assert panel.ranked("a", 3)["text"] == [1]


def test_als_finds_what_users_alike_had():
    pytest.importorskip("implicit")
    als = Als(6, refit=30, seed=0)
    assert not als.scores([0]).any()
    for round_ in range(10):
        for place in range(3):
            als.learn(round_, [], place + 3 * (round_ % 2))
    scores = als.scores([3])
    assert min(scores[4:]) > max(scores[:3])
    again = Als(6, refit=30, seed=0)
    for round_ in range(10):
        for place in range(3):
            again.learn(round_, [], place + 3 * (round_ % 2))
    assert np.array_equal(again.scores([3]), scores)

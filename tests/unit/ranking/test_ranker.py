from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_engine.ranking.features import COMPARED, FACTS, FEATURES
from stream_engine.ranking.habits import Habits
from stream_engine.ranking.net import LARGEST, scores_of, shares_of
from stream_engine.ranking.ranker import Ranker, Sample

NO_FACTS = np.zeros(len(FACTS), np.float32)


def table(lines: int = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(lines, len(FEATURES))).astype(np.float32)


def taught(seed: int, lessons: int, *, column: int = 3) -> Ranker:
    """Whoever has most of one feature is always clicked."""
    ranker = Ranker()
    for number in range(lessons):
        lines = table(seed=1_000 * seed + number)
        ranker.learn(Sample(lines, NO_FACTS, int(lines[:, column].argmax())))
    return ranker


def hits(ranker: Ranker, column: int = 3) -> float:
    tables = [table(seed=10_000_000 + number) for number in range(100)]
    return float(
        np.mean([scores_of(ranker.net, each, NO_FACTS).argmax() == each[:, column].argmax() for each in tables])
    )


def test_it_learns_which_feature_is_right() -> None:
    assert hits(taught(1, 300)) > 0.8
    assert hits(Ranker()) < 0.5


def test_hidden_units_learn_what_no_sum_can() -> None:
    """The clicked one has the feature if the user is new and lacks it if not."""
    ranker = Ranker()
    rng = np.random.default_rng(4)

    def sample() -> Sample:
        new = rng.random() < 0.5
        lines = np.zeros((6, len(FEATURES)), np.float32)
        answer = int(rng.integers(6))
        lines[:, 2] = 0.0 if new else 1.0
        lines[answer, 2] = 1.0 if new else 0.0
        facts = NO_FACTS.copy()
        facts[0] = new
        return Sample(lines, facts, answer)

    for _ in range(3_000):
        ranker.learn(sample())
    tested = [sample() for _ in range(200)]
    assert np.mean([scores_of(ranker.net, each.table, each.facts).argmax() == each.answer for each in tested]) > 0.9


def test_the_same_lessons_give_the_same_weights() -> None:
    assert taught(1, 50).snapshot() == taught(1, 50).snapshot()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_nan_and_outliers_neither_spread_nor_rule(bad: float) -> None:
    ranker = taught(1, 300)
    for number in range(20):
        lines = table(seed=number)
        lines[number % 20, number % len(FEATURES)] = bad
        ranker.learn(Sample(lines, NO_FACTS, number % 20))
        assert np.isfinite(scores_of(ranker.net, lines, NO_FACTS)).all()
        assert np.isfinite(shares_of(ranker.net, lines, NO_FACTS)).all()
    assert hits(ranker) > 0.7


def test_an_outlier_counts_no_more_than_the_largest_feature() -> None:
    ranker = taught(1, 10)
    lines = np.zeros((2, len(FEATURES)), np.float32)
    lines[:, 0] = LARGEST, 1e9
    one, other = scores_of(ranker.net, lines, NO_FACTS)
    assert one == other


@given(st.integers(0, 2**31))
def test_shares_add_up_to_the_score_but_for_what_is_the_same_for_all(seed: int) -> None:
    ranker = taught(1, 20)
    ranker._now[1][:] = 0.0  # the units' thresholds belong to no feature
    lines = table(5, seed)
    own = len(FEATURES) - len(COMPARED)
    compared = lines[:, [FEATURES.index(name) for name in COMPARED]]
    lines[:, own:] = compared - compared.max(axis=0)
    rest = scores_of(ranker.net, lines, NO_FACTS) - shares_of(ranker.net, lines, NO_FACTS).sum(axis=1)
    assert rest == pytest.approx(np.full(5, rest[0]), abs=1e-3)


def test_a_new_worker_starts_with_what_others_learnt() -> None:
    old = taught(1, 300)
    new = Ranker()
    new.merge({"w1": old.snapshot()})
    assert hits(new) == hits(old)


def test_workers_meet_in_the_middle_by_how_much_they_learnt() -> None:
    one, other = taught(1, 200), taught(2, 100)
    first, second = one.snapshot(), other.snapshot()
    one.merge({"other": second})
    other.merge({"one": first})
    assert one.weights == pytest.approx(other.weights, abs=1e-5)
    assert hits(one) > 0.8


def test_workers_share_what_they_know_of_people_coming_back() -> None:
    one, other = taught(1, 30), taught(2, 10)
    one.habits = Habits(clicks=1_000.0, later=400.0)
    other.merge({"one": one.snapshot()})
    assert other.habits == Habits(clicks=750.0, later=300.0)
    assert other.habits.again_later


@pytest.mark.parametrize("bad", [b"", b"nonsense", Ranker().snapshot()[:-3]])
def test_snapshots_that_do_not_fit_are_ignored(bad: bytes) -> None:
    ranker = taught(1, 20)
    before = ranker.snapshot()
    ranker.merge({"w1": bad})
    assert ranker.snapshot() == before


def test_what_is_left_out_stays_out() -> None:
    ranker = Ranker(without=("together", "facts", "hidden", "replay"))
    for number in range(50):
        lines = table(seed=number)
        ranker.learn(Sample(lines, np.ones(len(FACTS), np.float32), int(lines[:, 0].argmax())))
    assert ranker.weights["together"] == 0.0
    lines = table()
    linear = lines @ np.array(list(ranker.weights.values()), np.float32)
    assert scores_of(ranker.net, lines, np.ones(len(FACTS), np.float32)) == pytest.approx(linear, abs=1e-4)


def test_start_weights_prefer_the_popular_the_alike_and_the_clicked_together() -> None:
    ranker = Ranker()
    for name in ("together", "follows", "popular_day", "like_profile"):
        lines = np.zeros((2, len(FEATURES)), np.float32)
        lines[1, FEATURES.index(name)] = 1.0
        scores = scores_of(ranker.net, lines, NO_FACTS)
        assert scores[1] > scores[0]

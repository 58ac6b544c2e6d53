from __future__ import annotations

import numpy as np
import pytest
from harness.records import statistics
from harness.shop import NOW, Shop
from hypothesis import given
from hypothesis import strategies as st

from stream_engine.errors import BadConfiguration
from stream_engine.events import Source
from stream_engine.items.statistics import packed
from stream_engine.ranking.candidates import Gatherer
from stream_engine.ranking.features import FACTS, FEATURES, _halved, _logs, facts_of, features_of, stock_of
from stream_engine.ranking.filters import allowed
from stream_engine.ranking.habits import Habits, noticed
from stream_engine.ranking.net import LARGEST
from stream_engine.ranking.pipeline import Lookup, Pipeline
from stream_engine.ranking.pool import STRENGTHS, roomy
from stream_engine.ranking.ranker import Ranker
from stream_engine.ranking.sampling import LEAST, Sampler
from stream_engine.ranking.selectors import diverse, explored, highest
from stream_engine.ranking.taste import Taste
from stream_engine.ranking.weighing import propose
from stream_engine.settings import RankingSettings
from stream_engine.vectors import unit

NOTHING = np.zeros(0, np.int64)


def feature(shop: Shop, taste: Taste, name: str, habits: Habits | None = None) -> dict[str, float]:
    (found,) = Gatherer(shop.view).gather([taste], [NOTHING], habits or Habits())
    table = features_of(stock_of(shop.view), taste.moment, found.rows, found.strengths)
    column = table[:, FEATURES.index(name)]
    return dict(zip(shop.named(found.rows.tolist()), column.tolist(), strict=True))


def test_little_news_of_an_item_can_wait() -> None:
    shop = Shop("a", "b")
    taste, gatherer = shop.taste("a"), Gatherer(shop.view)

    def told_after(heard: float) -> float:
        weights = {name: packed([heard]) for name in ("together", "lately", "after")}
        shop.view.put_statistics("a", statistics(NOW, clicks=9.0, pairs=heard, neighbours=("b",), **weights))
        gatherer.gather([taste], [NOTHING], Habits())
        return float(shop.view.columns.together[shop.view.row("a"), 0])

    assert [told_after(heard) for heard in (100.0, 101.0, 120.0)] == [100.0, 100.0, 120.0]


def test_lists_made_together_are_those_made_one_by_one() -> None:
    shop = Shop("plain", "never")
    for place, item_id in enumerate("abcdef"):
        shop.stock(item_id, 1.0, place / 5.0)
    shop.clicks("a", "b", "plain")
    shop.clicks("b", "c", "a", "d")
    tastes = [
        shop.taste(),
        shop.taste("a", "plain"),
        shop.taste("c", size=2),
        shop.taste("b", "a", "d", interests=unit(np.eye(2, 8, dtype=np.float32))),
    ]
    gatherer = Gatherer(shop.view)
    found = gatherer.gather(tastes, [NOTHING] * len(tastes), Habits())
    for mine, taste in zip(found, tastes, strict=True):
        (alone,) = gatherer.gather([taste], [NOTHING], Habits())
        assert all(np.array_equal(*both) for both in zip(mine[1:4], alone[1:4], strict=True))
        assert mine.removed == alone.removed
    pipeline = Pipeline(shop.view, Ranker(), RankingSettings())
    made = pipeline.made(found)
    assert made == [pipeline.made([each])[0] for each in found]
    assert [len(items) for items in made] == [5, 5, 2, 5]
    assert all([item.rank for item in items] == list(range(1, len(items) + 1)) for items in made)
    assert (gatherer.gather([], [], Habits()), pipeline.made([])) == ([], [])


def told_facts(shop: Shop, taste: Taste) -> dict[str, float]:
    return dict(zip(FACTS, facts_of(stock_of(shop.view), taste.moment).tolist(), strict=True))


@given(st.lists(st.integers(-1, 40), max_size=60), st.lists(st.integers(-1, 40), max_size=60))
def test_a_pool_holds_every_row_once_and_is_clean_afterwards(first: list[int], second: list[int]) -> None:
    view, nobody = Shop().view, Shop().taste().heard
    pool = roomy(None, items=41, proposals=60)
    for given_rows in (first, second):
        slots = propose(view.columns.pairs, nobody, np.ones(4, np.bool_), np.array(given_rows, np.int64), pool)
        kept = pool.rows[: pool.used[0]].tolist()
        assert kept == list(dict.fromkeys(row for row in given_rows if row >= 0))
        assert [kept[slot] if slot >= 0 else -1 for slot in slots] == given_rows
        assert (pool.place == -1).all()


def test_a_pool_is_used_again_as_long_as_it_has_room() -> None:
    pool = roomy(None, items=10, proposals=20)
    assert roomy(pool, items=15, proposals=30) is pool
    assert len(roomy(pool, items=100, proposals=1).place) >= 100
    assert roomy(pool, items=1, proposals=100).strengths.shape[1] == len(STRENGTHS)


def test_items_that_were_turned_away_do_not_speak_but_were_had() -> None:
    shop = Shop("liked", "hated", "both")
    taste = shop.taste("both", "hated", "liked", "both", liked=(False, False, True, True))
    assert shop.named(taste.recent.tolist()) == ["liked"]
    assert set(shop.named(taste.had.tolist())) == {"liked", "hated", "both"}


def test_popularity_of_every_span_fades_by_event_time() -> None:
    shop = Shop("new", "old")
    shop.clicks("old", at=NOW - 7 * 86_400)
    shop.clicks("new", at=NOW - 60)
    week = feature(shop, shop.taste(size=1), "popular_week")
    assert week["new"] == pytest.approx(0.5 * np.log1p(1.0), abs=1e-3)
    assert week["old"] == pytest.approx(0.5 * np.log1p(0.5), abs=1e-3)
    assert feature(shop, shop.taste(size=1), "popular_hour")["old"] < 1e-6


def test_likeness_to_the_last_item_and_the_profile() -> None:
    shop = Shop()
    for item_id, direction in {"a": (1, 0, 0.1), "b": (0, 1, 0.1), "a2": (1, 0.1, 0), "b2": (0.1, 1, 0)}.items():
        shop.stock(item_id, *direction)
    shop.stock("mute")
    taste = shop.taste("a", "b", "b", "b")
    last = feature(shop, taste, "like_last")
    assert last["a2"] > 0.9 > last["b2"]
    profile = feature(shop, taste, "like_profile")
    assert profile["a2"] > profile["b2"] > last["b2"]
    assert last["mute"] == profile["mute"] == 0.0


def test_never_clicked_items_are_flagged_and_have_no_age() -> None:
    shop = Shop("clicked", "fresh")
    shop.clicks("clicked")
    taste = shop.taste(size=2)
    assert feature(shop, taste, "never_clicked") == {"clicked": 0.0, "fresh": 1.0}
    assert feature(shop, taste, "age")["fresh"] == 0.0


def test_features_of_a_hundred_times_the_items_are_the_same() -> None:
    """Nothing in a feature depends on how long the catalogue is."""
    small = Shop("a", "b", "c")
    large = Shop("a", "b", "c", *(f"i{number}" for number in range(300)))
    for shop in (small, large):
        shop.clicks("a", "b", "c")
    for name in FEATURES:
        few, many = (feature(shop, shop.taste("a", size=2), name) for shop in (small, large))
        assert few["b"] == pytest.approx(many["b"], abs=1e-6)


@pytest.mark.parametrize(
    ("clicks", "ago", "expected"),
    [
        (1, 10.0, [1, 0, 0, 1, 0, 1]),
        (5, 7_200.0, [0, 1, 0, 0, 0, 1]),
        (12, 8 * 86_400.0, [0, 0, 1, 0, 1, 1]),
    ],
)
def test_facts_about_the_moment(clicks: int, ago: float, expected: list[int]) -> None:
    shop = Shop("a")
    facts = told_facts(shop, shop.taste("a", ago=ago, interactions=clicks))
    assert list(facts.values())[:6] == expected
    assert facts["clicks"] == pytest.approx(0.5 * np.log1p(clicks))


def test_the_best_candidate_is_behind_nobody() -> None:
    shop = Shop("a", "b", "c")
    shop.clicks("a", "b")
    shop.clicks("a", "b", "c")
    taste = shop.taste("a", size=2)
    own, behind = (feature(shop, taste, name) for name in ("together", "together_behind"))
    assert behind == pytest.approx({"b": 0.0, "c": own["c"] - own["b"]}, abs=1e-6)
    assert behind["c"] < 0.0


def test_facts_about_the_kind_of_items() -> None:
    shop = Shop("a", "b", "c")
    for _ in range(5):
        shop.clicks("a", at=NOW - 3_600)
    names = ("last_popular", "recent_popular", "recent_age")
    told = told_facts(shop, shop.taste("b", "a"))
    assert told["last_popular"] == 0.0
    assert told["recent_popular"] == pytest.approx(0.25 * np.log1p(5.0), abs=1e-3)
    assert np.isfinite(list(told_facts(shop, shop.taste()).values())).all()
    assert set(names) <= set(FACTS)


def test_had_ago_is_the_time_since_this_user_had_it() -> None:
    shop = Shop("a", "b", "c")
    taste = shop.taste("a", ago=3_600.0, size=3)
    told = feature(shop, taste, "had_ago", Habits(clicks=100.0, soon=50.0, later=50.0))
    assert told == pytest.approx({"a": 0.5 * np.log(2.0), "b": 0.0, "c": 0.0}, abs=1e-3)


def test_had_before_is_told_of_items_that_left_the_history() -> None:
    shop = Shop("a", "b")
    left = shop.view.columns.hashes[shop.view.rows(["b"])]
    told = feature(shop, shop.taste(left=left, size=2), "had_before", Habits(clicks=100.0, later=50.0))
    assert told == {"a": 0.0, "b": 1.0}


def test_sources_can_be_left_out_by_name_and_only_by_name() -> None:
    shop = Shop("a", "b")
    shop.clicks("a", "b")
    taste = shop.taste("a", size=1)
    pipeline = Pipeline(shop.view, Ranker(), RankingSettings(without=("clicked_together", "follows", "trending")))
    (found,) = pipeline.candidates([taste], [Lookup([])], [])
    assert found.proposers(0) == ("newest",)
    with pytest.raises(BadConfiguration, match="nonsense"):
        Pipeline(shop.view, Ranker(), RankingSettings(without=("nonsense",)))


def test_rules_of_the_caller() -> None:
    shop = Shop()
    shop.stock("a", categories=("tea", "red"))
    shop.stock("b", categories=("tea",))
    shop.stock("c", categories=("pot",))
    rows = shop.view.rows(["a", "b", "c"])
    keep, removed = allowed(shop.view, shop.taste(categories=("tea", "cup"), exclude=frozenset({"b"})), rows, Habits())
    assert keep.tolist() == [True, False, False]
    assert removed["asked_for"] == 2


def test_items_that_left_the_history_are_still_known_to_be_seen() -> None:
    shop = Shop("a", "b")
    left = shop.view.columns.hashes[shop.view.rows(["b"])]
    keep, _ = allowed(shop.view, shop.taste(left=left), shop.view.rows(["a", "b"]), Habits())
    assert keep.tolist() == [True, False]


scores = st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=80)


@given(scores, st.integers(1, 30), st.sampled_from([0.0, 0.15, 1.0]))
def test_a_selection_is_distinct_and_as_long_as_it_can_be(values: list[float], size: int, diversity: float) -> None:
    vectors = np.random.default_rng(len(values)).normal(size=(len(values), 4)).astype(np.float32)
    ordered, count = np.sort(np.array(values, np.float32))[::-1].copy(), min(size, len(values))
    chosen = diverse(ordered, vectors, count, diversity).tolist()
    assert len(set(chosen)) == len(chosen) == count
    assert ordered[chosen[0]] == max(values)


@given(scores, st.integers(0, 30))
def test_the_highest_come_in_order_and_ties_as_they_stand(values: list[float], count: int) -> None:
    singles = np.array(values, np.float32)
    assert highest(singles, count).tolist() == np.argsort(-singles, kind="stable")[:count].tolist()


def test_diversity_prefers_the_different_among_equals() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    assert diverse(np.array([1.0, 0.9, 0.9], np.float32), vectors, 2, 0.3).tolist() == [0, 2]


@pytest.mark.parametrize(("place", "expected"), [(0, [0, 1, 2]), (2, [0, 4, 1]), (3, [0, 1, 4]), (9, [0, 1, 2])])
def test_a_place_kept_for_what_nobody_clicked(place: int, expected: list[int]) -> None:
    values = np.array([5, 4, 3, 1, 2], np.float32)
    fresh = np.array([False, False, False, True, True])
    if place == 9:
        fresh[2] = True  # one made it by itself
    assert explored(np.arange(3), values, fresh, place).tolist() == expected


def test_coming_back_becomes_normal_when_enough_do() -> None:
    habits = Habits()
    for number in range(200):
        habits = noticed(habits, "a" if number % 10 == 0 else "x", 100_000.0, ("b", "a"), (99_999, 50))
    assert (habits.again_soon, habits.again_later) == (False, True)
    assert noticed(habits, "b", 100_000.0, ("b",), (99_999,)).soon == pytest.approx(1.0)
    assert noticed(Habits(), "a", 1.0, (), ()) == Habits()


def test_a_sampler_takes_all_at_first_and_then_a_steady_share() -> None:
    sampler = Sampler(7, per_second=1.0)
    picks = [sampler.picks(Source("clicks", 0, offset)) for offset in range(60_000)]
    assert all(picks[:1_900])
    assert np.mean(picks[-20_000:]) == pytest.approx(LEAST, abs=0.02)
    other = Sampler(7, per_second=1.0)
    assert [other.picks(Source("clicks", 0, offset)) for offset in range(5_000)] == picks[:5_000]


def test_no_more_lessons_a_second_than_allowed() -> None:
    sampler = Sampler(7, per_second=5.0)
    picked = []
    for tenth in range(50):
        sampler.refill(tenth / 10)
        picked.append(sum(sampler.picks(Source("clicks", 0, 10 * tenth + place)) for place in range(10)))
    assert sum(picked) == pytest.approx(5 + 4.9 * 5, abs=1)


def test_logarithms_and_halvings_are_what_the_library_says() -> None:
    values = np.array([0.0, *np.logspace(-9, 9, 2_000), np.inf], np.float32)
    told = np.array([_logs(value) for value in values])
    assert told[:-1] == pytest.approx(0.5 * np.log1p(values[:-1].astype(float)), abs=2e-6)
    assert told[-1] > LARGEST
    assert _logs(np.float32(-1.0)) == 0
    times = np.linspace(0, 120, 2_000, dtype=np.float32)
    assert [_halved(each) for each in times] == pytest.approx(np.exp2(-times.astype(float)), rel=1e-6)
    assert 0 <= _halved(np.float32(1e9)) < 1e-30

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from harness.shop import NOW, Shop

from stream_engine.ranking.candidates import Gatherer
from stream_engine.ranking.habits import Habits
from stream_engine.ranking.pool import STRENGTHS, roomy
from stream_engine.ranking.proposed import Candidates
from stream_engine.ranking.sources import BUDGETS, LISTING, Asking
from stream_engine.ranking.taste import Taste, moments_of
from stream_engine.ranking.weighing import WEIGHING, most_proposed, propose


def proposed(shop: Shop, name: str, taste: Taste, *matches: str) -> list[str]:
    asking = Asking([taste], moments_of([taste]), [shop.view.rows(matches)])
    return shop.named(LISTING[name](shop.view, asking)[0].tolist())


def strengths(shop: Shop, source: str, strength: str, taste: Taste) -> Mapping[str, float]:
    pairs = shop.view.columns.pairs
    pool = roomy(None, items=len(shop.view.ids), proposals=most_proposed(pairs, taste.heard))
    in_use = np.array([name == source for name in WEIGHING])
    propose(pairs, taste.heard, in_use, np.zeros(0, np.int64), pool)
    count = int(pool.used[0])
    weights = pool.strengths[:count, STRENGTHS.index(strength)].tolist()
    return {name: weight for name, weight in zip(shop.named(pool.rows[:count]), weights, strict=True) if weight > 0}


def gathered(shop: Shop, taste: Taste, *matches: str, habits: Habits | None = None) -> Candidates:
    (found,) = Gatherer(shop.view).gather([taste], [shop.view.rows(matches)], habits or Habits())
    return found


def test_clicked_together_is_a_cosine_of_counts() -> None:
    shop = Shop("a", "b", "c")
    shop.clicks("a", "b")
    shop.clicks("a", "b")
    shop.clicks("c", "b")
    told = strengths(shop, "clicked_together", "together", shop.taste("a"))
    assert told == pytest.approx({"b": 2 / np.sqrt((1 + 2) * (1 + 3))}, rel=1e-3)


def test_older_items_speak_more_softly_and_the_last_alone_has_its_own_strength() -> None:
    shop = Shop("a", "b", "x", "y")
    shop.clicks("a", "x")
    shop.clicks("b", "y")
    taste = shop.taste("a", "b")
    together = strengths(shop, "clicked_together", "together", taste)
    assert together["y"] == pytest.approx(0.8 * together["x"], rel=1e-3)
    assert strengths(shop, "clicked_together", "with_last", taste).keys() == {"x"}


def test_lately_forgets_and_after_knows_the_direction() -> None:
    shop = Shop("a", "old", "young")
    shop.clicks("a", "old", at=NOW - 40 * 86_400)
    shop.clicks("young", "a")
    taste = shop.taste("a")
    lately = strengths(shop, "clicked_together", "lately", taste)
    assert lately["old"] < 0.3 * lately["young"]
    assert strengths(shop, "clicked_together", "after", taste) == pytest.approx({"old": 1 / (2 + 3)}, rel=1e-3)


def test_follows_is_a_cautious_frequency() -> None:
    shop = Shop("a", "b", "c")
    shop.clicks("a", "b")
    shop.clicks("a", "b")
    shop.clicks("a", "c")
    assert strengths(shop, "follows", "follows", shop.taste("a")) == pytest.approx({"b": 2 / 6, "c": 1 / 6}, rel=1e-3)


def test_the_bridge_reaches_from_a_new_item_over_its_text_neighbours() -> None:
    shop = Shop("new", "like_it", "target")
    shop.clicks("like_it", "target")
    view = shop.view
    view.remember_similar(view.row("new"), view.rows(["like_it"]))
    view.settle(view.rows(["like_it"]).tolist())
    assert strengths(shop, "bridge", "bridge", shop.taste("new")).keys() == {"target"}


def test_similar_takes_turns_among_the_last_items() -> None:
    shop = Shop("a", "b", "a1", "a2", "b1")
    view = shop.view
    view.remember_similar(view.row("a"), view.rows(["a1", "a2"]))
    view.remember_similar(view.row("b"), view.rows(["b1"]))
    assert proposed(shop, "similar", shop.taste("a", "b")) == ["a1", "b1", "a2"]


def test_interests_are_what_the_index_found_and_the_view_knows() -> None:
    shop = Shop("a", "b")
    assert proposed(shop, "interests", shop.taste(), "b", "unheard", "a") == ["b", "a"]


def test_trending_takes_turns_among_the_spans_of_time() -> None:
    shop = Shop("now", "ever")
    for _ in range(5):
        shop.clicks("ever", at=NOW - 30 * 86_400)
    shop.clicks("now")
    assert proposed(shop, "trending", shop.taste())[:4] == ["now", "now", "now", "ever"]


def test_trending_in_the_categories_that_tell_the_user_from_others() -> None:
    shop = Shop()
    for number in range(30):
        shop.stock(f"other{number}", categories=("all",))
    for item_id in ("a", "b"):
        shop.stock(item_id, categories=("all", "rare"))
    shop.clicks("b")
    shop.clicks("other1")
    assert proposed(shop, "trending_in_category", shop.taste("a"))[0] == "b"
    assert proposed(shop, "trending_in_category", shop.taste()) == []
    assert proposed(shop, "trending_in_category", shop.taste(categories=("rare",))) == ["b"]


def test_newest_are_the_last_taken_up_and_the_last_first_clicked() -> None:
    shop = Shop()
    shop.stock("old", first_seen=NOW - 2.0)
    shop.stock("young", first_seen=NOW - 1.0)
    shop.stock("ancient", first_seen=NOW - 40 * 86_400)
    shop.clicks("old")
    assert proposed(shop, "newest", shop.taste()) == ["young", "old", "old"]


def test_newest_to_the_users_taste_come_first() -> None:
    shop = Shop()
    shop.stock("mine", 1.0, 0.1, first_seen=NOW - 7.0)
    shop.stock("alike", 1.0, 0.2, first_seen=NOW - 5.0)
    shop.stock("other", 0.1, 1.0, first_seen=NOW - 4.0)
    assert proposed(shop, "newest", shop.taste("mine"))[:3] == ["mine", "alike", "other"]
    assert proposed(shop, "newest", shop.taste())[0] == "other"


def test_again_counts_and_knows_what_left_the_history() -> None:
    shop = Shop("a", "b", "gone", "never")
    left = shop.view.columns.hashes[shop.view.rows(["gone"])]
    told = strengths(shop, "again", "again", shop.taste("a", "b", "a", left=left))
    assert list(told) == ["a", "b", "gone"]
    assert list(told.values()) == sorted(told.values(), reverse=True)
    assert told == pytest.approx({"a": 2.0, "b": 1.0, "gone": 1.0}, abs=0.11)


def test_every_part_keeps_to_its_budget_and_every_candidate_names_its_proposers() -> None:
    shop = Shop(*(f"i{number}" for number in range(400)))
    rng = np.random.default_rng(1)
    for _ in range(300):
        shop.clicks(*(f"i{number}" for number in rng.integers(0, 400, 6)))
    taste = shop.taste("i1", "i2", "i3")
    found = gathered(shop, taste, *(f"i{number}" for number in range(200)))
    assert len(set(found.rows.tolist())) == len(found.rows)
    names = [found.proposers(position) for position in range(len(found.rows))]
    assert all(names)
    for name, budget in BUDGETS.items():
        assert sum(name in each for each in names) <= budget
    assert found.strengths.shape == (len(found.rows), len(STRENGTHS))


def test_nothing_forbidden_is_a_candidate() -> None:
    shop = Shop("a", "free")
    shop.stock("gone", available=False)
    shop.stock("late", expires_at=NOW - 1)
    shop.stock("soon", published_at=NOW + 1)
    for item_id in ("gone", "late", "soon", "free", "stub"):
        shop.clicks("a", item_id)
    found = gathered(shop, shop.taste("a", size=1))
    assert shop.named(found.rows.tolist()) == ["free"]
    assert found.removed == {"available": 2, "current": 2, "asked_for": 0, "unseen": 1}


def test_someone_who_has_seen_everything_gets_it_again() -> None:
    shop = Shop("a", "b")
    assert set(shop.named(gathered(shop, shop.taste("a", "b")).rows.tolist())) == {"a", "b"}


def test_too_few_candidates_are_topped_up_from_the_catalogue() -> None:
    shop = Shop(*(f"i{number}" for number in range(50)))
    found = gathered(shop, shop.taste("i0", exclude=frozenset({"i1"}), size=45))
    names = shop.named(found.rows.tolist())
    assert len(names) == 48
    assert not {"i0", "i1"} & set(names)


def test_an_empty_catalogue_has_no_candidates() -> None:
    shop = Shop()
    assert len(gathered(shop, shop.taste()).rows) == 0


@pytest.mark.parametrize(
    ("habits", "shown"),
    [
        (Habits(), set()),
        (Habits(clicks=1_000.0, later=500.0), {"long_ago"}),
        (Habits(clicks=1_000.0, soon=500.0), {"just_now"}),
        (Habits(clicks=1_000.0, soon=500.0, later=500.0), {"just_now", "long_ago"}),
    ],
)
def test_what_was_had_is_shown_where_people_come_back(habits: Habits, shown: set[str]) -> None:
    shop = Shop("just_now", "long_ago", *(f"i{number}" for number in range(9)))
    times = (int(NOW) - 60, int(NOW) - 90_000)
    found = gathered(shop, shop.taste("just_now", "long_ago", times=times), habits=habits)
    assert set(shop.named(found.rows.tolist())) & {"just_now", "long_ago"} == shown

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from zlib import crc32

import numpy as np
import pytest
from harness.records import statistics
from hypothesis import given
from hypothesis import strategies as st

from stream_engine.errors import PoisonEvent
from stream_engine.items.bounded import BestFew
from stream_engine.items.record import CatalogueRecord
from stream_engine.items.space import fitted, plain
from stream_engine.items.statistics import ItemStatistics, encode_statistics, packed
from stream_engine.items.view import ItemView
from stream_engine.settings import StatisticsSettings
from stream_engine.users import item_hash
from stream_engine.vectors import Vector, unit

SETTINGS = StatisticsSettings(half_lives=(10.0, 100.0), neighbours=3, followers=2)


def new_view(dimensions: int = 8) -> ItemView:
    return ItemView(dimensions, SETTINGS, fingerprint="m")


def record(item_id: str, vector: Vector | None = None, **fields: object) -> CatalogueRecord:
    return CatalogueRecord(item_id, vector=vector, fingerprint="m", **fields)


def stats(
    clicks: float = 1.0, at: float = 50.0, together: Mapping[str, float] = MappingProxyType({}), **fields: object
) -> ItemStatistics:
    weights = packed(together.values())
    return statistics(
        at,
        clicks=clicks,
        first_click=at,
        last_click=at,
        popularity=(clicks, clicks),
        pairs=sum(together.values()),
        neighbours=tuple(together),
        together=weights,
        lately=weights,
        after=weights,
        **fields,
    )


def neighbours(view: ItemView, item_id: str) -> dict[str, float]:
    row = view.row(item_id)
    view.settle([row])
    columns = view.columns
    pairs = zip(columns.neighbours[row].tolist(), columns.together[row].tolist(), strict=True)
    return {view.ids[other]: weight for other, weight in pairs if other >= 0}


def test_items_come_change_and_go() -> None:
    view = new_view()
    view.put(record("a"))
    view.put(record("b", available=False))
    view.put(record("a", categories=("x",)))
    assert len(view) == 2
    assert "a" in view
    assert view.categories[view.row("a")] == ("x",)
    view.remove("a")
    view.remove("nobody")
    assert len(view) == 1
    assert "a" not in view
    assert [view.ids[row] for row in view.all_rows()] == ["b"]


def test_vectors_keep_their_direction_and_another_models_are_not_taken() -> None:
    rng = np.random.default_rng(1)
    vector = unit(rng.normal(size=384).astype(np.float32))
    view = new_view(384)
    view.put(record("a", vector))
    assert view.vector("a") @ vector > 0.9999
    view.put(CatalogueRecord("b", vector=vector, fingerprint="other"))
    assert view.vector("b") is None
    assert view.vector("nobody") is None


@pytest.mark.parametrize("bad", [np.zeros(8, np.float32), np.full(8, np.nan, np.float32)])
def test_a_vector_of_zeros_or_nan_is_none(bad: Vector) -> None:
    view = new_view()
    view.put(record("a", bad))
    assert view.vector("a") is None
    assert np.isfinite(view.columns.norms[view.row("a")])


def test_the_strongest_neighbours_are_seen_even_before_they_are_announced() -> None:
    view = new_view()
    for item_id in "bcde":
        view.put_statistics(item_id, stats(together={"a": 1.0}))
    pairs = {"unheard": 9.0, "b": 1.0, "c": 3.0, "d": 2.0, "e": 0.5}
    view.put_statistics("a", stats(together=pairs, followers={"c": 2.0, "unheard": 1.0}))
    assert neighbours(view, "a") == {"c": 3.0, "d": 2.0, "b": 1.0}
    assert len(view) == 0
    view.put(record("c"))
    assert neighbours(view, "a") == {"c": 3.0, "d": 2.0, "b": 1.0}
    row = view.row("a")
    assert view.columns.followers[row].tolist() == [view.row("c"), -1]


def test_a_reused_row_is_nobodys_neighbour() -> None:
    view = new_view()
    view.put(record("a"))
    gone = [f"gone{number}" for number in range(80)]
    for item_id in gone:
        view.put(record(item_id))
    view.put_statistics("a", stats(together={gone[3]: 1.0}))
    assert neighbours(view, "a") == {gone[3]: 1.0}
    rows = {view.row(item_id) for item_id in gone}
    for item_id in gone:
        view.remove(item_id)
    view.put(record("fresh"))
    assert view.row("fresh") in rows
    assert neighbours(view, "a") == {}
    assert view.row(gone[3]) is None


def test_a_reused_row_is_as_good_as_new() -> None:
    view = new_view()
    view.put(record("a"))
    for number in range(80):
        view.put(record(f"gone{number}"))
        view.put_statistics(f"gone{number}", stats(clicks=9.0, together={"a": 100.0}))
    view.settle(view.all_rows().tolist())
    for number in range(80):
        view.remove(f"gone{number}")
        view.forget_statistics(f"gone{number}")
    view.put(record("fresh0"))
    row = view.row("fresh0")
    assert row <= 80
    assert (view.columns.clicks[row], view.columns.settled[row]) == (0.0, 0.0)
    view.put_statistics("fresh0", stats(together={"a": 1.0}))
    assert neighbours(view, "fresh0") == {"a": 1.0}


def test_weights_beyond_half_precision_stay_finite_and_first() -> None:
    view = new_view()
    for item_id in "bc":
        view.put(record(item_id))
    view.put_statistics("a", stats(together={"b": 1e9, "c": 1.0}, followers={"b": 1e9}))
    assert list(neighbours(view, "a")) == ["b", "c"]
    assert np.isfinite(view.columns.together).all()
    assert np.isfinite(view.columns.follows).all()


def test_of_many_changes_the_oldest_settle_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_engine.items.neighbours.WAITING", 100)
    view = new_view()
    for number in range(105):
        view.put_statistics(f"i{number}", stats(together={f"i{number + 1}": 1.0}))
        settled = np.count_nonzero(view.columns.settled)
        assert settled == max(0, number - 99)
    assert [view.columns.settled[view.row(f"i{number}")] for number in range(6)] == [1.0] * 5 + [0.0]


def test_statistics_as_they_are_stored_say_the_same() -> None:
    said = stats(3.0, together={"b": 2.0, "c": 1.0}, followers={"c": 1.0})
    views = [new_view(), new_view()]
    for view in views:
        for item_id in "abc":
            view.put(record(item_id))
    views[0].put_statistics("a", said)
    views[1].put_encoded("a", encode_statistics(said))
    assert [neighbours(view, "a") for view in views] == [{"b": 2.0, "c": 1.0}] * 2
    for name in ("clicks", "first_click", "last_click", "popularity", "rarity", "followed", "followers", "follows"):
        ours, theirs = (getattr(view.columns, name)[view.row("a")] for view in views)
        np.testing.assert_array_equal(ours, theirs)


def test_statistics_that_cannot_be_read_further_are_told_of_and_left(caplog: pytest.LogCaptureFixture) -> None:
    view = new_view()
    view.put_encoded("a", encode_statistics(stats(3.0, together={"b": 1.0}))[:-2] + b"\x80\xc0")  # no watermarks
    assert view.columns.clicks[view.row("a")] == 3.0
    assert neighbours(view, "a") == {}
    assert "unreadable statistics" in caplog.text
    with pytest.raises(PoisonEvent):
        view.put_encoded("a", b"\x01nothing")


def test_an_item_that_comes_back_keeps_its_neighbours() -> None:
    view = new_view()
    view.put(record("a"))
    view.put(record("b"))
    view.put_statistics("a", stats(together={"b": 1.0}))
    view.remove("b")
    view.put(record("b"))
    assert neighbours(view, "a") == {"b": 1.0}


def test_the_popular_are_ranked_as_of_now_not_as_of_their_last_click() -> None:
    view = new_view()
    for item_id in ("old", "young", "never"):
        view.put(record(item_id, categories=("all", item_id)))
    view.put_statistics("old", stats(clicks=8.0, at=0.0))
    view.put_statistics("young", stats(clicks=2.0, at=50.0))
    fast, slow = [[view.ids[row] for row in best.rows()] for best in view.trending]
    assert fast == ["young", "old"]  # 8 clicks 5 half-lives ago are worth a quarter
    assert slow == ["old", "young"]
    assert [view.ids[row] for row in view.shelves["all"].rows()] == ["old", "young"]
    assert view.category_sizes["all"] == 3
    view.remove("old")
    assert [view.ids[row] for row in view.trending[1].rows()] == ["young"]


def test_statistics_may_come_before_the_item() -> None:
    view = new_view()
    view.put_statistics("a", stats())
    assert len(view.trending[0].rows()) == 0
    view.put(record("a"))
    assert [view.ids[row] for row in view.trending[0].rows()] == ["a"]


def test_many_items_keep_their_facts_while_the_view_grows() -> None:
    view = new_view()
    for number in range(3_000):
        view.put(record(f"i{number}", first_seen=float(number)))
    assert len(view) == 3_000
    assert view.columns.first_seen[view.row("i17")] == 17.0
    assert view.ids[view.newest.rows()[0]] == "i2999"


def test_hashes_are_those_of_the_users_state() -> None:
    view = new_view()
    view.put(record("ä"))
    assert view.columns.hashes[view.row("ä")] == item_hash("ä") == crc32("ä".encode())


def test_a_row_is_there_for_what_is_announced_or_counted_and_for_nothing_else() -> None:
    view = new_view()
    view.put_statistics("a", stats(together={"unheard": 1.0}))
    view.settle([view.row("a")])
    assert (view.row("unheard"), len(view.ids)) == (None, 1)
    view.put(record("a", categories=("x",)))
    view.remove("a")
    assert view.columns.clicks[view.row("a")] == 1.0
    view.put(record("a", categories=("x",)))
    view.forget_statistics("a")
    view.forget_statistics("unheard")
    row = view.row("a")
    assert "a" in view
    assert (view.columns.clicks[row], view.columns.rarity[row], view.columns.known[row]) == (0.0, 0.0, True)
    for best in (*view.trending, view.emerging, view.shelves["x"]):
        assert not len(best.rows())
    assert [view.ids[row] for row in view.newest.rows()] == ["a"]


def test_statistics_that_come_and_go_take_no_more_rows_and_nobody_keeps_a_false_neighbour() -> None:
    view = new_view()
    rng, kept = np.random.default_rng(7), [f"item{number}" for number in range(1_500)]
    for item_id in kept:
        view.put(record(item_id))
    for number in range(3_000):
        view.put_statistics(f"once{number}", stats())
        view.forget_statistics(f"once{number - 300}")
        item_id = kept[number % 10]
        view.put_statistics(item_id, stats(together={kept[3]: 1.0, f"once{number - int(rng.integers(400))}": 2.0}))
        view.settle([view.row(item_id)])
        for row in view.columns.neighbours[view.rows(kept[:10])].ravel().tolist():
            assert row == -1 or row == view.row(kept[3]) or int(view.ids[row][4:]) <= number
    assert len(view.ids) < 1_500 + 300 + 200
    assert len(view._rows) == len(view.ids) - len(view._clean)
    assert len(view._hashes._young) <= len(view.ids)


def test_an_item_that_comes_and_goes_for_ever_is_one_item() -> None:
    view = new_view()
    for _ in range(2_000):
        view.put(record("a", categories=("x",)))
        view.put_statistics("a", stats())
        view.remove("a")
        view.forget_statistics("a")
    assert (len(view.ids), len(view._released), len(view._neighbours._waiting), len(view.shelves)) == (1, 1, 0, 0)


@given(st.lists(st.tuples(st.sampled_from(["put", "count", "remove", "forget"]), st.integers(0, 120)), max_size=600))
def test_whatever_comes_and_goes_each_item_has_its_own_facts(steps: list[tuple[str, int]]) -> None:
    view, known, counted = new_view(), dict[str, float](), dict[str, float]()
    for at, (step, number) in enumerate(steps, start=1):
        item_id = f"i{number}"
        if step == "put":
            known[item_id] = float(at)
            view.put(record(item_id, first_seen=float(at)))
        elif step == "count":
            counted[item_id] = float(at)
            view.put_statistics(item_id, stats(clicks=float(at)))
        elif step == "remove":
            known.pop(item_id, None)
            view.remove(item_id)
        else:
            counted.pop(item_id, None)
            view.forget_statistics(item_id)
        hashes = np.array([item_hash(item_id)], np.uint32)
        assert set(view.rows_by_hash(hashes).tolist()) >= {
            view.row(each) for each in (known.keys() | counted) & {item_id}
        }
    assert {view.ids[row]: view.columns.first_seen[row] for row in view.all_rows()} == known
    columns = view.columns
    assert {each: columns.clicks[row] for each, row in view._rows.items() if columns.counted[row]} == counted
    assert all(view.ids[row] == each for each, row in view._rows.items())


def test_items_are_found_by_hash_while_they_come_and_go() -> None:
    view = new_view()

    def found(*item_ids: str) -> set[str]:
        hashes = np.array([item_hash(item_id) for item_id in item_ids], np.uint32)
        rows = view.rows_by_hash(hashes)
        assert rows.dtype == np.int64  # of another, compiled loops would be compiled once more
        return {view.ids[row] for row in rows if view.columns.known[row]}

    assert found("i7") == set()
    for number in range(400):
        view.put(record(f"i{number}"))
        assert found("i0", f"i{number}", "unheard") == {"i0", f"i{number}"}
    for number in range(100):
        view.remove(f"i{number}")
    view.put(record("fresh"))
    assert found("i1", "i300", "fresh") == {"i300", "fresh"}
    assert found() == set()


def test_a_row_costs_less_than_two_and_a_half_kilobytes() -> None:
    assert ItemView(384, StatisticsSettings()).columns.bytes_per_row <= 2_200  # and some 250 for the id


def test_the_best_few_are_the_best() -> None:
    rng = np.random.default_rng(3)
    scores = rng.permutation(5_000)
    best = BestFew(50)
    for row, score in enumerate(scores.tolist()):
        best.offer(row, score)
    expected = np.argsort(-scores)[:50]
    assert set(best.rows().tolist()) == set(expected.tolist())
    best.forget(int(expected[0]))
    assert int(expected[0]) not in best.rows()


def test_probes_are_cosines_in_the_whitened_space() -> None:
    rng = np.random.default_rng(5)
    rows = unit((rng.normal(size=(500, 16)) * np.linspace(3, 0.1, 16) + 1.0).astype(np.float32))
    space = fitted(rows)
    spread, axes = np.linalg.eigh(space.metric.astype(np.float64))
    whitened = (rows - space.mean) @ (axes * np.sqrt(spread))
    whitened /= np.linalg.norm(whitened, axis=1, keepdims=True)
    probe = space.probes(rows[:1] - space.mean)[0]
    cosines = (rows - space.mean) @ probe / space.norms(rows)
    assert cosines == pytest.approx(whitened @ whitened[0], abs=1e-4)
    assert np.abs(cosines[1:]).mean() < np.abs(rows[1:] @ rows[0]).mean()


def test_before_there_are_texts_cosines_are_plain() -> None:
    rows = unit(np.random.default_rng(2).normal(size=(5, 8)).astype(np.float32))
    space = plain(8)
    assert rows @ space.probes(rows[:1])[0] / space.norms(rows) == pytest.approx(rows @ rows[0], abs=1e-6)


def test_the_space_is_fitted_once_there_are_texts() -> None:
    rng = np.random.default_rng(4)
    view = new_view(8)
    for number in range(70):
        view.put(record(f"i{number}", unit((rng.normal(size=8) + 2.0).astype(np.float32))))
    assert np.linalg.norm(view.space.mean) > 0.5
    rows = view.all_rows()
    assert view.columns.norms[rows] == pytest.approx(view.space.norms(view.vectors(rows)), abs=1e-5)


def test_categories_nobody_is_in_are_not_kept() -> None:
    view = ItemView(2, StatisticsSettings())
    for number in range(3_000):
        view.put(CatalogueRecord("x", categories=(f"c{number}", f"d{number}")))
        view.put(CatalogueRecord("y", categories=("all", "all")))
    assert set(view.shelves) == set(view.category_sizes) == {"c2999", "d2999", "all"}
    assert len(view._interned) < 2_000
    view.remove("x")
    view.remove("y")
    assert not view.shelves

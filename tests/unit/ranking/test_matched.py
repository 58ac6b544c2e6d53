from __future__ import annotations

from pathlib import Path

import numpy as np
from harness.shop import DIMENSIONS, Shop

from stream_engine.index.edge import EdgeIndex
from stream_engine.index.found import Found, found
from stream_engine.index.protocol import Match, Point, Query, ranked
from stream_engine.ranking.matched import MatchedRows

ALONG = np.eye(DIMENSIONS, dtype=np.float32)[0]


async def opened(directory: Path) -> EdgeIndex:
    index = EdgeIndex(directory, DIMENSIONS)
    await index.ensure()
    return index


def named(shop: Shop, matched: MatchedRows, names: list[str], *numbers: int) -> list[str]:
    return shop.named(matched.rows(Found(np.array(numbers), np.zeros(len(numbers)), names)).tolist())


def test_numbers_tell_the_same_as_names() -> None:
    names = [f"i{number}" for number in range(9)]
    for scores in ([0.9, 0.8, 0.7], [0.9, 0.9 - 1e-9, 0.9 - 2e-9], [0.9, 0.5, 0.5]):
        for limit in (0, 2, 3):
            matches = found([7, 3, 5], scores, names, limit)
            assert matches == ranked(["i7", "i3", "i5"], scores, limit)
            assert matches.item_ids == [match.item_id for match in matches]
    assert found([], [], names, 3) == []


def test_what_comes_later_and_what_never_comes() -> None:
    shop = Shop("a", "b")
    matched, names = MatchedRows(shop.view), ["a", "b", "late"]
    assert named(shop, matched, names, 1, 2, 0) == ["b", "a"]
    shop.stock("late")
    names.append("more")
    shop.stock("more")
    assert named(shop, matched, names, 3, 1, 2, 0) == ["more", "b", "late", "a"]
    assert matched.rows([Match("b", 1.0), Match("unheard", 0.5)]).tolist() == [shop.view.row("b")]


def test_other_numbers_and_rows_that_became_other_items() -> None:
    shop = Shop(*(f"i{number}" for number in range(200)))
    matched = MatchedRows(shop.view)
    names = [f"i{number}" for number in range(200)]
    assert named(shop, matched, names, *range(200)) == names
    assert named(shop, matched, names[::-1], *range(200)) == names[::-1]
    gone = {f"i{number}": shop.view.row(f"i{number}") for number in range(100)}
    for item_id in gone:
        shop.view.remove(item_id)
    fresh = [f"new{number}" for number in range(50)]
    for item_id in fresh:
        shop.stock(item_id)
    assert {shop.view.row(item_id) for item_id in fresh} & set(gone.values())
    assert named(shop, matched, names[::-1], *range(200)) == names[:99:-1]


async def test_an_index_that_forgot_an_item_and_one_that_was_opened_again(tmp_path: Path) -> None:
    shop = Shop("a", "b", "c")
    matched = MatchedRows(shop.view)
    index = await opened(tmp_path / "shard")
    await index.upsert([Point(item_id, ALONG) for item_id in ("c", "b", "a")])
    for gone in ("c", "b"):
        (before,) = await index.search([Query(ALONG, 9)])
        assert gone in shop.named(matched.rows(before).tolist())
        await index.delete([gone])
        (after,) = await index.search([Query(ALONG, 9)])
        assert gone not in shop.named(matched.rows(after).tolist())
    await index.close()
    index = await opened(tmp_path / "shard")
    await index.upsert([Point(item_id, ALONG) for item_id in ("b", "c")])
    (found_again,) = await index.search([Query(ALONG, 9)])
    assert isinstance(found_again, Found)
    assert shop.named(matched.rows(found_again).tolist()) == ["a", "b", "c"] == found_again.item_ids
    await index.close()

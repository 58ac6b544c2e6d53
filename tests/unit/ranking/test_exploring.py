from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from harness.shop import DIMENSIONS, Shop

from stream_engine.errors import Unavailable
from stream_engine.index.memory import MemoryIndex
from stream_engine.index.protocol import Match, Point, Query
from stream_engine.ranking.exploring import AT_ONCE, Explorer, is_explored


class Noting(MemoryIndex):
    """Notes how many it is asked at once; away while told so."""

    def __init__(self) -> None:
        super().__init__(DIMENSIONS)
        self.asked: list[int] = []
        self.away = False

    async def search(self, queries: Sequence[Query]) -> list[list[Match]]:
        if self.away:
            raise Unavailable("index", "told to be away")
        self.asked.append(len(queries))
        return await super().search(queries)


async def shop_and_index(items: int) -> tuple[Shop, Noting]:
    shop, index, rng = Shop(), Noting(), np.random.default_rng(3)
    for number in range(items):
        shop.stock(f"i{number}", *rng.normal(size=DIMENSIONS).tolist())
    ids = [f"i{number}" for number in range(items)]
    await index.upsert([Point(item_id, shop.view.vector(item_id)) for item_id in ids])
    return shop, index


async def test_every_item_is_looked_up_once_a_few_at_a_time() -> None:
    shop, index = await shop_and_index(30)
    shop.stock("mute")
    explorer = Explorer(shop.view, index)
    while await explorer.step():
        pass
    assert sum(index.asked) == 30
    assert max(index.asked) == AT_ONCE
    assert all(is_explored(shop.view, row) for row in range(31))


async def test_what_is_found_is_near_and_never_the_item_itself() -> None:
    shop, index = await shop_and_index(40)
    explorer = Explorer(shop.view, index)
    while await explorer.step():
        pass
    for row in range(40):
        similar = shop.view.columns.similar[row].tolist()
        assert row not in similar
        assert len(set(similar)) == len(similar) == 16
        nearest = await index.search([Query(shop.view.vector(f"i{row}"), 40)])
        assert similar[0] in shop.view.rows([match.item_id for match in nearest[0][:8]])


async def test_those_clicked_most_come_first_and_a_grown_catalogue_is_asked_again() -> None:
    shop, index = await shop_and_index(30)
    for number in range(20, 20 + AT_ONCE):
        shop.clicks(f"i{number}")
    explorer = Explorer(shop.view, index)
    assert await explorer.step() == AT_ONCE
    assert all(is_explored(shop.view, shop.view.row(f"i{number}")) for number in range(20, 20 + AT_ONCE))
    for number in range(5):
        shop.stock(f"new{number}", 1.0, float(number))
    assert not is_explored(shop.view, shop.view.row("i20"))


async def test_an_index_that_is_away_or_empty_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_engine.ranking.exploring.AGAIN", 0.001)
    shop, index = await shop_and_index(3)
    empty = Explorer(shop.view, MemoryIndex(DIMENSIONS))
    assert await empty.step() == 0
    index.away = True
    running = asyncio.create_task(Explorer(shop.view, index).run())
    await asyncio.sleep(0.01)
    index.away = False
    async with asyncio.timeout(5):
        while not is_explored(shop.view, 2):  # noqa: ASYNC110 - nothing to wait on
            await asyncio.sleep(0.001)
    running.cancel()

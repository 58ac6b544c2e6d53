"""Exact search in memory where it is large, or all the same."""

import threading
from typing import Any

import numpy as np
import pytest

from stream_engine.index import memory
from stream_engine.index.memory import MemoryIndex
from stream_engine.index.protocol import Match, Point, Query, ranked
from stream_engine.vectors import unit

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("batch", [1, 2, 5, 33])
async def test_equal_vectors_are_taken_in_order_of_item_id(batch: int) -> None:
    """Though a product may differ in its last digit from row to row."""
    index = MemoryIndex(384)
    [same] = unit(RNG.standard_normal((1, 384)))
    await index.upsert([Point(f"{number:04}", same) for number in RNG.permutation(2_500)])
    queries = [Query(vector, 5) for vector in unit(RNG.standard_normal((batch, 384)))]
    for matches in await index.search(queries):
        assert [match.item_id for match in matches] == ["0000", "0001", "0002", "0003", "0004"]


async def test_large_searches_run_off_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    scores = memory._scores

    def noted(*args: Any) -> Any:
        threads.append(threading.current_thread())
        return scores(*args)

    monkeypatch.setattr(memory, "_scores", noted)
    monkeypatch.setattr(memory, "INLINE_SCORES", 20)
    index = MemoryIndex(4)
    await index.upsert([Point(str(number), vector) for number, vector in enumerate(unit(np.eye(4)))])
    query = Query(np.eye(4, dtype=np.float32)[1], 1)
    small, large = await index.search([query] * 5), await index.search([query] * 6)
    assert (small[0], large) == ([Match("1", 1.0)], [[Match("1", 1.0)]] * 6)
    assert [thread is threading.main_thread() for thread in threads] == [True, False]


def test_scores_on_either_side_of_where_rounding_turns_are_equal() -> None:
    found = ranked(["c", "b", "a"], [0.5, 0.1234565001, 0.1234564999], 3)
    assert [match.item_id for match in found] == ["c", "a", "b"]
    assert found[1].score == found[2].score

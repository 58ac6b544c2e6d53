"""What is compiled gives what the same lines give when they are interpreted, and all of it is ready at the start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness.shop import NOW, Shop

from stream_engine.events import Interaction, Received, Source
from stream_engine.index import protocol
from stream_engine.index.protocol import Match, Query
from stream_engine.items import neighbours
from stream_engine.ranking import (
    candidates,
    choice,
    features,
    news,
    pipeline,
    ranker,
    reasons,
    selectors,
    sources,
    taste,
    weighing,
)
from stream_engine.ranking.pipeline import Lookup, Pipeline
from stream_engine.ranking.ranker import Ranker
from stream_engine.ranking.warmup import warm_up
from stream_engine.settings import RankingSettings, UserSettings
from stream_engine.users import UserState, advance, interest_vectors, interests

RANKING = (candidates, choice, features, news, pipeline, ranker, reasons, selectors, sources, taste, weighing)
MODULES = (interests, neighbours, protocol, *RANKING)


def lists() -> list[list[object]]:
    """Of some users of a shop, what each is shown and why; the ranker learns in between."""
    rng = np.random.default_rng(11)
    shop = Shop()
    for number in range(60):
        shop.stock(f"i{number}", *rng.normal(size=6).tolist(), categories=(f"c{number % 7}",))
    shop.stock("mute")
    for number in range(80):
        shop.clicks(*(f"i{item}" for item in rng.zipf(1.4, 6) % 50), at=NOW - 100_000 + 100 * number)
    pipeline = Pipeline(shop.view, Ranker(), RankingSettings())
    told: list[list[object]] = []
    for user in range(12):
        mine = [f"i{item}" for item in np.random.default_rng(user).choice(60, user % 5, replace=False)]
        left = shop.view.columns.hashes[shop.view.rows([f"i{user}"])]
        taste, lookup = shop.taste(*mine, size=10, left=left), Lookup([Query(np.ones(8, np.float32), 1)])
        (found,) = pipeline.candidates([taste], [lookup], [[Match("i55", 0.4)]])
        told.append([[item.item_id, item.score, item.source, str(item.reasons)] for item in pipeline.made([found])[0]])
        pipeline.learn(found, f"i{user + 20}")
    return told


def lives() -> list[list[list[float]]]:
    """What some users are interested in after sixty things they did: directions, times lengths."""
    rng = np.random.default_rng(5)
    tastes, told = rng.normal(size=(5, 6)), []
    for user in range(6):
        state = None
        for offset, kind in enumerate(rng.integers(0, 1 + user % 5, 60).tolist()):
            vector = (tastes[kind] + 0.3 * rng.normal(size=6)).astype(np.float32)
            done = Interaction(user_id="u", event_type="click" if offset % 7 else "dislike", timestamp=NOW + offset)
            state = advance(state, Received(done, Source("clicks", 0, offset)), vector, UserSettings())
        directions, lengths = interest_vectors(state or UserState())
        told.append((directions * lengths[:, None]).tolist())
    return told


def interpreted(name: str) -> Any:
    """What this module's function gives where nothing is compiled."""
    return elsewhere(name, NUMBA_DISABLE_JIT="1")


def elsewhere(name: str, **environment: str) -> Any:
    """What this module's function gives in a process of its own."""
    script = f"import sys, json; sys.path[:0] = {sys.path!r}; from unit.ranking.test_compiled import {name} as asked; "
    done = subprocess.run(
        [sys.executable, "-c", script + "print(json.dumps(asked()))"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_compiled_and_interpreted_interests_are_the_same() -> None:
    for mine, other in zip(lives(), interpreted("lives"), strict=True):
        assert len(mine) > 0
        assert np.allclose(mine, other, atol=0.02)


def test_compiled_and_interpreted_lists_are_the_same() -> None:
    plain, made = interpreted("lists"), lists()
    assert len(made) == len(plain) == 12
    for mine, other in zip(made, plain, strict=True):
        assert [row[0::2] for row in mine] == [row[0::2] for row in other]
        assert [row[1] for row in mine] == pytest.approx([row[1] for row in other], abs=1e-4)


def test_what_is_kept_is_void_once_a_file_beside_it_changed(tmp_path: Path) -> None:
    """Numba itself would look at the file of the caller only."""
    (tmp_path / "caller.py").write_text(CALLER)
    for factor in (2, 30):
        (tmp_path / "called.py").write_text(CALLED.format(factor=factor))
        for _ in range(2):  # made, then kept
            done = subprocess.run(
                [sys.executable, "-c", "import caller; print(caller.outer(1))"],
                env=os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
                capture_output=True,
                text=True,
                check=True,
            )
            assert int(done.stdout) == factor


CALLED = """
from stream_engine.compiled import compiled
@compiled
def inner(number): return {factor} * number
"""
CALLER = """
from called import inner
from stream_engine.compiled import compiled
@compiled
def outer(number): return inner(number)
"""


def test_a_worker_that_is_warm_compiles_nothing_more() -> None:
    before, after = elsewhere("compiled_by_warm_up_and_later")
    assert after == before
    assert len(before) > 15


def compiled_by_warm_up_and_later() -> list[dict[str, int]]:
    """What is compiled once a process is warm, and once it has made lists."""
    warm_up()
    before = compilations()
    lists()
    lives()
    return [before, compilations()]


def compilations() -> dict[str, int]:
    """How many kinds of arguments each function is compiled for."""
    return {
        f"{module.__name__}.{name}": len(each.signatures)
        for module in MODULES
        for name, each in vars(module).items()
        if hasattr(each, "signatures")
    }

"""The worker's encoder: each text once, from the cache where it can, off the event loop."""

import asyncio
import threading

import numpy as np
import pytest

from stream_engine.encoder.batching import BatchingEncoder
from stream_engine.encoder.cache import VectorCache
from stream_engine.errors import Unavailable


class Recorder:
    """A model of two dimensions and two texts a run that notes what it was asked, and may be held up or fail."""

    fingerprint = "recorder"
    dimensions = 2

    def __init__(self):
        self.batches = []
        self.threads = set()
        self.started = threading.Event()
        self.go = threading.Event()
        self.go.set()
        self.failure = None

    def plan(self, texts):
        return [list(range(start, min(start + 2, len(texts)))) for start in range(0, len(texts), 2)]

    def encode(self, texts):
        self.started.set()
        self.go.wait(10)
        self.threads.add(threading.current_thread().name)
        self.batches.append(list(texts))
        if self.failure:
            raise self.failure
        angles = np.array([len(text) * 0.1 for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@pytest.fixture
async def model():
    return Recorder()


@pytest.fixture
async def encoder(model):
    one = BatchingEncoder(model)
    yield one
    model.go.set()
    await one.close()


async def test_each_text_is_computed_once_shortest_first(model, encoder):
    rows = await encoder.encode(["ccc", "a", "ccc", "bb", "a", "ddd"])
    assert model.batches == [["a", "bb"], ["ccc", "ddd"]]
    np.testing.assert_array_equal(rows[[0, 1]], rows[[2, 4]])


async def test_the_model_runs_in_one_thread_that_is_not_the_loops(model, encoder):
    await asyncio.gather(*(encoder.encode([text]) for text in "abc"))
    assert model.threads == {"encoder_0"}


async def test_the_loop_goes_on_while_the_model_works(model, encoder):
    model.go.clear()
    waiting = asyncio.create_task(encoder.encode(["a"]))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    model.go.set()
    assert (await waiting).shape == (1, 2)


async def test_one_text_need_not_wait_for_a_whole_catalogue(model, encoder):
    model.go.clear()
    catalogue = asyncio.create_task(encoder.encode([f"item {number}" for number in range(8)]))
    await asyncio.to_thread(model.started.wait)
    click = asyncio.create_task(encoder.encode(["click"]))
    await asyncio.sleep(0)
    model.go.set()
    await asyncio.gather(catalogue, click)
    assert model.batches.index(["click"]) == 1


async def test_a_cancelled_call_stops_after_its_batch(model, encoder):
    model.go.clear()
    catalogue = asyncio.create_task(encoder.encode([f"item {number}" for number in range(8)]))
    await asyncio.to_thread(model.started.wait)
    catalogue.cancel()
    with pytest.raises(asyncio.CancelledError):
        await catalogue
    model.go.set()
    await encoder.encode(["next"])
    assert model.batches == [["item 0", "item 1"], ["next"]]


async def test_a_failure_is_the_callers_alone(model, encoder):
    model.failure = Unavailable("encoder", "away")
    with pytest.raises(Unavailable, match="away"):
        await encoder.encode(["a"])
    model.failure = None
    assert (await encoder.encode(["a"])).shape == (1, 2)


async def test_a_closed_encoder_is_unavailable(encoder):
    await encoder.close()
    with pytest.raises(Unavailable, match="closed"):
        await encoder.encode(["a"])


async def test_closing_lets_what_is_under_way_end(model, encoder):
    model.go.clear()
    waiting = asyncio.create_task(encoder.encode(["a"]))
    await asyncio.sleep(0)
    closing = asyncio.create_task(encoder.close())
    await asyncio.sleep(0)
    model.go.set()
    await closing
    assert (await waiting).shape == (1, 2)


async def test_the_cache_answers_bit_for_bit_what_the_model_did(model, tmp_path):
    def open_encoder():
        return BatchingEncoder(model, VectorCache(tmp_path / "cache", "recorder", 2, limit=10))

    first = open_encoder()
    fresh = await first.encode(["a", "bb"])
    await first.close()
    second = open_encoder()
    rows = await second.encode(["a", "bb", "ccc"])
    await second.close()
    np.testing.assert_array_equal(rows[:2], fresh)
    assert model.batches == [["a", "bb"], ["ccc"]]

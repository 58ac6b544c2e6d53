"""What every encoder promises. An implementation joins by a line in OPEN."""

import asyncio
import re

import numpy as np
import pytest

from stream_engine.encoder.batching import BatchingEncoder
from stream_engine.encoder.cache import VectorCache
from stream_engine.encoder.hashed import HashedEncoder
from stream_engine.encoder.onnx import OnnxModel

ODD = ["", " ", "\x00", "!?", "日本語", "🙂", "\ud800", "a" * 50_000, "a b " * 20_000, " " * 50_000]
PLAIN = ["a red cap", "a blue cap with a long brim", "soup", "a pea", "of one kind and another", "me", "a red cap b"]


def open_onnx(request, directory):
    return BatchingEncoder(OnnxModel(request.getfixturevalue("tiny_model"), run_tokens=30))


def open_cached(request, directory):
    model = OnnxModel(request.getfixturevalue("tiny_model"))
    return BatchingEncoder(model, VectorCache(directory / "cache", model.fingerprint, model.dimensions, limit=100))


def open_default(request, directory):
    return BatchingEncoder(OnnxModel(request.getfixturevalue("default_model")))


OPEN = {
    "hashed": lambda *_: HashedEncoder(32),
    "onnx": open_onnx,
    "cached": open_cached,
    "default": open_default,
}


@pytest.fixture(params=OPEN)
async def encoder(request, tmp_path):
    one = OPEN[request.param](request, tmp_path)
    yield one
    await one.close()


@pytest.mark.parametrize("texts", [ODD, PLAIN, PLAIN[:1], []], ids=["odd", "plain", "one", "none"])
async def test_unit_rows_one_for_each_text(encoder, texts):
    rows = await encoder.encode(texts)
    assert rows.shape == (len(texts), encoder.dimensions)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


async def test_rows_stand_in_the_order_of_the_texts_however_they_are_batched(encoder):
    texts = [*PLAIN, PLAIN[0], *ODD[:4], PLAIN[2]]
    alone = np.concatenate([await encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(await encoder.encode(texts), alone, atol=2e-3)
    np.testing.assert_allclose(await encoder.encode(texts[::-1]), alone[::-1], atol=2e-3)


async def test_other_texts_have_other_vectors(encoder):
    rows = await encoder.encode(PLAIN)
    assert (rows @ rows.T - np.eye(len(rows)) < 0.9999).all()


async def test_another_of_the_same_kind_gives_the_same_under_the_same_fingerprint(encoder, request, tmp_path):
    kind = request.node.callspec.params["encoder"]
    other = OPEN[kind](request, tmp_path / "other")
    assert other.fingerprint == encoder.fingerprint
    np.testing.assert_array_equal(await other.encode(PLAIN), await encoder.encode(PLAIN))
    await other.close()


async def test_calls_at_once_answer_as_calls_in_turn(encoder):
    together = await asyncio.gather(*(encoder.encode([text]) for text in PLAIN))
    np.testing.assert_array_equal(together, [await encoder.encode([text]) for text in PLAIN])


async def test_the_fingerprint_can_name_a_collection(encoder):
    assert re.fullmatch(r"[a-z0-9-]{4,64}", encoder.fingerprint)


async def test_closing_twice_is_closing_once(encoder):
    await encoder.close()
    await encoder.close()

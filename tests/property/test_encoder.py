"""Laws of encoding: neighbours in a batch change nothing, any text has a vector, the cache keeps its bound."""

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_engine.encoder.cache import VectorCache
from stream_engine.encoder.hashed import HashedEncoder
from stream_engine.encoder.onnx import OnnxModel

texts_of_letters = st.lists(st.text("abcdefgh ", max_size=30), max_size=12)
any_texts = st.lists(st.text(st.characters(), max_size=60), max_size=6)


@pytest.fixture(scope="module")
def model(tiny_model):
    return OnnxModel(tiny_model, run_tokens=10_000)


@pytest.fixture(scope="module")
def models(tiny_model):
    return [OnnxModel(tiny_model, run_tokens=most) for most in (1, 20, 50)]


@given(texts=texts_of_letters, which=st.integers(0, 2))
def test_batch_composition_does_not_change_an_embedding(model, models, texts, which):
    np.testing.assert_allclose(models[which].encode(texts), model.encode(texts), atol=1e-5)


@given(texts=any_texts)
def test_any_text_has_a_unit_vector(model, texts):
    for rows in (model.encode(texts), asyncio.run(HashedEncoder(4).encode(texts))):
        assert rows.shape[0] == len(texts)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    limit=st.integers(1, 12),
    steps=st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 30), min_size=1, max_size=5, unique=True))),
)
def test_the_cache_keeps_its_bound_and_never_mixes_up_vectors(tmp_path_factory, limit, steps):
    cache = VectorCache(tmp_path_factory.mktemp("cache") / "c", "m", 2, limit=limit)
    everything = [str(number) for number in range(31)]
    for writing, numbers in steps:
        if writing:
            cache.put([str(n) for n in numbers], np.array([[n, -n] for n in numbers], np.float32))
        for text, row in cache.get([str(n) for n in numbers]).items():
            assert row.tolist() == [int(text), -int(text)]
    assert len(cache.get(everything)) <= limit
    cache.close()

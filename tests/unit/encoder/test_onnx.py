"""One ONNX model: what it computes, and what it refuses."""

import itertools
import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from stream_engine.encoder.manifest import Golden, digest, load, save
from stream_engine.encoder.onnx import OnnxModel, pool, runs
from stream_engine.encoder.verify import verify
from stream_engine.errors import BadConfiguration, Unavailable
from stream_engine.vectors import unit

REFERENCE = Path(__file__).parents[2] / "golden" / "encoder" / "all-MiniLM-L6-v2.json"
TABLE = np.random.default_rng(5).normal(size=(56, 3)).astype(np.float32)
CLS, SEP, A = 1, 2, 4


@pytest.fixture
def directory(tiny_model, tmp_path):
    return shutil.copytree(tiny_model, tmp_path / "model")


def replace_file(directory, name, content, **changes):
    manifest = load(directory)
    (directory / name).write_bytes(content)
    files = manifest.files | {name: digest(directory / name)}
    save(msgspec.structs.replace(manifest, files=files, **changes), directory)


def table_graph(table=TABLE, input_name="input_ids"):
    """A graph that does not pool: each token's state is its row of the table."""
    node = helper.make_node("Gather", ["table", input_name], ["last_hidden_state"])
    ids = helper.make_tensor_value_info(input_name, TensorProto.INT64, ["batch", "tokens"])
    out = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", "width"])
    graph = helper.make_graph([node], "table", [ids], [out], [numpy_helper.from_array(table, "table")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [("mean", TABLE[[CLS, A, SEP]].mean(0)), ("cls", TABLE[CLS]), ("last", TABLE[SEP])],
)
def test_it_pools_where_the_graph_does_not(directory, pooling, expected):
    replace_file(directory, "model.onnx", table_graph(), dimensions=3, pooling=pooling)
    rows = OnnxModel(directory).encode(["a", "a a a a"])
    np.testing.assert_allclose(rows[0], unit(expected), atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_padding_has_no_say_in_pooling(pooling):
    states = np.arange(12, dtype=np.float32).reshape(1, 4, 3)
    padded = np.concatenate([states, np.full((1, 2, 3), 1e6, np.float32)], axis=1)
    mask = np.array([[1, 1, 1, 1, 0, 0]])
    np.testing.assert_allclose(pool(padded, mask, pooling), pool(states, mask[:, :4], pooling))


@given(lengths=st.lists(st.integers(1, 64), max_size=50), most=st.integers(1, 300))
def test_runs_hold_every_text_once_shortest_first_within_their_bound(lengths, most):
    parts = runs(lengths, most)
    assert sorted(place for part in parts for place in part) == list(range(len(lengths)))
    in_order = [lengths[place] for part in parts for place in part]
    assert in_order == sorted(in_order)
    for part in parts:
        assert len(part) == 1 or len(part) * lengths[part[-1]] <= most
    for part, after in itertools.pairwise(parts):  # none was parted without need
        assert (len(part) + 1) * lengths[after[0]] > most


def test_text_beyond_the_truncation_has_no_say(directory):
    manifest = load(directory)
    save(msgspec.structs.replace(manifest, max_length=6), directory)
    rows = OnnxModel(directory).encode(["a b c d", "a b c d e f", "a b c e"])
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-6)
    assert np.abs(rows[0] - rows[2]).max() > 0.01


def test_the_prefix_goes_before_every_text(directory, tiny_model):
    save(msgspec.structs.replace(load(directory), prefix="a "), directory)
    plain = OnnxModel(tiny_model).encode(["a soup"])
    np.testing.assert_allclose(OnnxModel(directory).encode(["soup"]), plain, atol=1e-6)


def test_a_graph_that_cannot_be_opened_is_refused(directory):
    replace_file(directory, "model.onnx", b"\x00nonsense")
    with pytest.raises(BadConfiguration, match=r"model\.onnx is no model onnxruntime can open"):
        OnnxModel(directory)


def test_a_tokenizer_that_cannot_be_opened_is_refused(directory):
    replace_file(directory, "tokenizer.json", b"{}")
    with pytest.raises(BadConfiguration, match=r"tokenizer\.json is no tokenizer"):
        OnnxModel(directory)


def test_a_graph_of_another_width_is_refused(directory):
    replace_file(directory, "model.onnx", table_graph())
    with pytest.raises(BadConfiguration, match="gives 3 dimensions, its manifest 16"):
        OnnxModel(directory)


def test_a_graph_with_inputs_we_do_not_have_is_refused(directory):
    replace_file(directory, "model.onnx", table_graph(input_name="pixels"), dimensions=3)
    with pytest.raises(BadConfiguration, match="inputs we do not have: pixels"):
        OnnxModel(directory)


def test_a_failed_run_is_the_models_fault_not_the_texts(directory):
    replace_file(directory, "model.onnx", table_graph(TABLE[:A]), dimensions=3)
    with pytest.raises(Unavailable, match="the model's run failed"):
        OnnxModel(directory).encode(["a"])


def test_verify_says_what_is_off(directory):
    vector = tuple(OnnxModel(directory).encode(["soup"])[0, :8].tolist())
    save(msgspec.structs.replace(load(directory), golden=(Golden("soup", vector),)), directory)
    assert verify(directory) == []
    off = (vector[0] + 0.1, *vector[1:])
    save(msgspec.structs.replace(load(directory), golden=(Golden("soup", vector), Golden("soup", off))), directory)
    assert verify(directory) == ["the vector of 'soup' is off by 0.1000, more than 0.001"]
    (directory / "model.onnx").unlink()
    (problem,) = verify(directory)
    assert "model.onnx cannot be read" in problem


def test_the_default_model_gives_the_reference_numbers(default_model):
    """The graph written without torch against sentence-transformers: cosine at least .9999."""
    golden = json.loads(REFERENCE.read_bytes())["golden"]
    rows = OnnxModel(default_model, run_tokens=100).encode([one["text"] for one in golden])
    expected = unit(np.array([one["vector"] for one in golden]))
    assert len(golden) >= 9
    assert (rows * expected).sum(axis=1).min() >= 0.9999
    assert np.abs(rows - expected).max() < 1e-4


def test_the_default_model_is_verified(default_model):
    assert len(load(default_model).golden) == 3
    assert verify(default_model) == []

"""The graph computes what the papers say: held to a plain numpy BERT on random weights."""

import math

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest

from stream_engine.encoder.graph import build
from stream_engine.errors import BadConfiguration
from stream_engine.vectors import unit


def bert(weights, architecture, ids, pooling):
    """One text, no padding, in double precision."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + architecture.layer_norm_eps)
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    def attend(x, name):
        size = architecture.hidden_size // architecture.num_attention_heads
        q, k, v = (linear(x, f"{name}.{part}") for part in ("query", "key", "value"))
        heads = []
        for start in range(0, architecture.hidden_size, size):
            part = slice(start, start + size)
            scores = np.exp(q[:, part] @ k[:, part].T / math.sqrt(size))
            heads.append(scores / scores.sum(-1, keepdims=True) @ v[:, part])
        return np.concatenate(heads, axis=1)

    def gelu(x):
        return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2

    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.token_type_embeddings.weight"][0]
    x = norm(x + w["embeddings.position_embeddings.weight"][: len(ids)], "embeddings.LayerNorm")
    for number in range(architecture.num_hidden_layers):
        name = f"encoder.layer.{number}"
        attended = linear(attend(x, f"{name}.attention.self"), f"{name}.attention.output.dense")
        x = norm(attended + x, f"{name}.attention.output.LayerNorm")
        wide = gelu(linear(x, f"{name}.intermediate.dense"))
        x = norm(linear(wide, f"{name}.output.dense") + x, f"{name}.output.LayerNorm")
    return unit(x[0] if pooling == "cls" else x.mean(0))


def run(model, ids, mask):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return session.run(["sentence_embedding"], feed)[0]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_it_equals_a_plain_bert_and_padding_has_no_say(tiny_bert, pooling):
    rng = np.random.default_rng(4)
    texts = [rng.integers(0, 40, size) for size in (1, 5, 12)]
    ids, mask = np.full((3, 12), 7, np.int64), np.zeros((3, 12), np.int64)
    for row, text in enumerate(texts):
        ids[row, : len(text)], mask[row, : len(text)] = text, 1
    architecture, weights = tiny_bert
    model = build(architecture, weights, pooling)
    onnx.checker.check_model(model, full_check=True)
    expected = [bert(weights, architecture, text, pooling) for text in texts]
    np.testing.assert_allclose(run(model, ids, mask), expected, atol=1e-5)


def test_the_same_weights_give_the_same_bytes(tiny_bert):
    assert build(*tiny_bert, "mean").SerializeToString() == build(*tiny_bert, "mean").SerializeToString()


@pytest.mark.parametrize(
    ("field", "value"),
    [("model_type", "roberta"), ("hidden_act", "gelu_new"), ("position_embedding_type", "relative_key")],
)
def test_what_it_cannot_write_is_refused_by_name(tiny_bert, field, value):
    architecture, weights = tiny_bert
    with pytest.raises(BadConfiguration, match=f"{field} is {value}"):
        build(msgspec.structs.replace(architecture, **{field: value}), weights, "mean")


def test_missing_weights_are_named(tiny_bert):
    architecture, weights = tiny_bert
    rest = {name: value for name, value in weights.items() if name != "encoder.layer.1.output.dense.bias"}
    with pytest.raises(BadConfiguration, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        build(architecture, rest, "mean")

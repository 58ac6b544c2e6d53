"""A BERT sentence encoder written straight into an ONNX graph, without torch.

Devlin et al., BERT, NAACL 2019; Reimers and Gurevych, Sentence-BERT, EMNLP 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from stream_engine.encoder.manifest import SETTING, Pooling
from stream_engine.errors import BadConfiguration

OPSET, IR_VERSION = 20, 10
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT = "sentence_embedding"

Weights = Mapping[str, NDArray[np.float32]]


class Architecture(msgspec.Struct, frozen=True):
    """The part of a Hugging Face `config.json` that shapes a BERT."""

    model_type: str
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    layer_norm_eps: float = 1e-12
    hidden_act: str = "gelu"
    position_embedding_type: str = "absolute"


class _Graph:
    """Nodes and constants in the making; every method returns the name of what it added."""

    def __init__(self, weights: Weights, epsilon: float) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._weights = weights
        self._epsilon = epsilon

    def constant(self, name: str, value: ArrayLike, dtype: type = np.float32) -> str:
        self.constants[name] = numpy_helper.from_array(np.array(value, dtype=dtype, order="C"), name)
        return name

    def weight(self, name: str, *, transposed: bool = False) -> str:
        if name not in self._weights:
            raise BadConfiguration(SETTING, f"the weights have no {name}: not a BERT")
        value = self._weights[name]
        return self.constant(name, value.T if transposed else value)

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def linear(self, x: str, layer: str) -> str:
        product = self.node("MatMul", x, self.weight(f"{layer}.weight", transposed=True))
        return self.node("Add", product, self.weight(f"{layer}.bias"))

    def norm(self, x: str, residual: str, layer: str) -> str:
        weight, bias = self.weight(f"{layer}.weight"), self.weight(f"{layer}.bias")
        total = self.node("Add", x, residual)
        return self.node("LayerNormalization", total, weight, bias, axis=-1, epsilon=self._epsilon)


def build(architecture: Architecture, weights: Weights, pooling: Pooling) -> onnx.ModelProto:
    """Token ids in, `sentence_embedding` out, (batch, dimensions), pooled and unit; raises BadConfiguration.

    The same bytes for the same weights.
    """
    _refuse_what_we_cannot_write(architecture, pooling)
    graph = _Graph(weights, architecture.layer_norm_eps)
    mask = graph.node("Cast", "attention_mask", to=TensorProto.FLOAT)
    absent = graph.node("Sub", graph.constant("one", 1), mask)
    bias = graph.node("Mul", absent, graph.constant("minus_much", -10_000))
    bias = graph.node("Unsqueeze", bias, graph.constant("heads_and_queries", [1, 2], np.int64))
    states = _embeddings(graph)
    for number in range(architecture.num_hidden_layers):
        layer = f"encoder.layer.{number}"
        attended = _attention(graph, states, bias, f"{layer}.attention.self", architecture)
        attended = graph.linear(attended, f"{layer}.attention.output.dense")
        states = graph.norm(attended, states, f"{layer}.attention.output.LayerNorm")
        wide = graph.node("Gelu", graph.linear(states, f"{layer}.intermediate.dense"))
        states = graph.norm(graph.linear(wide, f"{layer}.output.dense"), states, f"{layer}.output.LayerNorm")
    pooled = _pool(graph, states, mask, pooling)
    graph.nodes.append(helper.make_node("LpNormalization", [pooled], [OUTPUT], OUTPUT, axis=-1, p=2))
    return _model(graph, architecture.hidden_size)


def _refuse_what_we_cannot_write(architecture: Architecture, pooling: Pooling) -> None:
    wanted = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    for name, value in wanted.items():
        found = getattr(architecture, name)
        if found != value:
            raise BadConfiguration(SETTING, f"{name} is {found}, not {value}: use models/export.py")
    if pooling == "last":
        raise BadConfiguration(SETTING, "a BERT is not pooled by its last token")


def _embeddings(graph: _Graph) -> str:
    table = "embeddings.{}_embeddings.weight".format
    words = graph.node("Gather", graph.weight(table("word")), "input_ids")
    types = graph.node("Gather", graph.weight(table("token_type")), "token_type_ids")
    length = graph.node("Shape", "input_ids", start=1, end=2)
    places = graph.node("Slice", graph.weight(table("position")), graph.constant("zero", [0], np.int64), length)
    return graph.norm(graph.node("Add", words, types), places, "embeddings.LayerNorm")


def _attention(graph: _Graph, x: str, bias: str, layer: str, architecture: Architecture) -> str:
    heads, size = architecture.num_attention_heads, architecture.hidden_size // architecture.num_attention_heads
    split = graph.constant("split", [0, 0, heads, size], np.int64)
    joined = graph.constant("joined", [0, 0, heads * size], np.int64)
    query, key, value = (
        graph.node("Transpose", graph.node("Reshape", graph.linear(x, f"{layer}.{part}"), split), perm=order)
        for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3]))
    )
    scores = graph.node("Mul", graph.node("MatMul", query, key), graph.constant("scale", size**-0.5))
    shares = graph.node("Softmax", graph.node("Add", scores, bias), axis=-1)
    mixed = graph.node("Transpose", graph.node("MatMul", shares, value), perm=[0, 2, 1, 3])
    return graph.node("Reshape", mixed, joined)


def _pool(graph: _Graph, states: str, mask: str, pooling: Pooling) -> str:
    if pooling == "cls":
        return graph.node("Gather", states, graph.constant("first", 0, np.int64), axis=1)
    tokens = graph.constant("tokens", [1], np.int64)
    share = graph.node("Unsqueeze", mask, graph.constant("components", [-1], np.int64))
    total = graph.node("ReduceSum", graph.node("Mul", states, share), tokens, keepdims=0)
    return graph.node("Div", total, graph.node("ReduceSum", share, tokens, keepdims=0))


def _model(graph: _Graph, dimensions: int) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in INPUTS]
    outputs = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", dimensions])]
    body = helper.make_graph(graph.nodes, "bert", inputs, outputs, list(graph.constants.values()))
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)

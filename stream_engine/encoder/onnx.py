"""An ONNX model on the CPU. The only file that imports onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from stream_engine.encoder.manifest import GRAPH, SETTING, TOKENIZER, Manifest, Pooling, load
from stream_engine.errors import BadConfiguration, Unavailable
from stream_engine.vectors import Matrix, unit

POOLED = "sentence_embedding"
LONGEST_WORD = 100  # characters; wordpiece knows no longer one, so more text than this per token cannot matter


class OnnxModel:
    """Texts to unit vectors, blocking, in runs of like length.

    A run holds at most `run_tokens`, padding included: a few hundred feed the processor, more only bring padding.
    """

    def __init__(self, directory: Path, *, run_tokens: int = 384, threads: int = 1) -> None:
        self.manifest: Manifest = load(directory)
        self._run_tokens = run_tokens
        self._tokenizer, self._pad = _open_tokenizer(directory / TOKENIZER, self.manifest.max_length)
        self._session = _open_session(directory / GRAPH, threads)
        self._inputs = {node.name for node in self._session.get_inputs()}
        outputs = [node.name for node in self._session.get_outputs()]
        self._output = POOLED if POOLED in outputs else outputs[0]
        width = self._run(self._tokenize([""])).shape[1]  # also the first, slow run
        if width != self.dimensions:
            raise BadConfiguration(SETTING, f"the graph gives {width} dimensions, its manifest {self.dimensions}")

    @property
    def fingerprint(self) -> str:
        """The manifest's."""
        return self.manifest.fingerprint

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        return self.manifest.dimensions

    def encode(self, texts: Sequence[str]) -> Matrix:
        """Unit rows, shape (len(texts), dimensions), whatever the batch; raises Unavailable when the run fails."""
        tokens = self._tokenize(texts)
        rows = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for places in runs([len(one) for one in tokens], self._run_tokens):
            rows[places] = self._run([tokens[place] for place in places])
        return unit(rows)

    def plan(self, texts: Sequence[str]) -> list[list[int]]:
        """The places of texts that are best encoded together, shortest first."""
        return runs([len(one) for one in self._tokenize(texts)], self._run_tokens)

    def _tokenize(self, texts: Sequence[str]) -> list[Encoding]:
        return self._tokenizer.encode_batch([self._prepare(text) for text in texts])

    def _prepare(self, text: str) -> str:
        clipped = (self.manifest.prefix + text)[: self.manifest.max_length * LONGEST_WORD]
        return clipped.encode("utf-8", "replace").decode()  # a lone surrogate is no text to the tokenizer

    def _run(self, tokens: list[Encoding]) -> NDArray[np.float32]:
        feed = _pad(tokens, self._pad)
        try:
            (out,) = self._session.run([self._output], {name: feed[name] for name in self._inputs})
        except Exception as error:  # onnxruntime's own exceptions share no base
            raise Unavailable("encoder", f"the model's run failed: {error}") from error
        return out if out.ndim == 2 else pool(out, feed["attention_mask"], self.manifest.pooling)


def pool(states: NDArray[np.float32], mask: NDArray[np.int64], pooling: Pooling) -> NDArray[np.float32]:
    """Token states (n, tokens, d) to one row each (n, d); padding, where the mask is 0, has no say."""
    picked: NDArray[np.float32]
    if pooling == "cls":
        picked = states[:, 0]
    elif pooling == "last":  # we pad on the right
        picked = states[np.arange(len(states)), mask.sum(axis=1) - 1]
    else:
        weights = mask[:, :, None].astype(np.float32)
        picked = (states * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)
    return picked


def runs(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Every place, shortest first, in parts of one, or of at most `most` tokens when padded to their longest."""
    parts: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if not parts or lengths[place] * (len(parts[-1]) + 1) > most:
            parts.append([])
        parts[-1].append(place)
    return parts


def _pad(tokens: list[Encoding], pad: int) -> dict[str, NDArray[np.int64]]:
    shape = (len(tokens), max(len(encoding) for encoding in tokens))
    ids, mask, types = np.full(shape, pad, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, encoding in enumerate(tokens):
        size = len(encoding)
        ids[row, :size], mask[row, :size], types[row, :size] = encoding.ids, 1, encoding.type_ids
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


def _open_tokenizer(path: Path, max_length: int) -> tuple[Tokenizer, int]:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises Exception itself
        raise BadConfiguration(SETTING, f"{path} is no tokenizer: {error}") from error
    pad = (tokenizer.padding or {}).get("pad_id", 0)
    tokenizer.no_padding()  # MiniLM's file pads to 128
    tokenizer.enable_truncation(max_length)
    return tokenizer, pad


def _open_session(path: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning starves the event loop
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no base
        raise BadConfiguration(SETTING, f"{path} is no model onnxruntime can open: {error}") from error
    unknown = {node.name for node in session.get_inputs()} - {"input_ids", "attention_mask", "token_type_ids"}
    if unknown:
        raise BadConfiguration(SETTING, f"{path} asks for inputs we do not have: {', '.join(sorted(unknown))}")
    return session

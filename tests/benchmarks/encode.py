"""Texts a second: ours beside fastembed and sentence-transformers, same weights, same truncation, one run.

.venv-export/bin/python tests/benchmarks/encode.py [--items items.jsonl] [--json F]     (make bench-encode)
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType
from sentence_transformers import SentenceTransformer

from stream_engine.encoder.batching import BatchingEncoder
from stream_engine.encoder.fetch import fetch, obtain
from stream_engine.encoder.onnx import OnnxModel
from stream_engine.settings import DEFAULT_MODEL

Encode = Callable[[list[str]], np.ndarray]
MODELS = Path(".cache/models")
LENGTH = 64
PARTS = (
    "red",
    "wireless",
    "organic",
    "stainless steel",
    "for children",
    "2-pack",
    "with cotton lining",
    "size",
    "deluxe",
)
THINGS = ("kettle", "running shoe", "whole milk", "headphones", "novel", "lamp", "shampoo", "garden chair", "cheese")


def main() -> None:
    """Print a table of texts a second and of ratios to ours."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=Path, help="JSON lines with a title and a text; default: made-up ones")
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    texts = read_texts(arguments.items, arguments.texts) if arguments.items else made_up_texts(arguments.texts)
    result: dict[str, object] = {"threads": arguments.threads, "mean_words": statistics.mean(map(_words, texts))}
    with tempfile.TemporaryDirectory() as scratch:
        encoders = open_all(Path(scratch), arguments.threads)
        expect_the_same(encoders, texts[:50])
        for name, chunks in {"in one call": [texts], "one by one": [[text] for text in texts[:64]]}.items():
            rates = measure(encoders, chunks, arguments.rounds)
            result[name] = rates
            for encoder, row in rates.items():
                times = f"{row['ours_by_clock']:.2f} times as fast by the clock, {row['ours_by_cpu']:.2f} by the CPU"
                sys.stdout.write(f"{name:>12} {encoder:>22} {row['texts_per_second']:6.1f}/s; ours is {times}\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2))


def _words(text: str) -> int:
    return len(text.split())


def made_up_texts(count: int) -> list[str]:
    """Product titles of 3 to 40 words, most of them short, the same every time."""
    rng = np.random.default_rng(1)
    sizes = np.clip(rng.lognormal(1.3, 0.7, count), 1, 20).astype(int)
    return [" ".join([*rng.choice(PARTS, size), rng.choice(THINGS), str(number)]) for number, size in enumerate(sizes)]


def read_texts(path: Path, count: int) -> list[str]:
    """Evenly spread over the file."""
    items = [json.loads(line) for line in path.open()]
    return [
        f"{item.get('title', '')} {item.get('text', '')}".strip() for item in items[:: max(1, len(items) // count)]
    ][:count]


def open_all(scratch: Path, threads: int) -> dict[str, Encode]:
    """Every contender on the same weights."""
    torch.set_num_threads(threads)
    obtain(DEFAULT_MODEL, None, scratch, lambda _: None)
    reference = SentenceTransformer(str(scratch), device="cpu")
    reference.max_seq_length = LENGTH
    ours = OnnxModel(fetch(DEFAULT_MODEL, MODELS / DEFAULT_MODEL, source=scratch), threads=threads)
    batching, loop = BatchingEncoder(ours), asyncio.new_event_loop()
    return {
        "ours": lambda texts: loop.run_until_complete(batching.encode(texts)),
        "fastembed": open_fastembed(scratch, MODELS / "exported" / "model.onnx", threads),
        "fastembed, our graph": open_fastembed(scratch, MODELS / DEFAULT_MODEL / "model.onnx", threads),
        "sentence-transformers": lambda texts: reference.encode(texts, batch_size=32, normalize_embeddings=True),
    }


def open_fastembed(weights: Path, graph: Path, threads: int) -> Encode:
    """It cannot be given a truncation but in the tokenizer's configuration."""
    directory = weights / f"fastembed-{graph.parent.name}"
    directory.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (directory / name).write_bytes((weights / name).read_bytes())
    configuration = json.loads((weights / "tokenizer_config.json").read_bytes())
    (directory / "tokenizer_config.json").write_text(json.dumps(configuration | {"model_max_length": LENGTH}))
    (directory / "model.onnx").symlink_to(graph.absolute())
    TextEmbedding.add_custom_model(
        model=directory.name,
        pooling=PoolingType.DISABLED,
        normalization=False,
        sources=ModelSource(hf="none/none"),
        dim=384,
        model_file="model.onnx",
        output_name="sentence_embedding",
    )
    model = TextEmbedding(directory.name, specific_model_path=str(directory), threads=threads)
    return lambda texts: np.stack(list(model.embed(texts, batch_size=32)))


def expect_the_same(encoders: dict[str, Encode], texts: list[str]) -> None:
    """Speed says nothing where the numbers differ; also warms everyone up."""
    ours = encoders["ours"](texts)
    for name, encode in encoders.items():
        cosine = float((ours * encode(texts)).sum(axis=1).min())
        if cosine < 0.9999:
            raise SystemExit(f"{name} gives other vectors: cosine {cosine:.5f}")


def measure(encoders: dict[str, Encode], chunks: list[list[str]], rounds: int) -> dict[str, dict[str, float]]:
    """Medians over the rounds: texts a second, and how many times as fast ours is by the clock and by the CPU.

    Each round runs everyone, so that a busy machine troubles all alike; CPU time is troubled least.
    """
    count = sum(map(len, chunks))
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in encoders}
    for _ in range(rounds):
        for name, encode in encoders.items():
            started = time.perf_counter(), time.process_time()
            for chunk in chunks:
                encode(chunk)
            spent[name].append((time.perf_counter() - started[0], time.process_time() - started[1]))
    return {
        name: {
            "texts_per_second": statistics.median(count / clock for clock, _ in mine),
            "ours_by_clock": _ratio(mine, spent["ours"], 0),
            "ours_by_cpu": _ratio(mine, spent["ours"], 1),
        }
        for name, mine in spent.items()
    }


def _ratio(theirs: list[tuple[float, float]], ours: list[tuple[float, float]], which: int) -> float:
    return statistics.median(other[which] / mine[which] for other, mine in zip(theirs, ours, strict=True))


if __name__ == "__main__":
    main()

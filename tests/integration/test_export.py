"""The graph written without torch, held to optimum's export of the same weights."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from stream_engine.encoder.manifest import load
from stream_engine.encoder.onnx import OnnxModel
from stream_engine.encoder.verify import verify

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-export" / "bin" / "python"
EXPORTED = ROOT / ".cache" / "models" / "exported"
TEXTS = [" ".join(f"{word}{number}" for word in ("cap", "red", "soup", "of")[: number % 5]) for number in range(40)]


def cosines(one: Path, other: Path, texts: list[str]) -> np.ndarray:
    """Of each text's two vectors."""
    return (OnnxModel(one).encode(texts) * OnnxModel(other).encode(texts)).sum(axis=1)


def test_the_default_model_equals_its_export(default_model):
    if not EXPORTED.is_dir():
        pytest.skip(f"no {EXPORTED}: run `make export-env`")
    texts = [*TEXTS, "", "Crème brûlée ☕", "東京 ラーメン", "long " * 200, *(word.title() + "!" for word in TEXTS)]
    assert cosines(default_model, EXPORTED, texts).min() >= 0.9999
    assert load(EXPORTED).fingerprint == load(default_model).fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--pooling=cls",), ("--int8",)], ids=["mean", "cls", "int8"])
def test_any_directory_can_be_exported(tiny_weights, tiny_model, tmp_path, options):
    if not PYTHON.is_file():
        pytest.skip("no .venv-export: run `make export-env`")
    command = [PYTHON, "models/export.py", tiny_weights, tmp_path / "out", "--id=tiny", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    assert verify(tmp_path / "out") == []
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"manifest.json", "model.onnx", "tokenizer.json"}
    if not options:
        assert cosines(tiny_model, tmp_path / "out", TEXTS).min() >= 0.9999

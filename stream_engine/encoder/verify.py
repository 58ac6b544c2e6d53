"""Whether a model directory holds what it says and gives, on this machine, the numbers it should."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stream_engine.encoder.onnx import OnnxModel
from stream_engine.errors import BadConfiguration, Unavailable

TOLERANCE = {"fp32": 1e-3, "fp16": 5e-3, "int8": 3e-2}  # a component; typical ones are .05


def verify(directory: Path) -> list[str]:
    """What is wrong with it, in words; empty when nothing is."""
    try:
        model = OnnxModel(directory)
        golden = model.manifest.golden
        rows = model.encode([one.text for one in golden])
    except (BadConfiguration, Unavailable) as error:
        return [str(error)]
    allowed = TOLERANCE[model.manifest.precision]
    problems = []
    for one, row in zip(golden, rows, strict=True):
        off = float(np.abs(row[: len(one.vector)] - np.asarray(one.vector)).max(initial=0))
        if not off <= allowed:
            problems.append(f"the vector of {one.text!r} is off by {off:.4f}, more than {allowed}")
    return problems

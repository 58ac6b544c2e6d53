"""Weights are read as they were written, and nothing else is."""

import json

import numpy as np
import pytest

from stream_engine.encoder.safetensors import read
from stream_engine.errors import BadConfiguration


def write(path, header, body=b""):
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + body)
    return path


def test_single_and_half_precision_are_read_and_whole_numbers_left_out(tmp_path):
    single, half = np.arange(6, dtype="<f4").reshape(2, 3), np.array([0.5, -2], "<f2")
    header = {
        "__metadata__": {"format": "pt"},
        "whole": {"dtype": "I64", "shape": [1], "data_offsets": [28, 36]},
        "single": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "half": {"dtype": "F16", "shape": [2], "data_offsets": [24, 28]},
    }
    weights = read(write(tmp_path / "w", header, single.tobytes() + half.tobytes() + bytes(8)))
    assert set(weights) == {"single", "half"}
    np.testing.assert_array_equal(weights["single"], single)
    np.testing.assert_array_equal(weights["half"], [0.5, -2])
    assert weights["half"].dtype == np.float32


@pytest.mark.parametrize(
    "header",
    [
        b"not json",
        {"w": {"dtype": "F32"}},
        {"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}},
        {"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 8]}},
        {"w": {"dtype": "F32", "shape": [2], "data_offsets": [800, 808]}},
    ],
    ids=["no header", "partial", "cut short", "negative", "outside"],
)
def test_a_damaged_file_is_refused(tmp_path, header):
    with pytest.raises(BadConfiguration, match="is no safetensors file"):
        read(write(tmp_path / "w", header, bytes(8)))


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "w").write_bytes(b"")
    with pytest.raises(BadConfiguration, match="is no safetensors file"):
        read(tmp_path / "w")

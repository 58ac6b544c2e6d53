"""Weights out of a safetensors file: a length, a JSON header, the numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_engine.encoder.manifest import SETTING
from stream_engine.errors import BadConfiguration

DTYPES = {"F32": "<f4", "F16": "<f2"}


Natural = Annotated[int, msgspec.Meta(ge=0)]


class _Tensor(msgspec.Struct, frozen=True):
    dtype: str
    shape: tuple[Natural, ...]
    data_offsets: tuple[Natural, Natural]


def read(path: Path) -> dict[str, NDArray[np.float32]]:
    """Every floating tensor by name, in single precision; raises BadConfiguration when the file is not what it says."""
    data = memoryview(path.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    body = data[start:]
    try:
        header = msgspec.json.decode(data[8:start], type=dict[str, msgspec.Raw])
        header.pop("__metadata__", None)
        tensors = {name: msgspec.json.decode(raw, type=_Tensor) for name, raw in header.items()}
        return {
            name: np.frombuffer(body[slice(*one.data_offsets)], DTYPES[one.dtype]).reshape(one.shape).astype(np.float32)
            for name, one in tensors.items()
            if one.dtype in DTYPES
        }
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadConfiguration(SETTING, f"{path} is no safetensors file: {error}") from error

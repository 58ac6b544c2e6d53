"""A model is a directory with a manifest: what it is, and the hashes of the files that make it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from stream_engine.errors import BadConfiguration

FORMAT_VERSION = 1
MANIFEST, GRAPH, TOKENIZER = "manifest.json", "model.onnx", "tokenizer.json"
SETTING = "encoder.model"

Pooling = Literal["mean", "cls", "last"]
Precision = Literal["fp32", "fp16", "int8"]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Golden(msgspec.Struct, frozen=True):
    """A text and the first components of its vector, as the reference implementation gives them."""

    text: str
    vector: tuple[float, ...]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is. `revision` names the weights themselves, wherever they came from."""

    id: str
    revision: str
    dimensions: Positive
    pooling: Pooling = "mean"
    max_length: Positive = 64
    prefix: str = ""
    precision: Precision = "fp32"
    licence: str = "unknown"
    files: dict[str, str]
    golden: tuple[Golden, ...] = ()
    version: int = FORMAT_VERSION

    @property
    def fingerprint(self) -> str:
        """Equal for equal vectors, `[a-z0-9-]`: the model's name, precision and a hash of all that shapes a vector."""
        shaping = (self.id, self.revision, self.dimensions, self.pooling, self.max_length, self.prefix, self.precision)
        name = re.sub(r"[^a-z0-9]+", "-", self.id.lower()).strip("-")[:40]
        return f"{name}-{self.precision}-{hashlib.sha256(msgspec.json.encode(shaping)).hexdigest()[:8]}"


def digest(path: Path) -> str:
    """The file's sha256, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save(manifest: Manifest, directory: Path) -> None:
    """Write `manifest.json`, readable."""
    (directory / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def load(directory: Path) -> Manifest:
    """The manifest, once every file in it has the hash it names; raises BadConfiguration."""
    try:
        manifest = msgspec.json.decode((directory / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise BadConfiguration(SETTING, f"no model in {directory}: run `stream-engine model fetch`") from None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadConfiguration(SETTING, f"{directory / MANIFEST}: {error}") from error
    if manifest.version != FORMAT_VERSION:
        raise BadConfiguration(SETTING, f"{directory / MANIFEST} has format {manifest.version}, not {FORMAT_VERSION}")
    for name in {GRAPH, TOKENIZER, *manifest.files}:
        _check(directory / name, manifest.files.get(name))
    return manifest


def _check(path: Path, expected: str | None) -> None:
    try:
        found = digest(path)
    except OSError as error:
        raise BadConfiguration(SETTING, f"{path} cannot be read: {error.strerror}") from error
    if found != expected:
        raise BadConfiguration(SETTING, f"{path} is not the file its manifest names: fetch the model again")

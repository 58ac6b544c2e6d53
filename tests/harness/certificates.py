"""An authority and a server's certificate for 127.0.0.1, made with the openssl command line."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Certificates:
    """`ca` signed `certificate`; `other` signed nothing of ours."""

    ca: Path
    other: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command line")
    for name in ("ca", "other"):
        _openssl(folder, *_new(name))
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"]
    _openssl(folder, *_new("server"), *names, "-CA", "ca.pem", "-CAkey", "ca.key")
    return Certificates(*(folder / name for name in ("ca.pem", "other.pem", "server.pem", "server.key")))


def _new(name: str) -> list[str]:
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key"]
    return ["req", "-x509", *key, "-out", f"{name}.pem", "-days", "10", "-subj", f"/CN=stream-engine test {name}"]


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

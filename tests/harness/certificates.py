"""Authorities, and certificates they sign, made with the openssl command line."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


class Authority:
    """One that signs certificates; the test is skipped where openssl is missing."""

    def __init__(self, folder: Path, name: str) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("no openssl command line: apt-get install openssl")
        self._folder = folder
        self._name = name
        self.certificate, self._key = self._make(name, "-addext", "basicConstraints=critical,CA:TRUE")

    def sign(self, name: str, alternative: str = "IP:127.0.0.1") -> tuple[Path, Path]:
        """The certificate of one called `name` at `alternative`, and its key; both PEM."""
        names = ("-addext", f"subjectAltName={alternative}", "-addext", "basicConstraints=CA:FALSE")
        return self._make(name, *names, "-CA", str(self.certificate), "-CAkey", str(self._key))

    def _make(self, name: str, *options: str) -> tuple[Path, Path]:
        certificate, key = (self._folder / f"{self._name}-{name}.{end}" for end in ("pem", "key"))
        kind = ("-x509", "-days", "10", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        files = ("-out", str(certificate), "-keyout", str(key))
        command = ["openssl", "req", *kind, "-subj", f"/CN=stream-engine test {name}", *files, *options]
        subprocess.run(command, check=True, capture_output=True)
        return certificate, key


@dataclass(frozen=True)
class Certificates:
    """Of a server on 127.0.0.1: `ca` signed `certificate`; `other` signed nothing of ours."""

    ca: Path
    other: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    authority = Authority(folder, "ca")
    return Certificates(authority.certificate, Authority(folder, "other").certificate, *authority.sign("server"))

"""Another build of this package: what tomorrow's would be, all its stored formats a version up."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import stream_engine

RAISED = {
    "users/codec.py": (
        ("\nVERSION = 1\n", "\nVERSION = 2\n"),
        ("stored[:1] != bytes([VERSION])", "stored[:1] not in (b'\\1', b'\\2')"),
    ),
    "items/record.py": (
        ("\nRECORD_VERSION = 1\n", "\nRECORD_VERSION = 2\n"),
        ("data[0] != RECORD_VERSION", "data[0] not in (1, 2)"),
    ),
    "items/statistics.py": (("\nSTATISTICS_VERSION = 2\n", "\nSTATISTICS_VERSION = 3\n"),),
    "items/updates.py": (
        ("\nUPDATES_VERSION = 1\n", "\nUPDATES_VERSION = 2\n"),
        ("data[0] != UPDATES_VERSION", "data[0] not in (1, 2)"),
    ),
}
"""Writes the next version, and reads this one as well: what is promised of every later build."""


def next_build(folder: Path, formats: Sequence[str] = tuple(RAISED)) -> list[str]:
    """The command of a worker of that build, its source in `folder`; what was compiled for ours serves it too."""
    source = Path(stream_engine.__file__).parent
    shutil.copytree(source, folder / source.name)
    for name in formats:
        file = folder / source.name / name
        text = file.read_text()
        for ours, theirs in RAISED[name]:
            if text.count(ours) != 1:
                raise ValueError(f"{name} does not say {ours!r} once")
            text = text.replace(ours, theirs)
        file.write_text(text)
    return ["env", f"PYTHONPATH={folder}", sys.executable, "-P", "-m", "stream_engine.cli.main", "worker"]

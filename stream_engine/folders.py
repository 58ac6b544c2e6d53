"""Data folders: made for us alone, and refused by their setting where they cannot be written."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

from stream_engine.errors import BadConfiguration

log = logging.getLogger(__name__)
SETTING = "stream.data_dir"
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
OTHERS = 0o077


def make_private(folder: Path) -> None:
    """Make the folder if it is not there; one that others may enter is told of, for it may be more than ours."""
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        mode = folder.stat().st_mode & 0o777
    except OSError as error:
        raise _refused(folder, error) from error
    if mode & OTHERS:
        advice = f"other users of this machine may read it: chmod 700 {folder}"
        log.warning("data folder", extra={"folder": str(folder), "mode": f"{mode:o}", "advice": advice})


def note(file: Path, text: str) -> None:
    """Write a small file in a data folder; where the disk is full we go on without it."""
    try:
        file.write_text(text)
    except OSError as error:
        if error.errno not in FULL:
            raise _refused(file.parent, error) from error
        log.warning("disk full", extra={"file": str(file)})


def _refused(folder: Path, error: OSError) -> BadConfiguration:
    return BadConfiguration(SETTING, f"{folder} cannot be written ({error.strerror}); choose another with --data-dir")

"""What the machine was."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "stream-engine",
    "faust-streaming",
    "aiokafka",
    "numpy",
    "onnxruntime",
    "qdrant-edge-py",
    "msgspec",
)


def machine() -> dict[str, Any]:
    """CPU, cores, memory, what else was running, versions."""
    return {
        "cpu": _first("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_mb": int(_first("/proc/meminfo", "MemTotal").split()[0]) // 1024,
        "load_average_before": [round(each, 2) for each in os.getloadavg()],
        "system": platform.platform(),
        "python": platform.python_version(),
        "java": _java(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _first(file: str, field: str) -> str:
    lines = Path(file).read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "?")


def _java() -> str:
    done = subprocess.run(["java", "-version"], check=False, capture_output=True, text=True)
    return done.stderr.splitlines()[0] if done.stderr else "?"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None

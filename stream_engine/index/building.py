"""A shard's graph is built by a process of its own: it takes seconds, in which Edge would hold the interpreter."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path

from stream_engine.errors import Unavailable
from stream_engine.index import shards

BUILDING = "building"  # the folder beside that of the shard in use
NICE = 10


class Build:
    """A build under way; it ends with us, whatever ends us. What it has to complain about goes where our words go."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process = process
        self._folder = folder

    @classmethod
    async def start(cls, source: Path, *, dimensions: int, quantized: bool) -> Build:
        """Start it; once this returns it has its copy of the source, or has failed; raises Unavailable."""
        folder = source.with_name(BUILDING)
        arguments = [str(source), str(folder), str(dimensions), str(int(quantized))]
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", __name__, *arguments)
        try:
            process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        except OSError as error:  # no memory for it, or too many processes
            raise Unavailable("index", f"nothing can build its graph: {error}") from error
        if process.stdout is not None:
            await process.stdout.readline()
        return cls(process, folder)

    async def result(self) -> Path:
        """The folder of the new shard; raises Unavailable if there is none."""
        try:
            code = await self._process.wait()
        except asyncio.CancelledError:
            self._process.kill()
            raise
        if code:
            raise Unavailable("index", f"its graph was not built, {code}")
        return self._folder


def main(source: str, target: str, dimensions: str, quantized: str) -> None:
    """Build, and say when the copy is made."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(NICE)
    config = shards.config(int(dimensions), quantized=quantized == "1")
    shards.build(Path(source), Path(target), config, _say_copied)


def _say_copied() -> None:
    print(flush=True)  # noqa: T201 - whoever waits waits for a line


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""States go to this worker's disk as well, so that one that starts again reads on where it was.

The changelog stays the truth: what is saved comes with how far it is, what was written since is read. That works while
the changelog still holds all tombstones since; what is older counts for nothing, or users who were erased meanwhile
would come back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Any, Protocol

from stream_engine.errors import Unavailable
from stream_engine.streaming.admin import Facts
from stream_engine.streaming.rounds import rounds
from stream_engine.streaming.state_store import Saved, StateStore

log = logging.getLogger(__name__)
EVERY = 1.0  # seconds between two rounds
SPREAD = 4.0  # seconds of a round: all at once would slow down those who click
AT_ONCE = 2_000  # keys of a partition; those who click wait a millisecond for it
AT_A_STOP = 4.0  # seconds; a supervisor waits for the end
FRESH = 0.5  # of the time that tombstones stay


class Logs(Protocol):
    """What there is of a topic."""

    async def facts(self, topic: str) -> Facts:
        """What the broker says of the topic itself; raises Unavailable."""
        ...

    async def bounds(self, topic: str, partition: int, since_ms: int) -> tuple[int, int]:
        """The first offset stamped then or later (its end, if there is none), and its end; raises Unavailable."""
        ...


class Files(Protocol):
    """Where partitions of a table are kept."""

    def load(self, origin: str) -> Mapping[int, Saved]:
        """What there is of this origin, by partition."""
        ...

    def save(self, partition: int, saved: Saved, origin: str) -> None:
        """Add what changed to what there is; raises Unavailable, and what is there is not to be relied on then."""
        ...

    def keep(self, partitions: Collection[int]) -> None:
        """Remove all others; raises Unavailable."""
        ...


class Saving:
    """Saves what changed of one table, in the turn of those who write it."""

    def __init__(
        self,
        states: StateStore,
        files: Files,
        turn: asyncio.Lock,
        *,
        spread: float = 0.0,
        clock: Callable[[], float] = time.time,
        apart: Callable[..., Awaitable[Any]] = asyncio.to_thread,
    ) -> None:
        self._states = states
        self._files = files
        self._turn = turn
        self._spread = spread
        self._clock = clock
        self._apart = apart  # where files are read and written
        self._busy = asyncio.Lock()  # files are written in the order of what is in them
        self._origin = ""

    async def restore(self, logs: Logs) -> None:
        """Hold what was saved, as far as it still holds; raises Unavailable, or NewerVersion."""
        self._origin, tombstones = await logs.facts(self._states.changelog)
        since_ms = int((self._clock() - FRESH * tombstones) * 1000)
        found: Mapping[int, Saved] = await self._apart(self._files.load, self._origin)
        used, left = [], 0
        for partition, saved in found.items():
            begin, end = await logs.bounds(self._states.changelog, partition, since_ms)
            if saved.applied is not None and begin <= saved.applied + 1 <= end:
                self._states.restore(partition, saved)
                used.append(len(saved.values))
                left += end - saved.applied - 1
        if found:
            said = {"changelog": self._states.changelog, "partitions": len(used), "of": len(found)}
            log.info("restored", extra={**said, "keys": sum(used), "left": left})

    async def run(self) -> None:
        """Save every few seconds, for ever."""
        await rounds(self.step, every=EVERY, log=log, undone="states not saved", changelog=self._states.changelog)

    async def step(self) -> None:
        """Save the next of what changed, and forget partitions that are held no more; raises Unavailable."""
        held = self._states.held()
        await self._apart(self._files.keep, held)
        for partition in held:
            if await self._save(partition):
                await asyncio.sleep(self._spread / len(held))

    async def finish(self, within: float = AT_A_STOP) -> None:
        """Save what is left, when nobody writes any more; what takes too long, or fails, is read at the next start."""
        try:
            async with asyncio.timeout(within):
                for partition in self._states.held():
                    while await self._save(partition):
                        """There may be more."""
        except (Unavailable, TimeoutError) as why:
            log.warning("states not saved", extra={"changelog": self._states.changelog, "reason": repr(why)})

    async def _save(self, partition: int) -> bool:
        async with self._busy:
            return await self._save_alone(partition)

    async def _save_alone(self, partition: int) -> bool:
        async with self._turn:  # nothing of ours is on its way: all we hold was written
            changes = self._states.changes(partition, AT_ONCE)
        if changes is None:
            return False
        saving = asyncio.ensure_future(self._apart(self._files.save, partition, changes, self._origin))
        saving.add_done_callback(partial(self._note, partition))
        try:
            await asyncio.shield(saving)
        except asyncio.CancelledError:  # a stop: the file is to be what we take it for
            await asyncio.wait([saving])
            raise
        return True

    def _note(self, partition: int, done: asyncio.Future[Any]) -> None:
        if done.exception() is not None:
            self._states.save_anew(partition)

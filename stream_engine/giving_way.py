"""What can wait gives way to what cannot: on a loop that all share, one round is not enough."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SHORT = 0.00004  # seconds: a round of the loop in which nobody else had anything to do takes less
ROUNDS = 5  # of those one after the other: what goes round for others has short ones as well
PAUSE = 0.001  # seconds before who met others at work looks again: to look is a round of the loop for all of them
LONGEST = 0.03  # seconds that are given way at most, so that what can wait is done in the end
PIECE = 0.0007  # seconds of a long job without giving way
PART = 0.08  # of the time, for all long jobs together, where others are always busy


async def give_way(longest: float = LONGEST) -> None:
    """Return when the loop has nothing else to do, or after so many seconds.

    From a fetch to a list the loop goes round some twenty times. A long job that gives way for one round only is part
    of all of them, and every list in the meantime is late by twenty of its pieces.
    """
    clock = asyncio.get_running_loop().time
    began = before = clock()
    rounds = 0
    while rounds < ROUNDS and before - began < longest:
        await asyncio.sleep(0)
        now = clock()
        rounds = rounds + 1 if now - before < SHORT else 0
        if not rounds:
            await asyncio.sleep(PAUSE)
            now = clock()
        before = now


class Spare:
    """What long jobs take of the loop's time: while others are busy, a small part of it together, whatever it costs.

    Who gives way after so and so many records keeps clicks waiting, where these cost more than was thought, or falls
    behind for good, where little of the time would do.
    """

    def __init__(self) -> None:
        self._jobs = 0

    @asynccontextmanager
    async def share(self) -> AsyncIterator[Share]:
        """One job's share of it; gives way at the end, for the job may be one of many short ones."""
        self._jobs += 1
        try:
            share = Share(self)
            yield share
            await share.keep(piece=0.0)
        finally:
            self._jobs -= 1

    async def give_way(self, worked: float) -> None:
        """Return when the loop has nothing else to do, or so many seconds of work are a fair share."""
        await give_way(self._jobs * worked / PART)


class Share:
    """One long job's part of what is spare."""

    def __init__(self, spare: Spare) -> None:
        self._spare = spare
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()

    async def keep(self, piece: float = PIECE) -> None:
        """Give way after so many seconds of work; to be called between any two short steps."""
        worked = self._clock() - self._began
        if worked >= piece:
            await self._spare.give_way(worked)
            self._began = self._clock()

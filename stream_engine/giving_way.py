"""What can wait gives way to what cannot: on a loop that all share, one round is not enough."""

from __future__ import annotations

import asyncio
import time

SHORT = 0.00004  # seconds: a round of the loop in which nobody else had anything to do takes less
ROUNDS = 5  # of those one after the other: what goes round for others has short ones as well
PAUSE = 0.001  # seconds before who met others at work looks again: to look is a round of the loop for all of them
LONGEST = 0.03  # seconds that are given way at most, so that what can wait is done in the end


async def give_way(longest: float = LONGEST) -> None:
    """Return when the loop has nothing else to do, or after so many seconds.

    From a fetch to a list the loop goes round some twenty times. A long job that gives way for one round only is part
    of all of them, and every list in the meantime is late by twenty of its pieces.
    """
    began = before = time.perf_counter()
    rounds = 0
    while rounds < ROUNDS and before - began < longest:
        await asyncio.sleep(0)
        now = time.perf_counter()
        rounds = rounds + 1 if now - before < SHORT else 0
        if not rounds:
            await asyncio.sleep(PAUSE)
            now = time.perf_counter()
        before = now

"""What a worker does again and again beside its stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

from stream_engine.errors import Unavailable


async def rounds(
    step: Callable[[], Awaitable[None]], *, every: float, log: logging.Logger, undone: str, **about: object
) -> NoReturn:
    """Do it every so many seconds, for ever; where a dependency is away, say what is left `undone` until the next."""
    while True:
        await asyncio.sleep(every)
        try:
            await step()
        except Unavailable as away:
            log.warning(undone, extra={**about, "reason": away.reason})

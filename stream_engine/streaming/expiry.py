"""Users who were away for too long are forgotten: their states and lists get tombstones, a few at a time.

How long is measured by the events themselves: against the latest activity of any user of this worker (never beyond the
clock), so that a log of another year can be read again. A user of whom only attributes are known never acted, and
stays. What is found is published first and forgotten after, both in the turn of those who write the users' table: a
click is applied before, and is seen here, or after, and finds a new user. Doing it twice changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from stream_engine.errors import StreamEngineError
from stream_engine.streaming.forgetting import Listed, Tour, forget
from stream_engine.streaming.publisher import Outgoing, Publisher
from stream_engine.streaming.rounds import rounds
from stream_engine.streaming.stages import Place
from stream_engine.users import last_active

log = logging.getLogger(__name__)
EVERY = 1.0  # seconds
LOOKED_AT = 100  # users each time: half a millisecond; a million are looked at within three hours
EXPIRED = 50  # at most, of these


class Expiry:
    """Goes round the users' table for ever, as far as it is ours at the time."""

    def __init__(
        self,
        users: Listed,
        publisher: Publisher,
        *,
        after: float,
        recommendations: str,
        turn: asyncio.Lock,
        may_write: Callable[[], None],
        owns: Callable[[int], bool],
        clock: Callable[[], float],
    ) -> None:
        self._users = users
        self._publisher = publisher
        self._after = after
        self._recommendations = recommendations
        self._turn = turn
        self._may_write = may_write
        self._owns = owns
        self._clock = clock
        self._tour = Tour(users)
        self._latest = 0.0
        self.expired = 0

    async def run(self) -> None:
        """Look at some users every second, for ever."""
        await rounds(self.step, every=EVERY, log=log, undone="nobody expires")

    async def step(self) -> None:
        """Look at the next few users and forget those who are due; raises Unavailable, and forgets nobody then."""
        async with self._turn:
            looked_at = self._tour.next(LOOKED_AT)
            due = [place for place in looked_at if self._owns(place[1]) and self._is_due(place)][:EXPIRED]
            if not due:
                return
            lists = [Outgoing(self._recommendations, key, None) for key, _ in due]
            await forget(self._users, self._publisher, due, may_write=self._may_write, beside=lists)
            self.expired += len(due)
            log.info("expired", extra={"users": len(due)})

    def _is_due(self, place: Place) -> bool:
        stored = self._users.read(*place)
        try:
            active = last_active(stored) if stored is not None else 0.0
        except StreamEngineError:
            return False  # not for us to judge
        self._latest = max(self._latest, active)
        return active > 0 and min(self._latest, self._clock()) - active > self._after

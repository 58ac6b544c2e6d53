"""What workers learn they share: each publishes its ranker's weights, and takes in what the others published."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from stream_engine.streaming.publisher import Outgoing, Publisher
from stream_engine.streaming.rounds import rounds

log = logging.getLogger(__name__)
WORKERS = 256  # whose snapshots are kept until they are taken in: the latest, of all that ever had a name


class Learner(Protocol):
    """As much of a ranker as is shared."""

    samples: int

    def snapshot(self) -> bytes:
        """What was learnt, versioned."""
        ...

    def merge(self, snapshots: dict[str, bytes]) -> None:
        """Average with what others learnt."""
        ...


class Sharing:
    """Takes in each snapshot once, so that a worker long gone does not hold the others back for ever."""

    def __init__(
        self, learner: Learner, *, worker: str, topic: str, publisher: Publisher, may_write: Callable[[], None]
    ) -> None:
        self._learner = learner
        self._worker = worker
        self._topic = topic
        self._publisher = publisher
        self._may_write = may_write
        self._fresh: dict[str, bytes] = {}
        self._shared = 0

    def take(self, key: bytes, value: bytes | None) -> None:
        """A record of the ranker topic; our own counts only before we have learnt anything, after a restart."""
        worker = key.decode()
        if value is not None and (worker != self._worker or self._learner.samples == 0):
            self._fresh.pop(worker, None)
            self._fresh[worker] = value
            if len(self._fresh) > WORKERS:
                del self._fresh[next(iter(self._fresh))]

    def merge(self) -> None:
        """Take in what came since the last time."""
        if self._fresh:
            self._learner.merge(self._fresh)
            self._fresh = {}

    async def publish(self) -> None:
        """Tell the others, if there is anything new; raises Unavailable."""
        learnt = self._learner.samples
        if learnt == self._shared:
            return
        self._may_write()
        await self._publisher.publish([Outgoing(self._topic, self._worker.encode(), self._learner.snapshot())])
        self._shared = learnt

    async def run(self, every: float) -> None:
        """Merge and publish every so many seconds, for ever."""
        await rounds(self._exchange, every=every, log=log, undone="weights not shared")

    async def _exchange(self) -> None:
        self.merge()
        await self.publish()

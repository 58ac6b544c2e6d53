"""A worker watches its own consumer, and leaves when it stands still though all else looks healthy."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import NoReturn

from aiokafka.errors import KafkaError

from stream_engine.streaming.chunk_app import ChunkApp
from stream_engine.streaming.positions import Partition
from stream_engine.streaming.watchdog import Progress

log = logging.getLogger(__name__)
LOOK_EVERY = 3.0
LEAST_PATIENCE = 10.0


class Watch:
    """Looks every few seconds, for ever; `leave` is told what stands still, and does not return.

    A fetch may stop while partitions are served, or (the usual time for it) after a rebalance, with tables to recover:
    then the rebalance never ends. A broker that does not answer is waited for, however long: `away` says so.
    """

    def __init__(
        self, app: ChunkApp, *, session: float, holding: Callable[[], bool], leave: Callable[[str], NoReturn]
    ) -> None:
        self.away = False
        self._app = app
        self._holding = holding
        self._leave = leave
        self._patience = max(LEAST_PATIENCE, 2 * session)
        self._longer = self._patience + session  # a join waits for members that do not answer
        self._progress = Progress()

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if failure := self._app.consumer.failure():
                self._leave(failure)
            if self._holding():
                self._progress = Progress()
            else:
                await self._look()

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(self._patience + self._app.conf.broker_request_timeout):
                ends = await self._app.consumer.ends()
        except TimeoutError:
            self._leave("the consumer does not answer")
        except KafkaError as away:
            log.warning("broker away", extra={"reason": repr(away)})
            self.away = True
            self._progress = Progress()
            return
        self.away = False
        self._note(ends)

    def _note(self, ends: dict[Partition, int]) -> None:
        now = time.monotonic()
        if self._app.rebalancing:
            rebalance, recovered = ("rebalance", self._app.rebalancing_count), self._app.recovered()
            self._progress = self._progress.note(now, {rebalance: recovered}, {rebalance: recovered + 1})
            if self._progress.stuck(now, self._longer):
                self._leave(f"a rebalance does not end: nothing is fetched of changelogs beyond {recovered} records")
        else:
            self._progress = self._progress.note(now, self._app.positions.waiting(), ends)
            if stuck := self._progress.stuck(now, self._patience):
                self._leave(f"nothing is fetched of {stuck} though there are records to read")

"""A worker's part in its consumer group: Faust's thread that sends heartbeats and fetches, without the thread.

Two threads of one interpreter take turns, and each waits up to 5 ms for the other, several times a fetch. On the loop
of all else the same work takes as much CPU and half the time: at 1,000 clicks a second the median list 15 in place of
28 ms. Heartbeats while the loop stands still are what the thread is for; but who stands still for half a session leaves
(lease.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from mode.threads import ServiceThread, WorkerThread
from mode.utils.futures import maybe_async

from stream_engine.streaming.pacing import Pacing

PATIENCE = 0.05  # seconds that all topics but clicks may wait for their next fetch
FETCH_WAIT_MS = 200  # Faust's is 1,500: what a rebalance asks of the broker waits behind a fetch that found nothing


class Task(WorkerThread):
    """A task of the running loop in place of a thread."""

    service: ServiceThread

    def start(self) -> None:
        """Serve until the service is stopped."""
        self._serving = asyncio.ensure_future(self.service._serve())  # noqa: SLF001 - kept: a loop may lose its tasks

    def stop(self) -> None:
        """The service is asked by itself."""


class Member(AIOKafkaConsumerThread):
    """Faust's consumer, which waits less, says when its part has ended, and does not take another's place."""

    def __init__(self, consumer: Any, *, loop: asyncio.AbstractEventLoop, beacon: Any) -> None:
        super().__init__(consumer, loop=loop, thread_loop=loop, Worker=Task, beacon=beacon)

    async def call_thread(self, fun: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        """No thread has to be asked."""
        return await maybe_async(fun(*args, **kwargs))

    async def _gather_remaining_tasks(self) -> None:
        """The loop has others' tasks as well."""

    async def on_start(self) -> None:
        """Join the group; with an instance id, to leave the process once the group does not know us any more."""
        await super().on_start()
        fetcher = self._consumer._fetcher  # noqa: SLF001
        ask = fetcher._get_actions_per_node  # noqa: SLF001
        pacing = Pacing(self.app.patient, PATIENCE, time.monotonic, self.app.intake)
        fetcher._get_actions_per_node = partial(pacing.actions, ask)  # noqa: SLF001
        if self.app.conf.consumer_group_instance_id:
            coordinator = self._consumer._coordinator  # noqa: SLF001
            coordinator.reset_generation = self._instead_of(coordinator.reset_generation, coordinator)

    async def getmany(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ASYNC109
        """What was fetched, by partition; with anything that cannot wait the intake closes."""
        records = await super().getmany(active_partitions, timeout)
        hurried = self.app.chunk_topics - self.app.patient
        if any(tp.topic in hurried for tp in records):
            self.app.intake.close()
        return records

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001
        return consumer

    def _instead_of(self, reset: Callable[[], None], coordinator: Any) -> Callable[[], None]:
        """No joining again under the same instance id: two workers that have it would turn each other out for ever."""

        def reset_generation() -> None:
            if not coordinator._closing.done():  # noqa: SLF001
                self.app.turned_out(self._why("the group knows this member no more"))
            reset()

        return reset_generation

    def failure(self) -> str | None:
        """What ended our part in the group for good: aiokafka keeps it for a call that Faust never makes."""
        coordinator = None if self._consumer is None else self._consumer._coordinator  # noqa: SLF001
        if coordinator is None:
            return None
        routine: asyncio.Task[None] = coordinator._coordination_task  # noqa: SLF001
        error: BaseException | None = coordinator._pending_exception  # noqa: SLF001
        error = error or (routine.exception() if routine.done() and not routine.cancelled() else None)
        return None if error is None else self._why(f"this consumer is in its group no more: {error!r}")

    def _why(self, what: str) -> str:
        name = self.app.conf.consumer_group_instance_id
        return f"{what}; its session ended, or another worker has its kafka.instance_id, {name!r}" if name else what

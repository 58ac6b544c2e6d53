"""Our consumer as it is, with what it inherits from Faust, on the model of aiokafka's thread."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from faust.types import TP
from faust.types.tuples import ConsumerMessage
from intervaltree import IntervalTree
from mode.utils.locks import Event

from simulation.faust_app import App
from simulation.kafka_thread import KafkaThread
from stream_engine.streaming.consumer import ChunkConsumer

_NOTHING = SimpleNamespace(
    dev=lambda *_: None,
    warning=lambda *_: None,
    info=lambda *_: None,
    set_flag=lambda _: None,
    unset_flag=lambda _: None,
    on_commit_initiated=lambda _: None,
    on_commit_completed=lambda *_: None,
)


class SimulatedConsumer(ChunkConsumer):
    """A `ChunkConsumer` without the service machinery around it."""

    log = _NOTHING

    def __init__(self, app: App, thread: KafkaThread, loop: asyncio.AbstractEventLoop) -> None:
        self.app = app
        self._thread = thread
        self._loop = loop
        self.diag = _NOTHING
        self._stopped, self._crashed = Event(loop=loop), Event(loop=loop)
        self.callback = app.on_message
        self._on_partitions_revoked, self._on_partitions_assigned = app.revoked, app.assigned
        self._commit_every = None
        self._n_acked = 0
        self._gap, self._acked, self._acked_index = defaultdict(IntervalTree), defaultdict(list), defaultdict(set)
        self._read_offset, self._committed_offset = defaultdict(lambda: None), defaultdict(lambda: None)
        self.can_resume_flow, self.suspend_flow = asyncio.Event(), asyncio.Event()
        self.not_waiting_next_records = asyncio.Event()
        self._reset_state()
        app.consumer, thread.consumer = self, self

    async def sleep(self, n: float) -> None:
        await asyncio.sleep(n)

    async def wait_first(self, *coros: Any, timeout: Any = None) -> Any:  # noqa: ASYNC109
        """As mode's: what is not done first is cancelled."""
        del timeout
        tasks = [asyncio.ensure_future(each if asyncio.iscoroutine(each) else each.wait()) for each in coros]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return SimpleNamespace(results=[task.result() for task in done], stopped=False)
        finally:
            for task in tasks:
                task.cancel()

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        message = super()._to_message(tp, record)
        message.generation_id = self.app.consumer_generation_id
        return message

    async def force_commit(self, topics: Iterable[Any] | None = None, start_new_transaction: bool = True) -> bool:  # noqa: FBT001, FBT002
        """Faust's, without its sensors and logs."""
        offsets = self._filter_committable_offsets(list(self._filter_tps_with_pending_acks(topics)))
        return await self._commit_offsets(offsets) if offsets else False

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:  # noqa: FBT001, FBT002
        assignment = self.assignment()
        committable = {tp: offset for tp, offset in offsets.items() if tp in assignment}
        if not committable:
            return False
        did_commit: bool = await self._commit(committable)
        self._committed_offset.update(committable)
        return did_commit


def drain(consumer: SimulatedConsumer) -> Any:
    """Faust's task that takes records from the consumer to the queues."""
    return consumer._drain_messages(consumer)

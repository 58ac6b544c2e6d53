"""A model of Faust's app: what it does with the flow, the queue and recovery at a rebalance (faust 0.15.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from aiokafka.errors import IllegalStateError
from faust.types import TP
from mode.utils.queues import FlowControlEvent, ThrowableQueue

from simulation.broker import CHANGELOG, CLICKS
from simulation.stage import Store
from stream_engine.streaming.chunk_app import ChunkApp
from stream_engine.streaming.positions import Positions

QUEUE = 3  # chunks
ENDS = 0.01  # seconds to learn where changelogs end


class RebalanceAgain(Exception):
    """Recovery has to begin anew."""


class App:
    """As much of a `ChunkApp` as `ChunkConsumer` and the agent see; `recover` reads on from what is known."""

    chunk_topics = frozenset({CLICKS})
    counted: frozenset[str] = frozenset()
    client_only = False
    in_recovery = False
    consumer_generation_id = 0

    def __init__(
        self,
        *,
        positions: Positions,
        finish: Callable[[], Awaitable[None]],
        recover: Callable[[set[int], dict[TP, int]], Awaitable[None]],
        table: Store,
        chunk_size: int,
    ) -> None:
        self.positions = positions
        self.finish = finish
        self.chunk_size = chunk_size
        self.rebalancing = True
        self.ends: dict[tuple[str, int], int] = {}
        self.consumer: Any = None
        self.flow_control = FlowControlEvent()
        self.queue = ThrowableQueue(maxsize=QUEUE, flow_control=self.flow_control, clear_on_resume=True)
        self.topics = SimpleNamespace(acks_enabled_for=lambda _: True)
        self._recover = recover
        self._table = table
        recovery = SimpleNamespace(active_offsets={}, active_highwaters={})
        self.tables = SimpleNamespace(recovery=recovery, _changelogs={CHANGELOG: table}, changelog_topics={CHANGELOG})
        self._assigned: set[TP] = set()
        self._generation = 0
        self._begin_recovery = asyncio.Event()
        self._delivering = asyncio.Lock()
        self._pressures: dict[TP, tuple[Callable[[], None], Callable[[], None]]] = {}

    def on_read(self, topic: str, purpose: str, records: int) -> None:
        """Metrics only."""

    def _start_span_from_rebalancing(self, _: str) -> Any:
        return _Span()

    def on_rebalance_start(self) -> None:
        self.rebalancing = True

    def note_written(self, topic: str, partition: int, offset: int, count: int) -> None:
        ChunkApp.note_written(self, topic, partition, offset, count)

    def _states(self, changelog: str) -> Store:
        return ChunkApp._states(self, changelog)

    def take_over(self) -> None:
        ChunkApp.take_over(self)

    def owns(self, partition: int) -> bool:
        return ChunkApp.owns(self, partition)

    def ends_of(self, changelog: str) -> dict[int, int]:
        return ChunkApp.ends_of(self, changelog)

    def on_rebalance_return(self) -> None:
        """Sensors only."""

    # App._on_partitions_revoked, App._on_partitions_assigned, App._stop_consumer

    def follows(self, partition: int) -> bool:
        """Whether the partition is another's, no rebalance being under way."""
        return not self.rebalancing and TP(CLICKS, partition) not in self._assigned

    async def revoked(self, _: set[TP]) -> None:
        assignment = self.consumer.assignment()
        if assignment:
            self._suspend(assignment)
            await self._wait_empty()

    async def assigned(self, assigned: set[TP], generation: int) -> None:
        gone, self._assigned = self._assigned - assigned, assigned
        await asyncio.sleep(0)
        self.consumer.pause_partitions(assigned)
        await asyncio.sleep(0)
        if generation == self.consumer_generation_id:
            self._add_actives({tp.partition for tp in gone}, {tp.partition for tp in assigned})
            self._generation = generation
            self._begin_recovery.set()

    def _add_actives(self, gone: set[int], partitions: set[int]) -> None:
        known = self.tables.recovery.active_offsets
        for partition in gone:
            known.pop(TP(CHANGELOG, partition), None)
        for partition in partitions:
            if (applied := self._table.applied(partition)) is not None:
                known[TP(CHANGELOG, partition)] = applied
            known.setdefault(TP(CHANGELOG, partition), -1)

    async def stop(self) -> None:
        assignment = self.consumer.assignment()
        if assignment:
            self._suspend(assignment)
            await self._wait_empty()

    def _suspend(self, assignment: set[TP]) -> None:
        self.consumer.stop_flow()
        self.flow_control.suspend()
        self.consumer.pause_partitions(assignment)
        self.flow_control.clear()

    async def _wait_empty(self) -> None:
        await ChunkApp._consumer_wait_empty(self, self.consumer, None)

    # Recovery._restart_recovery

    async def recovery(self) -> None:
        """Recover, seek and let the flow go, after every rebalance."""
        while True:
            await self._begin_recovery.wait()
            self._begin_recovery.clear()
            generation = self._generation
            try:
                await self._unless_again(asyncio.sleep(ENDS))
                self.in_recovery = True
                partitions = {tp.partition for tp in self._assigned}
                self._resume()
                await self._unless_again(self._recover(partitions, self.tables.recovery.active_offsets))
                self.in_recovery = False
                await self._unless_again(self._recovered(generation))
            except (RebalanceAgain, IllegalStateError):
                continue

    async def _recovered(self, generation: int) -> None:
        assignment = self.consumer.assignment()
        if self.consumer_generation_id != generation:
            return
        self.consumer.resume_partitions(assignment)
        if assignment:
            await self._unless_again(self.consumer.perform_seek())
        self._resume()
        self.rebalancing = False

    def _resume(self) -> None:
        self.flow_control.resume()
        self.consumer.resume_flow()

    async def _unless_again(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        again = asyncio.ensure_future(self._begin_recovery.wait())
        try:
            await asyncio.wait([task, again], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
            if again.done():
                raise RebalanceAgain
        finally:
            task.cancel()
            again.cancel()

    # Conductor.on_message, and the stream

    async def on_message(self, message: Any) -> None:
        async with self._delivering:
            pass
        await self.flow_control.acquire()
        if self.queue.full():
            put = asyncio.ensure_future(self.queue.put(message))
            await asyncio.wait([put])  # goes on when this is cancelled
        else:
            high, drop = self._pressure(message.tp)
            self.queue.put_nowait_enhanced(message, on_pressure_high=high, on_pressure_drop=drop)

    def _pressure(self, tp: TP) -> tuple[Callable[[], None], Callable[[], None]]:
        if tp not in self._pressures:
            self._pressures[tp] = partial(self.consumer.on_buffer_full, tp), partial(self.consumer.on_buffer_drop, tp)
        return self._pressures[tp]

    async def events(self) -> AsyncIterator[Any]:
        """What the agent iterates over: messages of this generation, while the flow is on."""
        while True:
            await asyncio.sleep(0)
            message = await self.queue.get()
            if self.flow_control.is_active() and message.generation_id == self.consumer_generation_id:
                yield message


class _Span:
    def __enter__(self) -> None:
        """Nothing is traced."""

    def __exit__(self, *_: object) -> None:
        """Nothing is traced."""

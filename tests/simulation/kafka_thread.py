"""A model of aiokafka's consumer, on the worker's loop, or (stock Faust) in a thread with a loop of its own.

Prefetch, seeks, heartbeats, and the way through a rebalance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from aiokafka.errors import IllegalStateError
from faust.types import TP

from simulation.broker import CLICKS, Broker, Record, settle
from simulation.clock import Loop
from simulation.group import SESSION, Group, Joined

IDLE_POLL = SESSION / 2
HEARTBEAT = SESSION / 4
RETRY = 0.02


class KafkaThread:
    """What `ChunkConsumer` calls its `_thread`."""

    def __init__(self, *, broker: Broker, group: Group, loop: Loop, main: Loop, slip: float) -> None:
        self._broker = broker
        self._group = group
        self._loop = loop
        self._main = main
        self._slip = slip
        self._calls: asyncio.Queue[Any] = asyncio.Queue()
        self._positions: dict[TP, int | None] = {}
        self._buffers: dict[TP, list[Record]] = {}
        self._fetches: list[asyncio.Task[None]] = []
        self._stirred: dict[TP, asyncio.Event] = {}
        self._arrived = asyncio.Event()
        self._may_deliver = asyncio.Event()
        self._rejoin = asyncio.Event()
        self._beating: asyncio.Task[None] | None = None
        self._member: int | None = None
        self._generation = -1
        self.consumer: Any = None

    def start(self) -> None:
        """Join the group."""
        for _ in range(2):  # as many as a method queue of mode has
            self._loop.create_task(self._serve())
        self._loop.create_task(self._coordinate())

    # what the main loop calls

    async def getmany(self, active: set[TP] | None, timeout: float) -> dict[TP, list[Record]]:  # noqa: ASYNC109
        return await self._call(self._fetched, active or set())

    async def seek_to_committed(self) -> dict[TP, int | None]:
        return await self._call(self._seek_to_committed)

    async def seek_wait(self, places: Mapping[TP, int]) -> None:
        await self._call(self._seek_wait, places)

    async def commit(self, offsets: Mapping[TP, int]) -> bool:
        return await self._call(self._commit, offsets)

    async def earliest_offsets(self, *partitions: TP) -> dict[TP, int]:
        return await self._call(self._earliest, partitions)

    async def highwaters(self, *partitions: TP) -> dict[TP, int]:
        return await self._call(self._highwaters, partitions)

    def assignment(self) -> set[TP]:
        return set(self._positions)

    async def leave(self) -> None:
        """Tell the group that we go."""
        await self._call(self._leave)

    async def _call(self, method: Callable[..., Any], *args: Any) -> Any:
        if self._loop is self._main:
            return await method(*args)
        promise = self._main.create_future()
        self._loop.call_soon_threadsafe(self._calls.put_nowait, (promise, method, args))
        return await promise

    async def _serve(self) -> None:
        while True:
            promise, method, args = await self._calls.get()
            if promise.cancelled():
                continue
            try:
                result = await method(*args)
            except Exception as error:  # noqa: BLE001 - the caller's to handle
                if not promise.done():
                    promise.set_exception(error)
            else:
                settle(promise, result)

    # fetching and seeking

    async def _fetched(self, active: set[TP]) -> dict[TP, list[Record]]:
        if not self.consumer.flow_active:
            return {}
        until = self._loop.time() + IDLE_POLL
        while True:
            await self._may_deliver.wait()
            found = {tp: self._buffers.pop(tp) for tp in sorted(self._buffers) if tp in active}
            for tp, records in found.items():
                self._positions[tp] = records[-1].offset + 1
                self._stirred[tp].set()
            if found:
                return found
            self._arrived.clear()
            try:
                async with asyncio.timeout_at(until):
                    await self._arrived.wait()
            except TimeoutError:
                return {}

    async def _prefetch(self, tp: TP) -> None:
        """Keep the buffer of one partition filled, from where it stands."""
        chance, stirred = self._broker.clock.chance, self._stirred[tp]
        while True:
            stands = self._positions[tp]
            stirred.clear()
            if stands is None:
                committed = await self._ask(partial(self._group.committed.get, tp.partition))
                if self._positions[tp] is None:
                    self._positions[tp] = committed or 0
                continue
            if tp in self._buffers:
                await stirred.wait()
                continue
            again = int(chance.random() * 4) if chance.random() < self._slip else 0  # records that come once more
            act = partial(self._read, tp, max(0, stands - again), 1 + int(chance.random() * 4))
            records = await self._broker.call(self._loop, act)
            if not records:
                await stirred.wait()
            elif self._positions[tp] == stands and records[-1].offset >= stands:
                self._buffers[tp] = records
                self._arrived.set()

    def _read(self, tp: TP, begin: int, limit: int) -> list[Record]:
        records = self._broker.read(CLICKS, tp.partition, begin, limit)
        if not records:
            stirred = self._stirred[tp]
            self._broker.arrivals.setdefault(tp, []).append(lambda: self._loop.call_soon_threadsafe(stirred.set))
        return records

    def _seek(self, tp: TP, offset: int) -> None:
        if tp not in self._positions:
            raise IllegalStateError(f"{tp} is not assigned")
        self._positions[tp] = offset
        self._buffers.pop(tp, None)
        self._stirred[tp].set()

    async def _seek_wait(self, places: Mapping[TP, int]) -> None:
        for tp, offset in sorted(places.items()):
            self._seek(tp, offset)
            if offset > 0:
                self.consumer._read_offset[tp] = offset
            else:
                self.consumer._read_offset.pop(tp, None)
        await asyncio.sleep(0)

    async def _seek_to_committed(self) -> dict[TP, int | None]:
        partitions = sorted(self._positions)
        if not partitions:
            raise AssertionError("No partitions are currently assigned")
        found: dict[TP, int | None] = {}
        for tp in partitions:
            offset = await self._ask(partial(self._group.committed.get, tp.partition))
            found[tp] = offset
            if offset:
                self._seek(tp, offset)
        return found

    async def _earliest(self, partitions: tuple[TP, ...]) -> dict[TP, int]:
        return await self._broker.call(self._loop, lambda: dict.fromkeys(partitions, 0))

    async def _highwaters(self, partitions: tuple[TP, ...]) -> dict[TP, int]:
        return await self._broker.call(self._loop, lambda: {tp: self._broker.ends.get(tp, 0) for tp in partitions})

    # the group

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        ours = {tp.partition: offset for tp, offset in offsets.items() if tp in self._positions}
        act = partial(self._group.commit, self._member, self._generation, ours)
        return await self._ask(act)

    async def _leave(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
        if self._member is not None:
            await self._ask(partial(self._group.leave, self._member))

    async def _coordinate(self) -> None:
        while True:
            self._may_deliver.clear()
            self.consumer.app.on_rebalance_start()
            await self._on_main(partial(self.consumer.on_partitions_revoked, self.assignment()))
            if self._beating is not None:
                self._beating.cancel()
            joined = await self._join()
            self._rejoin.clear()
            self._assign(joined)
            self.consumer.app.consumer_generation_id = joined.generation
            await self._on_main(partial(self.consumer.on_partitions_assigned, self.assignment(), joined.generation))
            self._beating = self._loop.create_task(self._heartbeats())
            await self._rejoin.wait()

    async def _join(self) -> Joined:
        while True:
            joined = await self._joined()
            self._member, self._generation = joined.member, joined.generation
            if await self._beat() != "unknown":
                return joined
            self._member = None
            await asyncio.sleep(RETRY)

    async def _joined(self) -> Joined:
        """The group's answer, which comes when all have joined."""
        answer: asyncio.Future[Joined] = self._loop.create_future()
        reply = partial(self._broker.reply, self._loop, answer)
        await self._ask(lambda: self._group.join(self._member, reply))
        return await answer

    def _assign(self, joined: Joined) -> None:
        for fetch in self._fetches:
            fetch.cancel()
        self._positions = {TP(CLICKS, partition): None for partition in joined.partitions}
        self._buffers = {}
        self._stirred = {tp: asyncio.Event() for tp in self._positions}
        self._fetches = [self._loop.create_task(self._prefetch(tp)) for tp in self._positions]
        self._may_deliver.set()

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            said = await self._beat()
            if said != "ok":
                self._rejoin.set()
            if said == "unknown":
                self._member = None
                return

    async def _beat(self) -> str:
        return await self._ask(partial(self._group.heartbeat, self._member, self._generation))

    async def _ask(self, act: Callable[[], Any]) -> Any:
        """Ask the coordinator of the group."""
        return await self._broker.call(self._loop, act, group=True)

    async def _on_main(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        promise = self._loop.create_future()

        async def run() -> None:
            await work()
            settle(promise, None)

        self._main.call_soon_threadsafe(lambda: self._main.create_task(run()))
        await promise

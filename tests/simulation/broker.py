"""A model of the broker: logs, a changelog that may be compacted, and a network between it and the processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, TypeVar

from simulation.clock import Clock, Loop, Process
from stream_engine.errors import Unavailable
from stream_engine.streaming.publisher import Outgoing
from stream_engine.users import decode_state

T = TypeVar("T")
CLICKS, CHANGELOG, LISTS = "clicks", "changelog", "lists"
LATENCY = 0.006  # seconds one way, on average
LAG = 2.0  # seconds a record is spared by compaction


@dataclass(frozen=True, slots=True)
class Record:
    """A record as aiokafka hands it over."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp: int = 1_700_000_000_000
    timestamp_type: int = 0
    born: float = 0.0  # when the broker took it
    checksum: int | None = None
    serialized_key_size: int = 0
    serialized_value_size: int = 0


class Broker:
    """Logs by topic and partition, and the way there."""

    def __init__(self, clock: Clock, partitions: int) -> None:
        self.clock = clock
        self.loop = clock.loop(Process("broker"))
        self.partitions = partitions
        self.logs: dict[tuple[str, int], list[Record]] = {}
        self.ends: dict[tuple[str, int], int] = {}
        self.away_until = 0.0
        self.arrivals: dict[tuple[str, int], list[Callable[[], None]]] = {}
        self.on_record: Callable[[Record], None] = lambda _: None
        self.tell: Callable[[str], None] = lambda _: None

    def append(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> int:
        """The offset of the record, now the last of its log."""
        place = (topic, partition)
        offset = self.ends.get(place, 0)
        record = Record(topic, partition, offset, key, value, headers, born=self.clock.now)
        self.logs.setdefault(place, []).append(record)
        self.on_record(record)
        self.ends[place] = offset + 1
        for notify in self.arrivals.pop(place, ()):
            notify()
        return offset

    def skip(self, topic: str, partition: int) -> None:
        """Leave an offset without a record, as transactions and compaction do."""
        self.ends[topic, partition] = self.ends.get((topic, partition), 0) + 1

    def read(self, topic: str, partition: int, begin: int, limit: int) -> list[Record]:
        """At most so many records from an offset on."""
        log = self.logs.get((topic, partition), [])
        return [record for record in log if record.offset >= begin][:limit]

    def compact(self, partition: int, lag: float = LAG) -> None:
        """Keep the last changelog record of each key, and all since the first that is younger than the lag."""
        log = self.logs.get((CHANGELOG, partition), [])
        self.logs[CHANGELOG, partition] = compacted(log, before=self.clock.now - lag)

    def latency(self) -> float:
        """How long one way takes this time."""
        return self.clock.chance.expovariate(1 / LATENCY)

    def open_at(self, process: Process, *, group: bool = False) -> float:
        """From when on the process can reach the broker, or the one that coordinates its group."""
        return max(self.away_until, process.cut_until, process.apart_until if group else 0.0)

    async def call(self, loop: Loop, act: Callable[[], T], *, group: bool = False) -> T:
        """Ask: the request travels, `act` is carried out at the broker, and what it says travels back."""
        answer: Any = loop.create_future()
        self.loop.call_later(self.latency(), self._arrive, loop, act, answer, group)
        result: T = await answer
        return result

    def _arrive(self, loop: Loop, act: Callable[[], Any], answer: Any, group: bool = False) -> None:  # noqa: FBT001, FBT002
        blocked = self.open_at(loop.process, group=group) - self.clock.now
        if blocked > 0:  # sent again and again, until it arrives
            self.loop.call_later(blocked + self.latency(), self._arrive, loop, act, answer, group)
        elif not loop.process.dead or self.clock.chance.random() < 0.5:
            self.reply(loop, answer, act())

    def reply(self, loop: Loop, answer: Any, result: Any) -> None:
        """Send an answer on its way."""
        self.loop.call_later(self.latency(), self._reply, loop, answer, result)

    def _reply(self, loop: Loop, answer: Any, result: Any) -> None:
        blocked = self.open_at(loop.process) - self.clock.now
        if blocked > 0:
            self.loop.call_later(blocked + self.latency(), self._reply, loop, answer, result)
        else:
            settle(answer, result)


def compacted(log: Sequence[Record], *, before: float) -> list[Record]:
    """What is left of a log: the last record of each key of those that came before, and all others."""
    old = list(takewhile(lambda record: record.born <= before, log))
    last = {record.key: record.offset for record in old}
    return [record for record in old if last[record.key] == record.offset] + list(log[len(old) :])


def settle(answer: Any, result: Any) -> None:
    """Wake up who waits, in the loop it waits in."""
    if not answer.done():
        answer.set_result(result)


class Producer:
    """A publisher as `KafkaPublisher` is one: in order per partition; some may have arrived when it raises."""

    def __init__(self, broker: Broker, loop: Loop, *, failing: float, late: bool) -> None:
        self._broker = broker
        self._loop = loop
        self._failing = failing
        self._late = late
        self._last: dict[tuple[str, int], float] = {}
        self.on_written: Callable[[str, int, int, int], None] = lambda *_: None

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Return once the broker has all of them; raises Unavailable."""
        chance = self._broker.clock.chance
        batches: dict[tuple[str, int], list[Outgoing]] = {}
        for record in records:
            batches.setdefault((record.topic, record.partition or 0), []).append(record)
        fails = chance.random() < self._failing
        answers = []
        for place, batch in batches.items():
            if self._late:
                await _hops(int(chance.random() * 3))  # a task of its own takes it to the socket
            if not fails or chance.random() < 0.5:
                answers.append(self._send(place, batch))
        for answer in answers:
            self.on_written(*await answer)
        if fails:
            raise Unavailable("broker", "one batch did not arrive")

    def _send(self, place: tuple[str, int], batch: list[Outgoing]) -> Any:
        broker, now = self._broker, self._broker.clock.now
        at = max(now + broker.latency(), self._last.get(place, 0.0))
        self._last[place] = at
        answer = self._loop.create_future()
        broker.loop.call_at(at, self._arrive, lambda: self._append(place, batch), answer)
        return answer

    def _arrive(self, act: Callable[[], Any], answer: Any) -> None:
        """At the broker, unless it is held on the way."""
        broker, held_until = self._broker, self._loop.process.held_until
        if held_until > broker.clock.now:
            broker.loop.call_at(held_until, self._arrive, act, answer)
        else:
            broker._arrive(self._loop, act, answer)

    def _append(self, place: tuple[str, int], batch: list[Outgoing]) -> tuple[str, int, int, int]:
        offset = 0
        for record in batch:
            offset = self._broker.append(*place, record.key, record.value, record.headers)
            self._broker.tell(f"{self._loop.process.name} wrote {place[0]} {place[1]}/{offset}: {_text(record)}")
        return *place, offset - len(batch) + 1, len(batch)


async def _hops(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def _text(record: Outgoing) -> str:
    """The user, and how many clicks the record tells of."""
    if record.topic == CHANGELOG and record.value:
        return f"{(record.key or b'').decode()} {' '.join(decode_state(record.value).items)}"
    return (record.key or b"").decode()

"""Our loop without the engine: chunks, guard, positions, table and publisher, of a stage that counts and forwards."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from prometheus_client import CollectorRegistry

from stream_engine.metrics import Metrics
from stream_engine.settings import Settings, load
from stream_engine.streaming.app import add_agents, make_app, users_table
from stream_engine.streaming.chunks import Record
from stream_engine.streaming.guard import Guard, Stage
from stream_engine.streaming.publisher import KafkaPublisher, Outgoing
from stream_engine.streaming.state_store import StateStore


class Click(msgspec.Struct):
    """As much as is needed."""

    user_id: str


class Counting:
    """What the stock agent does, for a chunk."""

    def __init__(self, table: StateStore, forwarded: str) -> None:
        self._table = table
        self._forwarded = forwarded
        self._decoder = msgspec.json.Decoder(Click)

    async def handle(self, records: Sequence[Record]) -> list[Outgoing]:
        """One more for each user, told to the changelog and to whoever listens; event by event, as stock does."""
        effects = []
        for record in records:
            key = self._decoder.decode(record.value or b"").user_id.encode()
            count = b"%d" % (int(self._table.read(key, record.partition) or 0) + 1)
            effects.append(self._table.write(key, count, record.partition))
            effects.append(Outgoing(self._forwarded, record.key, b'{"count":%s}' % count))
        return effects


async def main(settings: Settings) -> None:
    """Run until killed."""
    publisher = KafkaPublisher(settings.kafka, timeout=0.8 * settings.kafka.session_timeout)
    await publisher.start()
    guards: dict[str, Guard] = {}

    async def finish() -> None:
        await asyncio.gather(*(guard.finish() for guard in guards.values()))

    app = make_app(settings, finish=finish)
    counting = Counting(users_table(app, settings), settings.topics.recommendations)
    guards[settings.topics.clicks] = Guard(
        Stage("clicks", counting.handle),
        positions=app.positions,
        publisher=publisher,
        dead_letters=settings.topics.dead_letters,
        may_write=lambda: None,
        metrics=Metrics(CollectorRegistry()),
    )
    add_agents(app, guards)
    publisher.on_written = app.note_written
    await app.start()
    await app.wait_until_stopped()


if __name__ == "__main__":
    asyncio.run(main(load()))

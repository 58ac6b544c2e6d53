"""The stages of one worker on fakes: tables in dicts, a hashed encoder, an index in memory, the real engine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import count

from harness.records import FakeRecord, record
from stream_engine.codec import Limits, decode_dead_letter, decode_recommendation
from stream_engine.encoder.hashed import HashedEncoder
from stream_engine.encoder.protocol import Encoder
from stream_engine.engine import Engine
from stream_engine.events import DeadLetter, Recommendation
from stream_engine.giving_way import Spare
from stream_engine.index.memory import MemoryIndex
from stream_engine.index.protocol import Index
from stream_engine.index.resilient import ResilientIndex
from stream_engine.items.view import ItemView
from stream_engine.ranking.ranker import Ranker
from stream_engine.settings import RankingSettings, StatisticsSettings, UserSettings
from stream_engine.streaming.feed import ViewWriter
from stream_engine.streaming.publisher import Outgoing, Publisher
from stream_engine.streaming.stages import Catalogue, Clicks, Control, Erasing, FakeTable, Joins, Ordering, Statistics
from stream_engine.streaming.surplus import Surplus

PARTITIONS = 4
NOW = 1_700_000_000.0


class FakePast:
    """The records it was given, in the order they came; offsets are places in that order."""

    def __init__(self) -> None:
        self.log: dict[tuple[str, int], list[FakeRecord]] = {}

    def add(self, *records: FakeRecord) -> None:
        """They are on the log now."""
        for each in records:
            self.log.setdefault((each.topic, each.partition), []).append(each)

    async def place(self, topic: str, partition: int, timestamp_ms: int) -> int | None:
        """The first record stamped then or later."""
        records = self.log.get((topic, partition), [])
        return next((each.offset for each in records if each.timestamp >= timestamp_ms), None)

    async def end(self, topic: str, partition: int) -> int:
        """How many there are."""
        return len(self.log.get((topic, partition), []))

    async def read(self, topic: str, partition: int, begin: int, end: int) -> Sequence[FakeRecord]:
        """Those from `begin` up to `end`."""
        return self.log.get((topic, partition), [])[begin:end]


class Stages:
    """All stages of a worker, sharing what a worker's stages share; `feed` does what the item view's feed would."""

    def __init__(self, *, encoder: Encoder | None = None, index: Index | None = None, shared: bool = False) -> None:
        encoder = encoder or HashedEncoder(64)
        self.index = ResilientIndex(index or MemoryIndex(64), clock=count(0.0, 60.0).__next__)  # type: ignore[arg-type]
        self.view = ItemView(64, StatisticsSettings(), fingerprint=encoder.fingerprint)
        self.writer = ViewWriter(self.view, self.index, shared=shared)
        self.users, self.items = FakeTable("users-changelog"), FakeTable("items-changelog")
        limits = Limits(max_bytes=10_000)
        engine = Engine(
            view=self.view,
            index=self.index,
            encoder=encoder,
            ranker=Ranker(),
            users=UserSettings(),
            ranking=RankingSettings(size=5),
        )
        self.clicks = Clicks(
            engine=engine,
            users=self.users,
            limits=limits,
            clock=lambda: NOW,
            recommendations="recommendations",
            dead_letters="dead",
            items="items",
            interactions="interactions",
            partitions=PARTITIONS,
        )
        self.catalogue = Catalogue(
            view=self.view,
            encoder=encoder,
            limits=limits,
            item_state="item-state",
            dead_letters="dead",
            shared_index=self.index if shared else None,
            announced=self.writer.is_announced,
            newer=self.writer.newer,
        )
        self.statistics = Statistics(self.items, StatisticsSettings(), "dead", cached={}, spare=Spare())
        self.past = FakePast()
        self.ordering = Ordering(self.past, clicks="clicks", joins="joins")
        self.erasing = Erasing(
            engine=engine,
            users=self.users,
            ordering=self.ordering,
            limits=limits,
            settings=UserSettings(),
            clock=lambda: NOW,
            recommendations="recommendations",
        )
        self.control = Control(
            users=self.users, limits=limits, dead_letters="dead", joins="joins", erasing=self.erasing
        )
        self.joins = Joins(
            engine=engine,
            users=self.users,
            settings=UserSettings(),
            clock=lambda: NOW,
            recommendations="recommendations",
            dead_letters="dead",
        )

    async def stock(self, titles: Mapping[str, str]) -> None:
        """Publish items, and let the view have them."""
        effects = await self.catalogue.handle(
            [item(at, item_id, title=title) for at, (item_id, title) in enumerate(titles.items())]
        )
        await self.feed(effects)

    async def feed(self, effects: Sequence[Outgoing]) -> None:
        """Apply what was published to the view and the index."""
        for each in of(effects, "item-state"):
            self.writer.catalogue(each.key or b"", each.value)
        for each in of(effects, "items-changelog"):
            self.writer.statistics(each.key or b"", each.value)
        await self.writer.index()


def surplus_of(stages: Stages, publisher: Publisher, *, unannounced: int, partitions: int = 1) -> Surplus:
    """What bounds the statistics, of a worker that owns everything."""
    return Surplus(
        stages.items,
        publisher,
        settings=StatisticsSettings(unannounced=unannounced),
        partitions=partitions,
        announced=stages.writer.is_announced,
        turn=asyncio.Lock(),
        may_write=lambda: None,
        owns=lambda _: True,
    )


def item(offset: int, item_id: str, headers: Sequence[tuple[str, bytes]] = (), **fields: object) -> FakeRecord:
    """A record of the items topic; without fields a deletion."""
    body = {"item_id": item_id, **fields} if fields else None
    return record(offset, body, key=item_id.encode(), topic="items", headers=headers)


def of(effects: Sequence[Outgoing], topic: str) -> list[Outgoing]:
    """Those for one topic."""
    return [each for each in effects if each.topic == topic]


def lists(effects: Sequence[Outgoing]) -> list[Recommendation]:
    """The lists among them."""
    return [decode_recommendation(each.value or b"") for each in of(effects, "recommendations")]


def letters(effects: Sequence[Outgoing]) -> list[DeadLetter]:
    """The dead letters among them."""
    return [decode_dead_letter(each.key, each.value, each.headers) for each in of(effects, "dead")]

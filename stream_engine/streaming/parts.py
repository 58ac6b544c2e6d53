"""The composition root: which implementation stands for which port, and which stage serves which topic."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from stream_engine.codec import Limits
from stream_engine.encoder.load import open_encoder
from stream_engine.encoder.protocol import Encoder
from stream_engine.engine import Engine
from stream_engine.giving_way import Spare
from stream_engine.index.open import open_index
from stream_engine.index.resilient import ResilientIndex
from stream_engine.items.view import ItemView
from stream_engine.ranking.exploring import Explorer
from stream_engine.ranking.ranker import Ranker
from stream_engine.ranking.warmup import warm_up
from stream_engine.settings import Settings, StreamSettings
from stream_engine.streaming.feed import Feed, Subscription, ViewWriter
from stream_engine.streaming.guard import Stage
from stream_engine.streaming.partitioning import partition_of
from stream_engine.streaming.past import KafkaPast
from stream_engine.streaming.publisher import KafkaPublisher
from stream_engine.streaming.sharing import Sharing
from stream_engine.streaming.stages import (
    Catalogue,
    Clicks,
    Control,
    Erasing,
    Joins,
    Ordering,
    Placement,
    StateTable,
    Statistics,
)
from stream_engine.streaming.topics import (
    ITEMS_TABLE,
    changelog_topic,
    interactions_topic,
    item_state_topic,
    joins_topic,
    ranker_topic,
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker is made of, but for Faust."""

    encoder: Encoder
    index: ResilientIndex
    view: ItemView
    engine: Engine
    publisher: KafkaPublisher
    bulk: KafkaPublisher  # of what can wait: a producer has one request under way, and that may be a megabyte
    sharing: Sharing
    feed: Feed
    writer: ViewWriter
    past: KafkaPast
    explorer: Explorer
    spare: Spare

    def missed(self) -> list[str]:
        """What there is and cannot be used at present."""
        found = [] if self.index.available else ["index"]
        if self.writer.foreign:
            found.append(f"vectors of {len(self.writer.foreign)} items, made by another model")
        return found + [f"what a later version wrote to {topic}" for topic in sorted(self.feed.newer)]

    async def close(self) -> None:
        """Let go of connections, threads and files."""
        await self.publisher.stop()
        await self.bulk.stop()
        await self.past.stop()
        await self.encoder.close()
        await self.index.close()


async def open_parts(settings: Settings, *, may_write: Callable[[], None]) -> Parts:
    """Everything opened and connected, the feed not yet running; raises BadConfiguration or Unavailable."""
    kafka, data_dir = settings.kafka, settings.stream.data_dir
    await asyncio.to_thread(warm_up)
    partition_of(b"", 1)  # compiled as well
    encoder = await asyncio.to_thread(open_encoder, settings.encoder, data_dir)
    fingerprint, dimensions = encoder.fingerprint, encoder.dimensions
    index = await open_index(settings.index, fingerprint=fingerprint, dimensions=dimensions, data_dir=data_dir)
    view = ItemView(dimensions, settings.statistics, fingerprint=fingerprint)
    ranker = Ranker(settings.ranking.seed)
    engine = Engine(
        view=view, index=index, encoder=encoder, ranker=ranker, users=settings.users, ranking=settings.ranking
    )
    publisher, bulk = (KafkaPublisher(kafka, timeout=0.8 * kafka.session_timeout) for _ in range(2))
    await publisher.start()
    await bulk.start()
    past = KafkaPast(kafka)
    await past.start()
    writer = ViewWriter(view, index, shared=is_shared(settings))
    topic, name = ranker_topic(kafka.group), worker_name(settings.stream)
    sharing = Sharing(ranker, worker=name, topic=topic, publisher=publisher, may_write=may_write)
    subscriptions = (
        Subscription(topic, sharing.take),
        Subscription(item_state_topic(kafka.group), writer.catalogue),
        Subscription(changelog_topic(kafka.group, ITEMS_TABLE), writer.statistics),
    )
    spare = Spare()
    feed = Feed(kafka, subscriptions, after=writer.index, spare=spare)
    explorer = Explorer(view, index)
    return Parts(encoder, index, view, engine, publisher, bulk, sharing, feed, writer, past, explorer, spare)


def make_stages(
    settings: Settings, parts: Parts, *, users: StateTable, items: StateTable, moved: Callable[[str, int], None]
) -> dict[str, Stage]:
    """One stage for each topic that is consumed; `moved` is told of records that were sent on."""
    kafka, topics = settings.kafka, settings.topics
    interactions = interactions_topic(kafka.group)
    limits = _limits(settings)
    placement = Placement(kafka.partitions, moved)
    clicks = Clicks(
        engine=parts.engine,
        users=users,
        limits=limits,
        clock=time.time,
        recommendations=topics.recommendations,
        dead_letters=topics.dead_letters,
        items=topics.items,
        interactions=interactions,
        partitions=kafka.partitions,
        placement=placement,
    )
    statistics = Statistics(items, settings.statistics, topics.dead_letters, cached={}, spare=parts.spare)
    ordering = Ordering(parts.past, clicks=topics.clicks, joins=joins_topic(kafka.group))
    erasing = Erasing(
        engine=parts.engine,
        users=users,
        ordering=ordering,
        limits=limits,
        settings=settings.users,
        clock=time.time,
        recommendations=topics.recommendations,
    )
    control = Control(
        users=users,
        limits=limits,
        dead_letters=topics.dead_letters,
        joins=joins_topic(kafka.group),
        erasing=erasing,
        placement=placement,
    )
    joins = Joins(
        engine=parts.engine,
        users=users,
        settings=settings.users,
        clock=time.time,
        recommendations=topics.recommendations,
        dead_letters=topics.dead_letters,
    )
    turn = asyncio.Lock()  # of those who write the users' table
    return {
        topics.clicks: Stage(
            "clicks", clicks.handle, turn=turn, linger=0.0, together=settings.stream.chunk, ahead=True
        ),
        topics.users: Stage("users", control.handle, turn=turn, due=ordering.due),
        joins_topic(kafka.group): Stage("joins", joins.handle, turn=turn),
        topics.items: Stage("items", make_catalogue(settings, parts).handle),
        interactions: Stage("interactions", statistics.handle, statistics.forget, linger=1.0, patient=True),
    }


def _limits(settings: Settings) -> Limits:
    return Limits(max_future=settings.stream.max_future, max_bytes=settings.kafka.max_record_bytes)


def make_catalogue(settings: Settings, parts: Parts) -> Catalogue:
    """What makes records of items, for those that are announced and those that are encoded again."""
    return Catalogue(
        view=parts.view,
        encoder=parts.encoder,
        limits=_limits(settings),
        item_state=item_state_topic(settings.kafka.group),
        dead_letters=settings.topics.dead_letters,
        shared_index=parts.index if is_shared(settings) else None,
        announced=parts.writer.is_announced,
        newer=parts.writer.newer,
    )


def is_shared(settings: Settings) -> bool:
    """Whether all workers search one index, a Qdrant server."""
    return settings.index.location.startswith("http")


def worker_name(stream: StreamSettings) -> str:
    """The replica's name: as set, or its machine and data folder, so that it is the same after a restart."""
    return stream.worker or f"{socket.gethostname()}:{stream.data_dir.absolute()}"

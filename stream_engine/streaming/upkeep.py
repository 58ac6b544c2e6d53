"""What a worker does beside its stream: writes back, saves, encodes again, forgets; each in the turn of who writes."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from stream_engine.settings import Settings
from stream_engine.streaming.chunk_app import ChunkApp
from stream_engine.streaming.expiry import Expiry
from stream_engine.streaming.guard import Stage
from stream_engine.streaming.mending import Mender, Shown, nothing
from stream_engine.streaming.parts import Parts, make_catalogue
from stream_engine.streaming.reencoding import Ours, Reencoding
from stream_engine.streaming.saving import SPREAD, Logs, Saving
from stream_engine.streaming.stages import ListsAgain
from stream_engine.streaming.state_files import StateFiles
from stream_engine.streaming.state_store import StateStore
from stream_engine.streaming.surplus import Surplus
from stream_engine.streaming.topics import interactions_topic


class Round(Protocol):
    """What is done again and again."""

    async def run(self) -> None:
        """For ever."""
        ...


@dataclass(frozen=True, slots=True)
class Tables:
    """Both tables, and the stages whose turns are those of their writers."""

    users: StateStore
    items: StateStore
    stages: Mapping[str, Stage]


@dataclass(frozen=True, slots=True)
class Upkeep:
    """All there is to do."""

    menders: tuple[Mender, ...]
    savings: tuple[Saving, ...]
    reencoding: Reencoding
    surplus: Surplus
    expiry: Expiry | None

    def rounds(self) -> list[Round]:
        """Each, to be run."""
        return [*self.menders, *self.savings, self.reencoding, self.surplus, *([self.expiry] if self.expiry else [])]

    @property
    def expired(self) -> int:
        """Users forgotten since the start."""
        return 0 if self.expiry is None else self.expiry.expired

    async def restore(self, logs: Logs) -> None:
        """Go on from what is on the disk; raises Unavailable, or NewerVersion."""
        await asyncio.gather(*(saving.restore(logs) for saving in self.savings))

    async def finish(self) -> None:
        """Save what is left, when nobody writes any more."""
        for saving in self.savings:
            await saving.finish()


def make_upkeep(
    settings: Settings,
    parts: Parts,
    app: ChunkApp,
    tables: Tables,
    *,
    may_write: Callable[[], None],
    mended: Callable[[str, int], None],
) -> Upkeep:
    """As the settings say; `mended` is told of records written again."""
    topics = settings.topics
    clicks, interactions, announced = (
        tables.stages[topic].turn for topic in (topics.clicks, interactions_topic(settings.kafka.group), topics.items)
    )
    lists = ListsAgain(parts.engine, topics, time.time)

    def mender(table: StateStore, turn: asyncio.Lock, shown: Shown = nothing) -> Mender:
        return Mender(
            table,
            app,
            parts.past,
            parts.publisher,
            turn=turn,
            may_write=may_write,
            count=partial(mended, table.changelog),
            shown=shown,
        )

    return Upkeep(
        (mender(tables.users, clicks, lists), mender(tables.items, interactions)),
        _savings(settings, (tables.users, clicks), (tables.items, interactions)),
        _reencoding(settings, parts, app, announced, may_write),
        _surplus(settings, parts, app, tables.items, interactions, may_write),
        _expiry(settings, parts, app, tables.users, clicks, may_write) if settings.users.expire_after else None,
    )


def _savings(settings: Settings, *tables: tuple[StateStore, asyncio.Lock]) -> tuple[Saving, ...]:
    """One for each table; where nothing is to be saved, nothing stays."""
    folder = settings.stream.data_dir / "states"
    if not settings.stream.states_on_disk:
        shutil.rmtree(folder, ignore_errors=True)
        return ()
    return tuple(Saving(table, StateFiles(folder / table.changelog), turn, spread=SPREAD) for table, turn in tables)


def _reencoding(
    settings: Settings, parts: Parts, app: ChunkApp, turn: asyncio.Lock, may_write: Callable[[], None]
) -> Reencoding:
    return Reencoding(
        make_catalogue(settings, parts),
        parts.writer.foreign,
        parts.past,
        parts.publisher,
        ours=Ours(settings.topics.items, settings.kafka.partitions, app.owns, app.positions.next_of),
        turn=turn,
        may_write=may_write,
        settled=parts.index.ensure,
    )


def _surplus(
    settings: Settings,
    parts: Parts,
    app: ChunkApp,
    items: StateStore,
    turn: asyncio.Lock,
    may_write: Callable[[], None],
) -> Surplus:
    return Surplus(
        items,
        parts.publisher,
        settings=settings.statistics,
        partitions=settings.kafka.partitions,
        announced=parts.writer.is_announced,
        turn=turn,
        may_write=may_write,
        owns=app.owns,
    )


def _expiry(
    settings: Settings,
    parts: Parts,
    app: ChunkApp,
    users: StateStore,
    turn: asyncio.Lock,
    may_write: Callable[[], None],
) -> Expiry:
    return Expiry(
        users,
        parts.publisher,
        after=settings.users.expire_after,
        recommendations=settings.topics.recommendations,
        turn=turn,
        may_write=may_write,
        owns=app.owns,
        clock=time.time,
    )

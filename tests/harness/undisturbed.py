"""What a log of clicks comes to when nothing goes wrong, what a recovery yields, and how far the two are apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kafka import TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from stream_engine import users
from stream_engine.codec import Limits, decode_interaction
from stream_engine.encoder.load import open_encoder
from stream_engine.events import Received
from stream_engine.items import statistics
from stream_engine.items.record import decode_record
from stream_engine.items.statistics import ItemStatistics, decode_statistics
from stream_engine.items.tally import observe
from stream_engine.items.updates import ItemUpdate, updates_of
from stream_engine.items.view import ItemView
from stream_engine.settings import Settings, StatisticsSettings
from stream_engine.streaming.changelogs import Marks, Sieve
from stream_engine.streaming.chunks import source_of
from stream_engine.streaming.reading import POLL_MS, reader, snapshot
from stream_engine.streaming.topics import ITEMS_TABLE, USERS_TABLE, changelog_topic, item_state_topic
from stream_engine.users import UserState, advance, context, decode_state, space_of


@dataclass(frozen=True)
class Account:
    """Users' states and items' statistics."""

    users: Mapping[str, UserState]
    items: Mapping[str, ItemStatistics]


def undisturbed(settings: Settings) -> Account:
    """Every click on the topic applied in order, with the vectors that workers had who knew all items before."""
    view = known_items(settings)
    space, limits = space_of(view.fingerprint), Limits(max_future=settings.stream.max_future)
    states: dict[str, UserState] = {}
    items: dict[str, ItemStatistics] = {}
    for record in snapshot(settings.kafka, settings.topics.clicks):
        interaction = decode_interaction(
            record.value, key=record.key, headers=(), timestamp=record.timestamp / 1000, limits=limits
        )
        user, received = interaction.user_id, Received(interaction, source_of(record))
        vector = view.vector(interaction.item_id or "")
        states[user] = advance(states.get(user), received, vector, settings.users, space=space)
        for update in said(states[user], received, settings.statistics):
            items[update.item_id] = observe(items.get(update.item_id), update, settings.statistics)
    return Account(states, items)


def recovered(settings: Settings) -> Account:
    """What a worker that starts with an empty disk would hold."""
    return Recovery(settings).account()


class Recovery:
    """What such a worker would hold, each time it is asked; changelogs are read on from where they were."""

    def __init__(self, settings: Settings) -> None:
        self._states = Changelog(settings, USERS_TABLE, users.marks)
        self._items = Changelog(settings, ITEMS_TABLE, statistics.marks)

    def account(self) -> Account:
        """It as of now."""
        states, items = self._states.read_on(), self._items.read_on()
        return Account(
            {key.decode(): decode_state(value) for key, value in states.items()},
            {key.decode(): decode_statistics(value) for key, value in items.items()},
        )


def states_off(found: Account, wanted: Account) -> int:
    """Users whose state differs."""
    return sum(found.users.get(user) != wanted.users.get(user) for user in found.users.keys() | wanted.users.keys())


def item_clicks_off(found: Account, wanted: Account) -> int:
    """Clicks that items miss or have too many."""
    counts = [{item: stats.clicks for item, stats in each.items.items()} for each in (found, wanted)]
    return round(sum(abs(counts[0].get(item, 0.0) - counts[1].get(item, 0.0)) for item in counts[0] | counts[1]))


def item_pairs_off(found: Account, wanted: Account) -> int:
    """Items whose pairs or followers differ in all; in which order they were counted is left to chance."""
    return sum(
        not _same_pairs(found.items.get(item), wanted.items.get(item))
        for item in found.items.keys() | wanted.items.keys()
    )


def known_items(settings: Settings) -> ItemView:
    """The view of a worker that has read the catalogue."""
    encoder = open_encoder(settings.encoder, settings.stream.data_dir)
    view = ItemView(encoder.dimensions, settings.statistics, fingerprint=encoder.fingerprint)
    for record in snapshot(settings.kafka, item_state_topic(settings.kafka.group)):
        view.put(decode_record(record.value))
    return view


def said(state: UserState, received: Received, settings: StatisticsSettings) -> list[ItemUpdate]:
    """What a click on an item says about items, after it is applied."""
    before = context(state, received.source, settings.window)
    return updates_of(
        received.interaction.item_id or "",
        list(dict.fromkeys(before)),
        source=received.source,
        timestamp=received.interaction.timestamp,
        weight=1.0,
        fade=settings.fade,
    )


class Changelog:
    """The last record of each key, but for late ones."""

    def __init__(self, settings: Settings, table: str, marks: Marks) -> None:
        self._kafka, self._topic = settings.kafka, changelog_topic(settings.kafka.group, table)
        self._sieve = Sieve(marks)
        self._kept: dict[bytes, bytes | None] = {}
        self._places: dict[TopicPartition, int] = {}

    def read_on(self) -> dict[bytes, bytes]:
        """It as of now."""
        for record in self._fresh():
            if self._sieve.takes(record, self._kept.get(record.key)):
                self._kept[record.key] = record.value
        return {key: value for key, value in self._kept.items() if value is not None}

    def _fresh(self) -> Iterator[ConsumerRecord]:
        with reader(self._kafka, self._topic) as consumer:
            for partition, place in self._places.items():
                consumer.seek(partition, place)
            ends = consumer.end_offsets(list(consumer.assignment()))
            while any(consumer.position(partition) < end for partition, end in ends.items()):
                for records in consumer.poll(timeout_ms=POLL_MS).values():
                    yield from records
            self._places = {partition: consumer.position(partition) for partition in ends}


def _same_pairs(found: ItemStatistics | None, wanted: ItemStatistics | None) -> bool:
    if found is None or wanted is None:
        return found is wanted
    same_places = found.watermarks == wanted.watermarks and found.followed == wanted.followed
    return same_places and math.isclose(found.pairs, wanted.pairs, rel_tol=1e-9)

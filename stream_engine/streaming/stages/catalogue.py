"""The `items` topic: what can be recommended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from stream_engine.codec import Limits, decode_item
from stream_engine.encoder.protocol import Encoder
from stream_engine.errors import NewerVersion
from stream_engine.events import Item, ItemDeleted
from stream_engine.index.protocol import Index, Point
from stream_engine.items.record import CatalogueRecord, encode_record, record_of
from stream_engine.items.view import ItemView
from stream_engine.streaming.chunks import Record
from stream_engine.streaming.publisher import Outgoing
from stream_engine.streaming.stages.decoding import decoded

ANNOUNCED = "stream-engine-announced"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """An item: its text encoded once, its record for every worker's view; a shared index is told here."""

    view: ItemView
    encoder: Encoder
    limits: Limits
    item_state: str
    dead_letters: str
    shared_index: Index | None
    announced: Callable[[str], bool]  # whether the catalogue holds the item
    newer: Mapping[str, NewerVersion]  # items that a later version of us wrote

    async def handle(self, records: Sequence[Record]) -> list[Outgoing]:
        """The view records of new, changed and deleted items."""
        good, effects = decoded(records, decode_item, limits=self.limits, dead_letters=self.dead_letters, stage="items")
        last: dict[str, tuple[Record, Item | ItemDeleted]] = {}
        for record, said in good:
            if not (_by_click(record) and (said.item_id in last or self.announced(said.item_id))):
                last[said.item_id] = record, said
        live = {item_id: (record, said) for item_id, (record, said) in last.items() if isinstance(said, Item)}
        effects += await self._published(live)
        gone = [item_id for item_id in last if item_id not in live]
        if self.shared_index is not None:
            await self.shared_index.delete(gone)
        effects += [Outgoing(self.item_state, item_id.encode(), None) for item_id in gone]
        return effects

    async def again(self, records: Sequence[Record]) -> list[Outgoing]:
        """The view records of items that are known already, as all that was said of them has it: handled before."""
        good, _ = decoded(records, decode_item, limits=self.limits, dead_letters=self.dead_letters, stage="items")
        last: dict[str, tuple[Record, Item]] = {}
        for record, said in good:
            if isinstance(said, ItemDeleted):
                last.pop(said.item_id, None)
            elif not (_by_click(record) and said.item_id in last):
                last[said.item_id] = record, said
        return await self._published(last)

    async def _published(self, items: Mapping[str, tuple[Record, Item]]) -> list[Outgoing]:
        self._refuse_newer(items)
        made = await self._records(list(items.values()))
        if self.shared_index is not None:
            await self.shared_index.upsert(points(made))
        return [Outgoing(self.item_state, each.item_id.encode(), encode_record(each)) for each in made]

    async def _records(self, items: Sequence[tuple[Record, Item]]) -> list[CatalogueRecord]:
        with_text = [item.item_id for _, item in items if item.text]
        vectors = dict(
            zip(with_text, await self.encoder.encode([item.text for _, item in items if item.text]), strict=True)
        )
        return [
            record_of(
                item,
                first_seen=self._first_seen(item.item_id) or record.timestamp / 1000,
                vector=vectors.get(item.item_id),
                fingerprint=self.encoder.fingerprint,
            )
            for record, item in items
        ]

    def _refuse_newer(self, item_ids: Iterable[str]) -> None:
        for newer in (self.newer[item_id] for item_id in item_ids if item_id in self.newer):
            raise NewerVersion(f"{newer.what} on {self.item_state}", newer.found, newer.known)

    def _first_seen(self, item_id: str) -> float:
        row = self.view.row(item_id)
        return 0.0 if row is None else float(self.view.columns.first_seen[row])


def _by_click(record: Record) -> bool:
    """Whether only a click announced the item: that does not overrule the catalogue."""
    return any(name == ANNOUNCED for name, _ in record.headers or ())


def points(records: Iterable[CatalogueRecord]) -> list[Point]:
    """What an index holds of these; items without text are not searched."""
    return [
        Point(each.item_id, each.vector, each.available, each.categories) for each in records if each.vector is not None
    ]

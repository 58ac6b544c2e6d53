"""`stream-engine users show`, `items show` and `ranker show`: what the engine knows, read from its topics."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from stream_engine.cli.options import AsJson, Broker, DataDir, Group, client_settings
from stream_engine.codec import decode_recommendation
from stream_engine.events import Recommendation
from stream_engine.items.record import decode_record
from stream_engine.items.statistics import decode_statistics
from stream_engine.settings import KafkaSettings, Settings
from stream_engine.streaming.reading import snapshot
from stream_engine.streaming.topics import ITEMS_TABLE, USERS_TABLE, changelog_topic, item_state_topic
from stream_engine.users.codec import decode_state
from stream_engine.users.history import recent

users = typer.Typer(help="What the engine knows of a user.", no_args_is_help=True)
items = typer.Typer(help="What the engine knows of an item.", no_args_is_help=True)


UserId = Annotated[str, typer.Argument(metavar="ID")]
ItemId = Annotated[str, typer.Argument(metavar="ID")]
SHOWN = 10
TIMES = {"published_at", "expires_at", "first_seen", "last_click"}


@users.command(name="show")
def show_user(
    context: typer.Context,
    user_id: UserId,
    *,
    as_json: AsJson = False,
    broker: Broker = None,
    group: Group = None,
    data_dir: DataDir = None,
) -> None:
    """Show a user's interactions and their latest list; exit code 1 for one nobody knows."""
    settings = client_settings(context, {"kafka.broker": broker, "kafka.group": group, "stream.data_dir": data_dir})
    state = latest(settings.kafka, changelog_topic(settings.kafka.group, USERS_TABLE), user_id)
    published = latest(settings.kafka, settings.topics.recommendations, user_id)
    if state is None and published is None:
        _unknown("user", user_id)
    known = user_facts(user_id, state, published)
    if as_json:
        typer.echo(msgspec.json.encode(known).decode())
    else:
        _print_user(known)


@items.command(name="show")
def show_item(
    context: typer.Context,
    item_id: ItemId,
    *,
    as_json: AsJson = False,
    broker: Broker = None,
    group: Group = None,
    data_dir: DataDir = None,
) -> None:
    """Show an item, how often it was clicked and what goes with it; exit code 1 for one nobody knows."""
    settings = client_settings(context, {"kafka.broker": broker, "kafka.group": group, "stream.data_dir": data_dir})
    known = item_facts(settings, item_id)
    if not known:
        _unknown("item", item_id)
    if as_json:
        typer.echo(msgspec.json.encode(known).decode())
        return
    table = Table("field", "value", title=item_id, show_header=False)
    for name, value in known.items():
        table.add_row(name, _in_words(name, value))
    Console().print(table)


def latest(kafka: KafkaSettings, topic: str, key: str) -> bytes | None:
    """The last value of a key on a topic; None where there is none, or a null record came last."""
    wanted = key.encode()
    records = [(record.timestamp, record.value) for record in snapshot(kafka, topic) if record.key == wanted]
    records.sort(key=lambda record: record[0])  # stable: what comes later in a partition stays later
    return records[-1][1] if records else None


def user_facts(user_id: str, state: bytes | None, published: bytes | None) -> dict[str, Any]:
    """What the user's state and latest list say."""
    facts: dict[str, Any] = {"user_id": user_id}
    if state:
        known = decode_state(state)
        facts |= {
            "interactions": known.interactions,
            "updated_at": known.updated_at,
            "interests": len(known.interests),
            "recent": [
                {"item_id": e.item_id, "event_type": e.event_type, "timestamp": e.timestamp} for e in recent(known)
            ],
            "attributes": known.attributes,
            "bytes": len(state),
        }
    facts["recommendation"] = decode_recommendation(published) if published else None
    return facts


def item_facts(settings: Settings, item_id: str) -> dict[str, Any]:
    """What the item-state topic and the statistics say; empty for an unknown item."""
    facts: dict[str, Any] = {}
    group = settings.kafka.group
    if record := latest(settings.kafka, item_state_topic(group), item_id):
        known = decode_record(record)
        facts |= {
            "title": known.title,
            "categories": list(known.categories),
            "price": known.price,
            "available": known.available,
            "published_at": known.published_at,
            "expires_at": known.expires_at,
            "first_seen": known.first_seen,
            "encoded": known.vector is not None,
        }
    if counted := latest(settings.kafka, changelog_topic(group, ITEMS_TABLE), item_id):
        stats = decode_statistics(counted)
        facts |= {
            "clicks": stats.clicks,
            "last_click": stats.last_click,
            "together": _strongest(stats.by_neighbour(stats.together)),
            "followers": _strongest(stats.followers),
        }
    return facts


def _in_words(name: str, value: Any) -> str:
    match value:
        case dict():
            return ", ".join(f"{key} {weight:.3g}" for key, weight in value.items())
        case list():
            return ", ".join(value)
        case float() if name in TIMES:
            return datetime.fromtimestamp(value, UTC).isoformat(" ", "seconds")
    return "" if value is None else str(value)


def _strongest(weights: Any) -> dict[str, float]:
    return dict(sorted(weights.items(), key=lambda pair: -pair[1])[:SHOWN])


def _unknown(kind: str, name: str) -> None:
    typer.echo(f"no {kind} {name!r} on the topics", err=True)
    raise typer.Exit(1)


def _print_user(known: dict[str, Any]) -> None:
    console = Console()
    console.print(f"{known['user_id']}: {known.get('interactions', '?')} interactions", highlight=False)
    if clicked := known.get("recent"):
        console.print("recent: " + ", ".join(entry["item_id"] for entry in clicked[:SHOWN]), highlight=False)
    recommendation: Recommendation | None = known["recommendation"]
    if recommendation is None:
        console.print("no list")
        return
    degraded = f", without {', '.join(recommendation.degraded)}" if recommendation.degraded else ""
    table = Table(
        "rank", "item", "score", "because", title=f"list after {recommendation.interactions} interactions{degraded}"
    )
    for item in recommendation.items:
        because = ", ".join(f"{reason.kind} {reason.item_id or ''}".strip() for reason in item.reasons)
        table.add_row(str(item.rank), item.item_id, f"{item.score:.3f}", because or item.source)
    console.print(table)

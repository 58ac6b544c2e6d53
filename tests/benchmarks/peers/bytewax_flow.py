"""Bytewax: the engine as a stateful map of the clicks; no recovery store: states end with the process."""

from __future__ import annotations

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kafka
from bytewax.dataflow import Dataflow
from per_event import Blocking, Event

from stream_engine.settings import load

settings = load()
engine = Blocking(settings)
brokers = [settings.kafka.broker]
Click = KafkaSourceMessage[bytes | None, bytes | None]
List = KafkaSinkMessage[bytes | None, bytes | None]


def answer(state: bytes | None, click: Click) -> tuple[bytes, List]:
    """The user's new state, and the list to send."""
    timestamp = click.timestamp[1] if click.timestamp else 0
    event = Event(settings.topics.clicks, click.partition or 0, click.offset or 0, timestamp, click.key, click.value)
    made = engine.answer(event, state)
    return made.state, KafkaSinkMessage(click.key, made.list)


flow = Dataflow("peer")
clicks = kafka.input("clicks", flow, brokers=brokers, topics=[settings.topics.clicks])
keyed = op.key_on("user", clicks.oks, lambda click: (click.key or b"").decode())
lists = op.stateful_map("engine", keyed, answer)
kafka.output("lists", op.key_rm("bare", lists), brokers=brokers, topic=settings.topics.recommendations)

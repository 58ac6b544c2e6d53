"""The Faust app: one agent a topic, each handing chunks to its guard."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

import faust

from stream_engine import users
from stream_engine.errors import NewerVersion
from stream_engine.items import statistics
from stream_engine.settings import Settings
from stream_engine.streaming.attempts import raised
from stream_engine.streaming.changelogs import Marks
from stream_engine.streaming.chunk_app import ChunkApp
from stream_engine.streaming.clients import servers, ssl_context
from stream_engine.streaming.guard import Guard
from stream_engine.streaming.state_store import StateStore
from stream_engine.streaming.topics import ITEMS_TABLE, USERS_TABLE, changelog_topic, interactions_topic, joins_topic

NEVER_FULL = 1 << 20  # messages: what is in hand is bounded per partition, see consumer.py


def make_app(
    settings: Settings,
    *,
    finish: Callable[[], Awaitable[None]],
    outdated: Callable[[NewerVersion], NoReturn] = raised,
) -> ChunkApp:
    """A configured app with no agents yet; `finish` returns when no chunk is in hand, `outdated` never."""
    kafka = settings.kafka
    topics = settings.topics
    followed = {changelog_topic(kafka.group, table) for table in (USERS_TABLE, ITEMS_TABLE)}
    later = {topics.items, topics.users, interactions_topic(kafka.group), joins_topic(kafka.group)}
    return ChunkApp(
        kafka.group,
        chunk_topics=frozenset(later | {topics.clicks}),
        patient=frozenset(later | followed),
        counted=frozenset({interactions_topic(kafka.group)}),
        chunk_size=settings.stream.chunk,
        finish=finish,
        outdated=outdated,
        autodiscover=False,
        broker=[f"kafka://{server}" for server in servers(kafka)],
        broker_credentials=credentials(settings),
        broker_session_timeout=kafka.session_timeout,
        broker_heartbeat_interval=kafka.session_timeout / 20,  # how late a rebalance is noticed
        broker_rebalance_timeout=2 * kafka.session_timeout,
        broker_request_timeout=max(20.0, 2 * kafka.session_timeout),
        broker_commit_interval=0.5,
        broker_max_poll_records=4 * settings.stream.chunk,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=kafka.instance_id or None,
        consumer_max_fetch_size=max(4 << 20, 2 * kafka.max_record_bytes),
        datadir=str(settings.stream.data_dir / "faust"),
        key_serializer="raw",
        value_serializer="raw",
        store="memory://",
        stream_buffer_maxsize=NEVER_FULL,
        stream_wait_empty=False,
        table_standby_replicas=settings.stream.standby_replicas,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=kafka.partitions,
        web_enabled=False,
    )


def users_table(app: ChunkApp, settings: Settings) -> StateStore:
    """Users' states, in the partition their clicks come by."""
    return _table(app, USERS_TABLE, settings, users.marks, users.VERSION)


def items_table(app: ChunkApp, settings: Settings) -> StateStore:
    """Items' statistics, in the partition that owns the item."""
    return _table(app, ITEMS_TABLE, settings, statistics.marks, statistics.STATISTICS_VERSION)


def _table(app: ChunkApp, name: str, settings: Settings, marks: Marks, version: int) -> StateStore:
    table = app.Table(name, key_type=bytes, value_type=bytes, partitions=settings.kafka.partitions)
    changelog = changelog_topic(settings.kafka.group, name)
    states = table.states = StateStore(changelog, marks, version=version, saved=settings.stream.states_on_disk)
    return states


def add_agents(app: ChunkApp, guards: Mapping[str, Guard]) -> None:
    """One agent, of one actor, for each topic's guard."""
    for topic, guard in guards.items():
        channel = app.topic(topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
        app.agent(channel, name=f"stream_engine.{topic}")(_agent(app, guard))


def _agent(app: ChunkApp, guard: Guard) -> Callable[[Any], Awaitable[None]]:
    async def agent(stream: Any) -> None:
        async for event in stream.noack().events():
            for chunk in event.value:
                if not await guard.run(chunk):
                    await app.consumer.rewind(chunk)

    return agent


def credentials(settings: Settings) -> Any:
    """What Faust wants to hear of SASL and TLS; None for plain text."""
    kafka = settings.kafka
    context: ssl.SSLContext | None = ssl_context(kafka) if kafka.security_protocol.endswith("SSL") else None
    if kafka.security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            mechanism=kafka.sasl_mechanism,
            username=kafka.sasl_username,
            password=kafka.sasl_password.get_secret_value(),
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context)

"""One real broker for the whole session, and settings of its own for each test that uses it."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient

from stream_engine.errors import BadConfiguration
from stream_engine.local.broker import Broker, start_broker
from stream_engine.settings import KafkaSettings, Settings, StreamSettings, TopicSettings

CACHE = Path(__file__).parent.parent / ".cache"


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A running Apache Kafka; do not stop or kill this one."""
    try:
        running = start_broker(tmp_path_factory.mktemp("broker"), cache_dir=CACHE)
    except BadConfiguration as error:
        pytest.skip(f"no broker: {error}")
    with running:
        yield running


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """A name no other test uses, for topics and groups."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", request.node.nodeid.split("::", 1)[1])[:80].strip("-")


@pytest.fixture
def live_settings(broker: Broker, prefix: str, tmp_path: Path) -> Settings:
    """Settings for the session's broker with a group and topics of this test's own (nothing is created)."""
    names = {name: f"{prefix}.{field.default}" for name, field in TopicSettings.model_fields.items()}
    return Settings(
        kafka=KafkaSettings(broker=broker.bootstrap, group=prefix, partitions=4),
        topics=TopicSettings(**names),
        stream=StreamSettings(data_dir=tmp_path / "data"),
    )


@pytest.fixture
def create_topics(broker: Broker) -> Callable[..., None]:
    """`create_topics("a", "b", partitions=4, configs={...})` returns when every partition has a leader."""

    def create(*names: str, partitions: int = 4, configs: Mapping[str, Any] | None = None) -> None:
        with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as client:
            topic = {"num_partitions": partitions, "replication_factor": 1, "configs": dict(configs or {})}
            client.create_topics(dict.fromkeys(names, topic), wait_for_metadata=True)

    return create

"""Topics on a broker: created where missing, refused where they disagree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from stream_engine.errors import BadConfiguration, Unavailable
from stream_engine.settings import KafkaSettings, Settings
from stream_engine.streaming.clients import client_options
from stream_engine.streaming.reachable import require_reachable
from stream_engine.streaming.topics import Existing, Problem, Topic, declared, missing, problems


def create_or_verify(settings: Settings) -> tuple[str, ...]:
    """Create what is missing and return its names; BadConfiguration for a topic that disagrees. Safe to run at once."""
    wanted = declared(settings)
    with admin_client(settings.kafka) as client:
        existing = _describe(client, wanted)
        for problem in problems(wanted, existing):
            raise BadConfiguration(problem.setting, problem.reason)
        absent = missing(wanted, existing)
        _create(client, absent, replication=settings.kafka.replication)
    return tuple(topic.name for topic in absent)


def check(settings: Settings) -> tuple[Problem, ...]:
    """What is wrong with the topics, missing ones first; empty when all is well."""
    wanted = declared(settings)
    with admin_client(settings.kafka) as client:
        existing = _describe(client, wanted)
    absent = missing(wanted, existing)
    to_do = "does not exist; `stream-engine topics create` makes it"
    return (
        *(Problem(topic.setting, f"topic {topic.name!r} {to_do}") for topic in absent),
        *problems(wanted, existing),
    )


@contextmanager
def admin_client(kafka: KafkaSettings, *, timeout: float = 10.0) -> Iterator[KafkaAdminClient]:
    """An admin client; any failure of the broker inside is Unavailable."""
    require_reachable(kafka)
    try:
        options = client_options(kafka) | {"bootstrap_timeout_ms": int(timeout * 1000)}
        with closing(KafkaAdminClient(**options)) as client:
            yield client
    except KafkaError as error:
        raise Unavailable("kafka.broker", f"{kafka.broker} does not answer as it should: {error!r}") from error


def _describe(client: KafkaAdminClient, wanted: Iterable[Topic]) -> dict[str, Existing]:
    names = [topic.name for topic in wanted]
    described = {topic["name"]: topic for topic in client.describe_topics(names) if topic["error_code"] == 0}
    if not described:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, {"cleanup.policy": None}) for name in described]
    configs = client.describe_configs(resources, config_filter="all")["topic"]
    return {
        name: Existing(len(topic["partitions"]), configs[name]["cleanup.policy"]["value"])
        for name, topic in described.items()
    }


def _create(client: KafkaAdminClient, topics: Iterable[Topic], *, replication: int) -> None:
    wanted = {
        topic.name: {
            "num_partitions": topic.partitions,
            "replication_factor": replication,
            "configs": topic.configs,
        }
        for topic in topics
    }
    if not wanted:
        return
    answer = client.create_topics(wanted, raise_errors=False)
    for topic in answer["topics"]:
        kind = for_code(topic["error_code"])
        if topic["error_code"] and kind is not TopicAlreadyExistsError:  # another worker may have been faster
            raise BadConfiguration("kafka", f"topic {topic['name']!r}: {topic['error_message'] or kind.__name__}")
    client.wait_for_topics(list(wanted))

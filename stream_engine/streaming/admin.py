"""Topics on a broker: created where missing, refused where they disagree."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError, TopicAuthorizationFailedError, for_code

from stream_engine.errors import BadConfiguration, Unavailable
from stream_engine.settings import KafkaSettings, Settings
from stream_engine.streaming.clients import client_options
from stream_engine.streaming.reachable import require_reachable
from stream_engine.streaming.topics import (
    TOMBSTONES,
    Existing,
    Problem,
    Topic,
    declared,
    missing,
    notes,
    problems,
    to_add,
    unseen,
)

log = logging.getLogger(__name__)
CHOSEN = "DYNAMIC_TOPIC_CONFIG"  # as against a default of the broker's


def create_or_verify(settings: Settings) -> tuple[str, ...]:
    """Create what is missing and return its names; BadConfiguration for a topic that disagrees. Safe to run at once.

    What internal topics of an earlier version lack is added where the broker lets us. Who may not see how a topic is
    kept is only warned: to read and to write it is enough later.
    """
    wanted = declared(settings)
    with admin_client(settings.kafka) as client:
        existing = _describe(client, wanted)
        for problem in problems(wanted, existing):
            raise BadConfiguration(problem.setting, problem.reason)
        for note in unseen(wanted, existing):
            log.warning("not checked", extra={"reason": note.reason})
        absent = missing(wanted, existing)
        _create(client, absent, replication=settings.kafka.replication)
        _add_config(client, to_add(wanted, existing))
    return tuple(topic.name for topic in absent)


def check(settings: Settings) -> tuple[Problem, ...]:
    """What is wrong with the topics, missing ones first; empty when all is well."""
    return compare(settings)[0]


def compare(settings: Settings) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """What is wrong with the topics, missing ones first; and how those that will do differ from ones we make."""
    wanted = declared(settings)
    with admin_client(settings.kafka) as client:
        existing = _describe(client, wanted)
    absent = missing(wanted, existing)
    to_do = "does not exist; `stream-engine topics create` makes it"
    lacking = (Problem(topic.setting, f"topic {topic.name!r} {to_do}") for topic in absent)
    return (*lacking, *problems(wanted, existing)), notes(wanted, existing)


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
    asked = {topic.name: topic.configs for topic in wanted}
    answers = client.describe_topics(list(asked))
    if hidden := sorted(topic["name"] for topic in answers if _is_forbidden(topic)):
        raise BadConfiguration(
            "kafka", f"topics {', '.join(hidden)}: not for this user to see; allow it Read and Write there, or Describe"
        )
    described = {topic["name"]: topic for topic in answers if topic["error_code"] == 0}
    if not described:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(asked[name])) for name in described]
    configs = client.describe_configs(resources, config_filter="all")["topic"]
    return {name: _existing(topic, configs.get(name, {})) for name, topic in described.items()}


def _is_forbidden(topic: Mapping[str, Any]) -> bool:
    return for_code(topic["error_code"]) is TopicAuthorizationFailedError


def _existing(topic: Mapping[str, Any], configs: Mapping[str, Any]) -> Existing:
    """Without the right to DescribeConfigs the client gives no config, and no error."""
    chosen = frozenset(key for key, each in configs.items() if each["config_source"] == CHOSEN)
    values = {key: each["value"] for key, each in configs.items()}
    return Existing(len(topic["partitions"]), values.pop("cleanup.policy", None), values, chosen)


def _add_config(client: KafkaAdminClient, changes: Mapping[str, Mapping[str, str]]) -> None:
    for name, config in changes.items():
        resource = ConfigResource(ConfigResourceType.TOPIC, name, dict(config))
        try:
            answer = client.alter_configs([resource], raise_on_unknown=False)["topic"][name]
        except KafkaError as error:
            answer = repr(error)
        ours = ",".join(f"{key}={value}" for key, value in config.items())
        if answer == "OK":
            log.info("topic config added", extra={"topic": name, "config": ours})
        else:
            log.warning(
                "the broker refused config of a topic: see `stream-engine topics check`",
                extra={"topic": name, "config": ours, "reason": answer},
            )


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
        if _is_forbidden(topic):
            advice = "allow it Create there, or let another run `stream-engine topics create`"
            raise BadConfiguration("kafka", f"topic {topic['name']!r} is not for this user to create; {advice}")
        kind = for_code(topic["error_code"])
        if topic["error_code"] and kind is not TopicAlreadyExistsError:  # another worker may have been faster
            raise BadConfiguration("kafka", f"topic {topic['name']!r}: {topic['error_message'] or kind.__name__}")
    client.wait_for_topics(list(wanted))


class Facts(NamedTuple):
    """What tells a topic from another of its name that was there before, and the seconds that tombstones stay."""

    identity: str  # the same for all on a broker before 2.8
    tombstones: float


def facts_of(settings: KafkaSettings, name: str) -> Facts:
    """As the broker says; without the right to DescribeConfigs, tombstones as we make the topic."""
    with admin_client(settings) as client:
        identity = str(client.describe_topics([name])[0].get("topic_id"))
        resource = ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(TOMBSTONES))
        found = client.describe_configs([resource], config_filter="all")["topic"].get(name, {})
    (key, ours), *_ = TOMBSTONES.items()
    return Facts(identity, float(found[key]["value"] if key in found else ours) / 1000)

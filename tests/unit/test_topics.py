"""The declared topics, and what is refused."""

import ssl
from pathlib import Path

import pytest
from pydantic import SecretStr

from stream_engine.errors import BadConfiguration
from stream_engine.settings import KafkaSettings, Settings
from stream_engine.streaming.clients import client_options
from stream_engine.streaming.topics import Existing, declared, missing, notes, problems, to_add

SETTINGS = Settings(kafka=KafkaSettings(group="g", partitions=3))


def as_declared() -> dict[str, Existing]:
    return {topic.name: Existing(topic.partitions, topic.cleanup) for topic in declared(SETTINGS)}


def test_all_share_the_partition_count_and_names_are_unique() -> None:
    topics = declared(SETTINGS)
    assert {topic.partitions for topic in topics} == {3}
    assert len({topic.name for topic in topics}) == len(topics)


def test_what_must_not_be_forgotten_is_compacted() -> None:
    compacted = {topic.name for topic in declared(SETTINGS) if topic.compacted}
    assert {"items", "users", "recommendations", "g-item-state", "g-users-state-changelog"} <= compacted
    assert not {"clicks", "dead-letters", "g-interactions"} & compacted


def test_what_is_replaced_or_erased_of_a_user_leaves_the_disk_within_a_day() -> None:
    bounded = {topic.name for topic in declared(SETTINGS) if topic.configs.get("max.compaction.lag.ms") == "86400000"}
    assert bounded == {"users", "recommendations", "g-users-state-changelog"}


def test_a_late_write_does_not_replace_another_before_it_is_written_over() -> None:
    spared = {topic.name for topic in declared(SETTINGS) if topic.configs.get("min.compaction.lag.ms") == "600000"}
    assert spared == {"g-users-state-changelog", "g-items-statistics-changelog"}


def test_what_is_kept_for_days_is_kept_one_more_at_most() -> None:
    kept = {topic.name: topic.configs for topic in declared(SETTINGS) if "retention.ms" in topic.configs}
    days = {name: (int(each["retention.ms"]) + int(each["segment.ms"])) / 86_400_000 for name, each in kept.items()}
    assert days.pop("g-ranker") < 31
    assert days == {"clicks": 8, "recommendations": 8, "dead-letters": 29, "g-interactions": 2, "g-joins": 2}


def test_dead_letters_hold_more_than_a_record() -> None:
    letters = next(topic for topic in declared(SETTINGS) if topic.name == "dead-letters")
    assert int(letters.configs["max.message.bytes"]) > 2 * 1_048_588


def test_nothing_to_say_when_all_agree() -> None:
    assert missing(declared(SETTINGS), as_declared()) == ()
    assert problems(declared(SETTINGS), as_declared()) == ()


def test_missing_are_listed() -> None:
    existing = as_declared()
    del existing["items"]
    assert [topic.name for topic in missing(declared(SETTINGS), existing)] == ["items"]


def test_another_partition_count_names_the_topic_and_the_setting() -> None:
    (problem,) = problems(declared(SETTINGS), as_declared() | {"clicks": Existing(5, "delete")})
    assert problem.setting == "kafka.partitions"
    assert "'clicks' has 5" in problem.reason


@pytest.mark.parametrize(("name", "policy"), [("clicks", "compact"), ("items", "delete")])
def test_a_policy_that_loses_records_is_refused(name: str, policy: str) -> None:
    (problem,) = problems(declared(SETTINGS), as_declared() | {name: Existing(3, policy)})
    assert problem.setting == f"topics.{name}"
    assert "cleanup.policy" in problem.reason


def test_extra_deletion_on_a_compacted_topic_is_taken() -> None:
    assert problems(declared(SETTINGS), as_declared() | {"recommendations": Existing(3, "compact")}) == ()


def test_plain_clients_get_no_credentials() -> None:
    assert client_options(KafkaSettings(broker="a:1, b:2")) == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "PLAINTEXT",
    }


def test_sasl_over_tls() -> None:
    kafka = KafkaSettings(
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="u",
        sasl_password=SecretStr("p"),
    )
    options = client_options(kafka)
    assert (options["sasl_mechanism"], options["sasl_plain_username"]) == ("SCRAM-SHA-512", "u")
    assert options["sasl_plain_password"] == "p"
    assert options["ssl_context"].verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("kafka", "setting"),
    [
        (KafkaSettings(broker="localhost"), "kafka.broker"),
        (KafkaSettings(security_protocol="SASL_PLAINTEXT"), "kafka.sasl_username"),
        (KafkaSettings(security_protocol="SSL", ssl_ca=Path("/no/such")), "kafka.ssl_ca"),
        (KafkaSettings(security_protocol="SSL", ssl_certificate=Path("/no/such")), "kafka.ssl_certificate"),
    ],
)
def test_the_setting_at_fault_is_named(kafka: KafkaSettings, setting: str) -> None:
    with pytest.raises(BadConfiguration) as caught:
        client_options(kafka)
    assert caught.value.setting == setting


def test_only_what_nobody_chose_is_added_and_only_to_our_own() -> None:
    lag = {"min.compaction.lag.ms": "0", "segment.ms": "600000"}
    existing = as_declared() | {
        "g-users-state-changelog": Existing(3, "compact", lag),
        "g-items-statistics-changelog": Existing(3, "compact", lag, frozenset(lag)),
        "clicks": Existing(3, "delete", {"retention.ms": "1"}),
    }
    assert to_add(declared(SETTINGS), existing) == {"g-users-state-changelog": {"min.compaction.lag.ms": "600000"}}
    assert problems(declared(SETTINGS), existing) == ()
    told = [note.reason.split(";")[0] for note in notes(declared(SETTINGS), existing)]
    assert told == [
        "topic 'clicks' has retention.ms=1",
        "topic 'g-users-state-changelog' has min.compaction.lag.ms=0",
        "topic 'g-items-statistics-changelog' has min.compaction.lag.ms=0",
    ]


def test_what_is_not_for_us_to_see_is_neither_refused_nor_altered_but_told() -> None:
    existing = as_declared() | {"clicks": Existing(3, None), "g-users-state-changelog": Existing(3, None)}
    assert problems(declared(SETTINGS), existing) == ()
    assert to_add(declared(SETTINGS), existing) == {}
    told = notes(declared(SETTINGS), existing)
    assert [note.setting for note in told] == ["topics.clicks", "kafka.group"]
    assert all("allow it DescribeConfigs" in note.reason for note in told)
    assert "cleanup.policy=delete" in told[0].reason

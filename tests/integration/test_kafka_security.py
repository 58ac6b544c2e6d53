"""Kafka behind TLS and SASL: every door lets us in with what it asks for, and says which setting it refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from harness.certificates import Authority
from harness.secured import MECHANISMS, PASSWORD, USER, Secured, secured
from harness.workers import cluster, wait_for
from kafka import KafkaProducer

from stream_engine.cli.main import main
from stream_engine.errors import BadConfiguration, Unavailable
from stream_engine.settings import (
    EncoderSettings,
    IndexSettings,
    KafkaSettings,
    Settings,
    TopicSettings,
    env_name,
    environment,
)
from stream_engine.streaming.admin import compare, create_or_verify
from stream_engine.streaming.reachable import require_reachable
from stream_engine.streaming.reading import snapshot
from stream_engine.streaming.topics import declared

pytestmark = [pytest.mark.integration, pytest.mark.slow]
CACHE = Path(__file__).parents[2] / ".cache"


@pytest.fixture(scope="module")
def broker_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    try:
        with secured(tmp_path_factory.mktemp("secured"), CACHE) as running:
            yield running
    except BadConfiguration as error:
        pytest.skip(f"no broker with TLS: {error}")


def client_certificate(authority: Authority) -> dict[str, Any]:
    certificate, key = authority.sign("client")
    return {"ssl_certificate": certificate, "ssl_key": key}


@pytest.mark.parametrize("door", ["PASSWORD", "PASSWORDTLS"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_each_mechanism_lets_us_in(broker_behind: Secured, door: str, mechanism: str) -> None:
    require_reachable(KafkaSettings(**broker_behind.settings(door, mechanism)))


@pytest.mark.parametrize("door", ["PASSWORDTLS", "MUTUAL"])
def test_a_click_in_and_a_list_out(
    broker_behind: Secured,
    door: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    more = client_certificate(broker_behind.authority) if door == "MUTUAL" else {}
    kafka = KafkaSettings(group=door, partitions=2, **broker_behind.settings(door, "SCRAM-SHA-512", **more))
    settings = Settings(kafka=kafka, encoder=EncoderSettings(model="hashed"), index=IndexSettings(location="memory"))
    for name, value in environment(settings).items():
        if name.startswith(env_name("")):
            monkeypatch.setenv(name, value)
    create_or_verify(settings)
    monkeypatch.chdir(tmp_path)
    Path("items.jsonl").write_text(
        '{"item_id": "a", "title": "red kettle"}\n{"item_id": "b", "title": "blue kettle"}\n'
    )
    Path("clicks.jsonl").write_text(json.dumps({"user_id": door, "item_id": "a"}) + "\n")
    with cluster(tmp_path, settings, 1) as (worker,):
        assert main(["produce", "items", "items.jsonl"]) == 0
        assert main(["produce", "clicks", "clicks.jsonl"]) == 0
        wait_for(
            lambda: any(r.key == door.encode() for r in snapshot(kafka, settings.topics.recommendations)), "a list"
        )
        assert main(["settings"]) == 0
        told = worker.log.read_text() + worker.get("/metrics")[1] + "".join(capsys.readouterr())
    assert "sasl_password" in told
    assert PASSWORD not in told


def refused(settings: dict[str, Any]) -> BadConfiguration:
    with pytest.raises(BadConfiguration) as error:
        require_reachable(KafkaSettings(**settings))
    assert PASSWORD not in str(error.value)
    return error.value


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_wrong_password_is_refused(broker_behind: Secured, mechanism: str) -> None:
    wrong = refused(broker_behind.settings("PASSWORDTLS", mechanism, sasl_password=PASSWORD + "!"))
    assert wrong.setting == "kafka.sasl_password"


def test_a_broker_that_another_authority_signed_is_not_trusted(broker_behind: Secured, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    assert refused(broker_behind.settings("TLS", ssl_ca=other.certificate)).setting == "kafka.ssl_ca"
    assert refused(broker_behind.settings("TLS", ssl_ca=None)).setting == "kafka.ssl_ca"


def test_a_certificate_for_another_host_is_not_trusted(broker_behind: Secured) -> None:
    error = refused(broker_behind.settings("OTHERHOST"))
    assert error.setting == "kafka.broker"
    assert "127.0.0.1" in error.reason


def test_without_a_certificate_it_believes_in_mutual_tls_refuses_us(broker_behind: Secured, tmp_path: Path) -> None:
    assert refused(broker_behind.settings("MUTUAL")).setting == "kafka.ssl_certificate"
    strange = client_certificate(Authority(tmp_path, "other"))
    assert refused(broker_behind.settings("MUTUAL", **strange)).setting == "kafka.ssl_certificate"


def test_a_door_of_another_protocol_is_named(broker_behind: Secured) -> None:
    assert (
        refused(broker_behind.settings("PASSWORDTLS", broker=broker_behind.doors["TLS"])).setting
        == "kafka.security_protocol"
    )
    with pytest.raises(Unavailable, match=r"kafka\.security_protocol"):
        require_reachable(KafkaSettings(broker=broker_behind.doors["TLS"]))


@pytest.mark.parametrize("door", ["PASSWORD", "PASSWORDTLS"])
def test_a_door_that_wants_a_password_is_told_from_one_that_does_not(broker_behind: Secured, door: str) -> None:
    open_to_all = {"PASSWORD": "PLAINTEXT", "PASSWORDTLS": "SSL"}[door]
    error = refused(broker_behind.settings(door, security_protocol=open_to_all))
    assert error.setting == "kafka.security_protocol"
    assert "SASL_PLAINTEXT or SASL_SSL" in error.reason


def test_a_worker_that_is_refused_ends_at_once_with_the_setting(
    broker_behind: Secured, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(kafka=KafkaSettings(**broker_behind.settings("PASSWORD", sasl_password="wrong-one")))
    for name, value in environment(settings).items():
        if name.startswith(env_name("")):
            monkeypatch.setenv(name, value)
    assert main(["worker"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: kafka.sasl_password: ")
    assert "wrong-one" not in said


@pytest.fixture
def topics(broker_behind: Secured, prefix: str) -> Settings:
    """Ours, made by who may."""
    names = TopicSettings(**{name: f"{prefix}.{name}" for name in TopicSettings.model_fields})
    of_all = KafkaSettings(group=prefix, partitions=2, broker=broker_behind.broker.bootstrap)
    create_or_verify(Settings(kafka=of_all, topics=names))
    return Settings(kafka=KafkaSettings(group=prefix, partitions=2, **broker_behind.settings("PASSWORD")), topics=names)


def test_who_may_read_and_write_a_topic_but_not_see_how_it_is_kept_is_warned(
    broker_behind: Secured, topics: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    assert compare(topics) == ((), ())
    with broker_behind.only(USER, "READ", topics.topics.clicks):
        wait_for(lambda: compare(topics)[1], "the broker to forbid it")
        problems, (note,) = compare(topics)
        assert create_or_verify(topics) == ()
    assert problems == ()
    assert note.setting == "topics.clicks"
    assert f"topic '{topics.topics.clicks}'" in note.reason
    assert "DescribeConfigs" in note.reason
    assert [each.reason for each in caplog.records if each.message == "not checked"] == [note.reason]  # type: ignore[attr-defined]


def test_a_topic_that_is_not_for_us_to_see_is_named(broker_behind: Secured, topics: Settings) -> None:
    with broker_behind.only("bob", "READ", topics.topics.items):
        wait_for(lambda: refusal(topics), "the broker to forbid it")
        assert f"topics {topics.topics.items}: not for this user to see" in refusal(topics)
        with pytest.raises(BadConfiguration, match="not for this user to see"):
            compare(topics)


def test_a_topic_that_is_not_for_us_to_make_is_named(broker_behind: Secured, prefix: str, topics: Settings) -> None:
    absent = (
        topics.model_copy(update={"topics": topics.topics.model_copy(update={"clicks": f"{prefix}.{number}"})})
        for number in count()
    )
    nowhere = broker_behind.only("bob", "CREATE", "kafka-cluster", "CLUSTER")
    with nowhere, broker_behind.only(USER, "READ", f"{prefix}.", pattern="PREFIXED"):
        wait_for(lambda: refusal(next(absent)), "the broker to forbid it")
        assert "is not for this user to create; allow it Create there" in refusal(next(absent))


def test_to_read_and_write_its_topics_in_its_group_is_all_a_worker_needs(
    broker_behind: Secured, prefix: str, topics: Settings, tmp_path: Path
) -> None:
    hashed = {"encoder": EncoderSettings(model="hashed"), "index": IndexSettings(location="memory")}
    settings, of_all = topics.model_copy(update=hashed), KafkaSettings(broker=broker_behind.broker.bootstrap)
    with ExitStack() as rights:
        for operation in ("READ", "WRITE"):
            rights.enter_context(broker_behind.only(USER, operation, prefix, pattern="PREFIXED"))
        rights.enter_context(broker_behind.only(USER, "READ", prefix, "GROUP"))
        rights.enter_context(broker_behind.only("bob", "CREATE", "kafka-cluster", "CLUSTER"))
        wait_for(lambda: len(compare(settings)[1]) == len(declared(settings)), "the broker to forbid all else")
        rights.enter_context(cluster(tmp_path, settings, 1))
        with closing(KafkaProducer(bootstrap_servers=of_all.broker)) as producer:
            for item_id in ("a", "b"):
                body = {"item_id": item_id, "title": f"kettle {item_id}"}
                producer.send(settings.topics.items, json.dumps(body).encode(), key=item_id.encode())
            producer.send(settings.topics.clicks, b'{"user_id": "ann", "item_id": "a"}', key=b"ann")
            producer.flush()
        wait_for(
            lambda: any(each.key == b"ann" for each in snapshot(of_all, settings.topics.recommendations)), "a list"
        )


def refusal(settings: Settings) -> str:
    """Why the topics will not do."""
    try:
        create_or_verify(settings)
    except BadConfiguration as error:
        return str(error)
    return ""

"""The command line against a real broker."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaProducer

from stream_engine.cli.main import main
from stream_engine.codec import dead_letter_headers, encode_recommendation
from stream_engine.events import DeadLetter, Models, Recommendation, RecommendedItem, Source, Trigger
from stream_engine.ranking.ranker import Ranker
from stream_engine.settings import Settings, env_name, environment
from stream_engine.streaming.admin import create_or_verify
from stream_engine.streaming.reading import snapshot
from stream_engine.streaming.sending import Outgoing, sender
from stream_engine.streaming.topics import ranker_topic

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(live_settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """The topics of this test, known to the commands by their environment."""
    monkeypatch.chdir(tmp_path)
    for name, value in environment(live_settings).items():
        if name.startswith(env_name("")):
            monkeypatch.setenv(name, value)
    create_or_verify(live_settings)
    return live_settings


def recommendation(user: str, interactions: int) -> bytes:
    items = (RecommendedItem("i1", 1, 0.5, "trending"),)
    return encode_recommendation(
        Recommendation(
            recommendation_id=f"r{interactions}",
            user_id=user,
            generated_at=1.0,
            trigger=Trigger(None, "clicks", 0, interactions),
            interactions=interactions,
            model=Models("e", "r"),
            items=items,
        )
    )


def put(settings: Settings, topic: str, *records: Outgoing) -> None:
    with sender(settings.kafka) as sending:
        for record in records:
            sending.send(topic, record)
    assert sending.failures == []


def test_produce_sends_lines_as_they_are(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [b'{"user_id": "u", "item_id": "i"}', b"{broken", b"\xff\x00", b'{"user_id":"u" , "item_id":"j"}']
    Path("clicks.jsonl").write_bytes(b"\n".join([*lines, b""]))
    assert main(["produce", "clicks", "clicks.jsonl"]) == 0
    records = list(snapshot(settings.kafka, settings.topics.clicks))
    assert sorted(record.value for record in records) == sorted(lines)
    assert [record.value for record in records if record.key == b"u"] == [lines[0], lines[3]]
    said = capsys.readouterr().err
    assert "line 2 sent without a key" in said
    assert f"4 records to {settings.topics.clicks} (2 without a key), 0 failed" in said


def test_produce_deletes_and_erases(settings: Settings) -> None:
    Path("items").write_text('{"item_id": "i", "title": "t"}\n{"item_id": "i", "deleted": true}\nbroken\n')
    Path("users").write_text('{"user_id": "u", "erase": true}\n')
    assert main(["produce", "items", "items"]) == 0
    assert main(["produce", "users", "users"]) == 0
    assert [r.value for r in snapshot(settings.kafka, settings.topics.items) if r.key == b"i"][-1] is None
    assert [(r.key, r.value) for r in snapshot(settings.kafka, settings.topics.users)] == [(b"u", None)]


def test_a_record_the_broker_refuses_fails_the_command(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    Path("big").write_bytes(b'{"user_id": "u"}\n{"user_id": "' + b"x" * 1_100_000 + b'"}\n')
    assert main(["produce", "clicks", "big"]) == 1
    said = capsys.readouterr().err
    assert "line 2" in said
    assert "1 failed" in said


def test_partitions_are_those_of_the_java_client(settings: Settings) -> None:
    users = [f"user-{n}" for n in range(40)]
    Path("clicks").write_text("".join(json.dumps({"user_id": user, "item_id": "i"}) + "\n" for user in users))
    assert main(["produce", "clicks", "clicks"]) == 0
    with closing(KafkaProducer(bootstrap_servers=settings.kafka.broker)) as producer:
        theirs = {u: producer.send(settings.topics.clicks, b"", u.encode()).get(10).partition for u in users}
    for record in snapshot(settings.kafka, settings.topics.clicks):
        assert record.partition == theirs[record.key.decode()]
    assert theirs["user-0"] == murmur2_partition(b"user-0", 4)


def murmur2_partition(key: bytes, partitions: int) -> int:
    """As Kafka's documentation gives it, written anew."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ len(key)
    whole = len(key) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(key[at : at + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    if rest := key[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return ((h ^ h >> 15) & 0x7FFFFFFF) % partitions


def test_subscribe_prints_one_users_lists(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    lists = [Outgoing(user.encode(), recommendation(user, n)) for user, n in (("u", 1), ("v", 1), ("u", 2))]
    put(settings, settings.topics.recommendations, *lists, Outgoing(b"u", None))
    assert main(["subscribe", "--user", "u", "--from-beginning", "--count", "3"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("interactions") for line in lines] == [1, 2, None]
    assert lines[-1] == {"user_id": "u", "erase": True}


def test_users_show_gives_the_latest_list(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    put(settings, settings.topics.recommendations, *(Outgoing(b"u", recommendation("u", n)) for n in (1, 2)))
    assert main(["users", "show", "u", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recommendation"]["interactions"] == 2
    assert main(["users", "show", "u"]) == 0
    assert "i1" in capsys.readouterr().out
    assert main(["users", "show", "nobody"]) == 1
    assert main(["items", "show", "nothing"]) == 1


def test_ranker_show_gives_what_was_published(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ranker", "show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["workers"] == {}
    ranker = Ranker()
    put(settings, ranker_topic(settings.kafka.group), Outgoing(b"w1", ranker.snapshot()), Outgoing(b"w2", b"nonsense"))
    assert main(["ranker", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert set(shown["workers"]) == {"w1", "w2"}
    assert shown["workers"]["w1"] == shown["start"] == ranker.weights
    assert main(["ranker", "show"]) == 0
    assert "together" in capsys.readouterr().out


def dead(settings: Settings, value: bytes, error: str, offset: int) -> Outgoing:
    source = Source(settings.topics.clicks, 0, offset)
    letter = DeadLetter(b"u", value, (("h", b"1"),), source, "clicks", error, f"item_id: {error}")
    return Outgoing(b"u", value, dead_letter_headers(letter))


def test_dead_letters_are_listed_and_put_back(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    letters = [dead(settings, b"{bad", "PoisonEvent", 1), dead(settings, b'{"user_id":"u"}', "KeyError", 2)]
    put(settings, settings.topics.dead_letters, *letters)
    assert main(["dead-letters", "list", "--json"]) == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["value"], each["error"], each["offset"]) for each in listed] == [
        ("{bad", "PoisonEvent", 1),
        ('{"user_id":"u"}', "KeyError", 2),
    ]
    assert main(["dead-letters", "list"]) == 0
    assert "2 dead letters (PoisonEvent: 1, KeyError: 1)" in capsys.readouterr().err

    Path("fixed").write_bytes(b'{"user_id":"u","item_id":"i"}\n')
    assert main(["dead-letters", "replay", "--at", listed[0]["at"], "--value", "fixed"]) == 0
    assert main(["dead-letters", "replay", "--error", "KeyError"]) == 0
    back = [(r.key, r.value, r.headers) for r in snapshot(settings.kafka, settings.topics.clicks)]
    assert back == [
        (b"u", b'{"user_id":"u","item_id":"i"}', [("h", b"1")]),
        (b"u", b'{"user_id":"u"}', [("h", b"1")]),
    ]
    assert main(["dead-letters", "replay", "--at", "0:999"]) == 1


def test_topics_and_doctor(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topics", "check"]) == 0
    assert main(["topics", "check", "--group", "another"]) == 1
    assert "another-item-state" in capsys.readouterr().out
    assert main(["topics", "create", "--group", "another"]) == 0
    main(["doctor"])
    shown = capsys.readouterr().out
    assert "ok  broker" in shown
    assert "ok  topics" in shown

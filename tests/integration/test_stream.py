"""Two workers on a real broker, seen from outside: items, clicks, nonsense and erasure in; lists and letters out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from harness.live import LARGEST, OVERHEAD, Live, engine, settings_on
from harness.workers import wait_for
from kafka import KafkaProducer

from stream_engine.local.broker import Broker
from stream_engine.settings import EncoderSettings

pytestmark = [pytest.mark.integration, pytest.mark.slow]

KINDS = ("tea pot", "garden chair", "winter coat", "city map", "desk lamp", "wool blanket")
TITLES = {f"{kind.split()[0]}-{number}": f"{kind} {number}" for kind in KINDS for number in range(12)}
ROLES = (("visitor", 0), ("account", 3))  # and their partitions
FRESH_WITHIN = 5.0  # seconds from an item's production to a list that holds it


@pytest.fixture(scope="module")
def live(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Two workers that know the items."""
    with engine(tmp_path_factory.mktemp("stream"), settings_on(broker.bootstrap, "stream"), 2) as running:
        running.items(TITLES)
        running.until_known(TITLES)
        yield running


def of_kind(items: list[str], kind: str) -> int:
    return sum(item.startswith(kind) for item in items)


def seconds_until_listed(live: Live, user: str, new_item: tuple[str, str], clicked: list[str]) -> float:
    """From producing an item until it is in the list of a user who keeps clicking."""
    live.items(dict([new_item]))
    produced = time.monotonic()
    for clicks in count(1):
        live.click(user, clicked[clicks % len(clicked)])
        if new_item[0] in live.list_of(user, clicks):
            break
        assert time.monotonic() - produced < 60
    return time.monotonic() - produced


def test_three_clicks_on_a_kind_give_a_list_of_that_kind_without_those(live: Live) -> None:
    clicked = ["garden-1", "garden-2", "garden-3"]
    live.click("gardener", *clicked)
    listed = live.list_of("gardener", 3)
    assert len(listed) == 20
    assert not set(listed) & set(clicked)
    assert of_kind(listed[:9], "garden") >= 6


def test_a_new_item_is_recommended_within_seconds(live: Live) -> None:
    took = []
    for attempt in range(3):  # on a busy machine not every one
        fresh = (f"tea-new-{attempt}", f"tea pot {100 + attempt}")
        took.append(seconds_until_listed(live, f"drinker-{attempt}", fresh, ["tea-1", "tea-2", "tea-3"]))
        if took[-1] <= FRESH_WITHIN:
            return
    pytest.fail(f"took {took} s")


def test_nonsense_lands_in_the_dead_letters_and_the_stream_goes_on(live: Live) -> None:
    user = "careful"
    noise = os.urandom(1_000)
    padding = LARGEST - OVERHEAD - len(b'{"user_id":"careful","item_id":"tea-1","x":""}')
    nonsense = {
        "value: not a JSON object": b'{"user_id": "careful", "item_id": ',
        "item_id: missing": b'{"user_id": "careful"}',
        "value: ": noise,
        "bytes, and 1000000 are accepted": b'{"user_id":"careful","item_id":"tea-1","x":"' + b"x" * padding + b'"}',
    }
    for number, value in enumerate(nonsense.values(), start=1):
        live.send(live.topics.clicks, user, value, [("trace", bytes([number]))])
        live.click(user, f"city-{number}")
        assert live.list_of(user, number)
    wait_for(lambda: sum(each.key == b"careful" for each in live.letters()) >= len(nonsense), "the letters")
    letters = sorted((each for each in live.letters() if each.key == b"careful"), key=lambda each: each.source.offset)
    assert [each.value for each in letters] == list(nonsense.values())
    assert [each.headers for each in letters] == [(("trace", bytes([number])),) for number in range(1, 5)]
    assert {(each.stage, each.error, each.source.topic) for each in letters} == {
        ("clicks", "PoisonEvent", live.topics.clicks)
    }
    for reason, letter in zip(nonsense, letters, strict=True):
        assert reason in letter.message


def test_a_record_no_broker_takes_uncompressed_does_not_stop_the_stream(live: Live) -> None:
    huge = b'{"user_id":"bomber","item_id":"tea-1","x":"' + b" " * 5_000_000 + b'"}'
    options = {"max_request_size": 10_000_000, "compression_type": "gzip"}
    producer = KafkaProducer(bootstrap_servers=live.settings.kafka.broker, acks="all", **options)
    producer.send(live.topics.clicks, huge, key=b"bomber").get(60)
    producer.close()
    live.click("bomber", "tea-1")
    live.list_of("bomber", 1)
    wait_for(lambda: any(each.key == b"bomber" for each in live.letters()), "the letter")
    (letter,) = [each for each in live.letters() if each.key == b"bomber"]
    assert (letter.error, letter.value) == ("Refused", huge[:1000])


def test_the_list_is_the_same_from_plain_json_and_both_modes_of_cloudevents(live: Live) -> None:
    names = (name for n in count() if live.partition(name := f"twin-{n}") == 1)
    for _ in range(30):  # clicks that do not arrive together have the ranker learn in between
        users = [next(names) for _ in range(3)]
        lists = twins(live, *users)
        if lists[1:] == [lists[0], lists[0]]:
            break
    assert lists[0]
    assert lists[1:] == [lists[0], lists[0]]
    assert [live.answers.last[user]["trigger"]["event_id"] for user in users] == [None, "e2", "e3"]


def twins(live: Live, first: str, second: str, third: str) -> list[list[str]]:
    """The lists of three users who do the same in three envelopes."""

    def body(user: str) -> dict[str, str]:
        return {"user_id": user, "item_id": "winter-3", "event_type": "purchase"}

    envelope = {"specversion": "1.0", "id": "e3", "source": "/shop", "type": "click", "data": body(third)}
    binary = [("ce_specversion", b"1.0"), ("ce_id", b"e2"), ("ce_source", b"/shop"), ("ce_type", b"click")]
    clicks = live.topics.clicks
    live.send(clicks, first, body(first), flush=False)
    live.send(clicks, second, body(second), binary, flush=False)
    live.send(clicks, third, envelope, [("content-type", b"application/cloudevents+json")], flush=False)
    live.flush()
    return [live.list_of(user, 1) for user in (first, second, third)]


def test_an_item_that_only_a_click_brings_is_recommended(live: Live) -> None:
    inline = {"title": "wool blanket inline", "categories": ["blanket"]}
    live.send(live.topics.clicks, "finder", {"user_id": "finder", "item_id": "wool-inline", "item": inline})
    live.list_of("finder", 1)
    live.until_known({"wool-inline": ""})
    assert "wool-inline" in live.more_of("weaver", "wool-3")


def test_erasing_leaves_a_tombstone_known_or_not_and_a_user_who_comes_back_is_new(live: Live) -> None:
    live.click("leaver", "desk-1", "desk-2")
    live.list_of("leaver", 2)
    live.send(live.topics.users, "leaver", None)
    live.send(live.topics.users, "never-seen", None)
    for user in ("leaver", "never-seen"):
        wait_for(lambda user=user: live.answers.last.get(user, ...) is None, f"the tombstone of {user}")
    live.click("leaver", "desk-3")
    listed = live.list_of("leaver", 1)
    assert {"desk-1", "desk-2"} & set(listed)


def test_a_visitors_history_joins_an_account_of_another_partition(live: Live) -> None:
    visitor, account = (next(name for n in count() if live.partition(name := f"{who}-{n}") == at) for who, at in ROLES)
    live.send(live.topics.clicks, visitor, {"anonymous_id": visitor, "item_id": "garden-6"})
    live.send(live.topics.clicks, visitor, {"anonymous_id": visitor, "item_id": "garden-7"})
    live.list_of(visitor, 2)
    live.click(account, "tea-6")
    live.list_of(account, 1)
    for _ in range(2):  # said twice, counted once
        live.send(live.topics.users, visitor, {"user_id": visitor, "merge_into": account})
        listed = live.list_of(account, 3)
    assert not set(listed) & {"garden-6", "garden-7", "tea-6"}
    assert len(live.more_of(account, "tea-7")) == 20


def test_what_users_of_one_worker_click_together_the_other_recommends(live: Live) -> None:
    """The pair has nothing in common but those clicks."""
    for number in range(6):
        live.click(f"pair-{number}", "tea-11", "desk-11")
        live.list_of(f"pair-{number}", 2)
    for partition in range(live.settings.kafka.partitions):
        # each once: of one who clicks the same again and again the ranker learns that nothing else matters
        users = (name for n in count() if live.partition(name := f"single-{n}") == partition)
        wait_for(lambda users=users: "desk-11" in live.more_of(next(users), "tea-11")[:5], f"desk-11 on {partition}")


def test_workers_share_the_partitions(live: Live) -> None:
    for partition in range(live.settings.kafka.partitions):
        user = next(name for n in count() if live.partition(name := f"sharer-{n}") == partition)
        live.click(user, "city-1")
        live.list_of(user, 1)
    counted = [worker.counted('stream_engine_records_total{topic="clicks"}') for worker in live.workers]
    assert min(counted) > 0


def test_with_the_default_model_and_index_meaning_counts(broker: Broker, default_model: Path, tmp_path: Path) -> None:
    """No two titles of a kind share a word."""
    titles = {
        "coffee-1": "Espresso machine with milk frother",
        "coffee-2": "French press for fresh brew",
        "coffee-3": "Burr grinder, arabica beans",
        "coffee-4": "Cappuccino cups, porcelain",
        "garden-1": "Lawn mower, petrol",
        "garden-2": "Hedge trimmer",
        "garden-3": "Rake and spade set",
        "music-1": "Acoustic guitar, six strings",
        "music-2": "Digital piano",
        "music-3": "Snare drum",
        "sport-1": "Running shoes",
        "sport-2": "Tennis racket",
    }
    settings = settings_on(broker.bootstrap, "meaning", encoder=EncoderSettings(model_dir=default_model), index="edge")
    with engine(tmp_path, settings, 1) as live:
        live.items(titles)
        live.until_known(titles)
        live.click("barista", "coffee-1", "coffee-2", "coffee-3")
        assert live.list_of("barista", 3)[0] == "coffee-4"
        fresh = ("coffee-5", "Moka pot, Italian style")
        took = seconds_until_listed(live, "roaster", fresh, ["coffee-1", "coffee-2", "coffee-3"])
        assert live.more_of("roaster", "coffee-1").index("coffee-5") < 3
        assert took <= 2 * FRESH_WITHIN

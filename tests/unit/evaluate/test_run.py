from __future__ import annotations

import asyncio
import json

import pytest

from stream_engine.encoder.hashed import HashedEncoder
from stream_engine.evaluate import NothingToEvaluate, log_of, run
from stream_engine.evaluate.plan import plan_of
from stream_engine.events import Interaction, Item
from stream_engine.settings import Settings, UserSettings

KEYS = [
    "events",
    "tested",
    "hr@10",
    "ndcg@10",
    "mrr@10",
    "hr@20",
    "ndcg@20",
    "coverage",
    "slices",
    "sources",
    "baselines",
    "us_per_click",
    "peak_rss_mb",
    "seconds",
]
TIMES = ("us_per_click", "peak_rss_mb", "seconds")


def evaluated(log, **options):
    return asyncio.run(run(log, Settings(), HashedEncoder(64), **options))


@pytest.fixture(scope="module")
def evaluation(make_log):
    return evaluated(make_log(), sample=50)


def test_the_documented_keys(evaluation, make_log):
    result = evaluation.result
    assert list(result) == KEYS
    assert result["events"] == len(make_log().received)
    assert result["tested"] == 50
    for name in ("cold_items", "new_users"):
        assert {"n", "hr@10", "ndcg@10", "mrr@10", "hr@20", "ndcg@20"} <= result["slices"][name].keys()
    assert {"trending", "last_text", "item_knn"} == result["baselines"].keys() - {"implicit_als"}
    assert all({"hr@10", "ndcg@10"} == each.keys() for each in result["baselines"].values())
    assert json.loads(json.dumps(result)) == result


def test_what_can_be_foretold_is_foretold(evaluation):
    result = evaluation.result
    assert result["hr@10"] > 0.8
    assert result["hr@10"] > result["baselines"]["trending"]["hr@10"]
    assert result["sources"]["all"] >= result["hr@20"]
    assert result["sources"]["all"] == max(result["sources"].values())
    assert 0 < result["coverage"] <= 1
    assert result["us_per_click"] > 0


def test_two_runs_are_alike_but_for_times(evaluation, make_log):
    again = evaluated(make_log(), sample=50).result
    for name in TIMES:
        again[name] = evaluation.result[name]
    assert again == evaluation.result


def test_the_seed_picks_the_sample(make_log):
    log = make_log()
    weights = UserSettings().weights
    catalogue = {item.item_id for item in log.items}

    def plan(seed):
        return plan_of(log.received, catalogue=catalogue, weights=weights, sample=20, seed=seed)

    assert plan(0) == plan(0)
    assert plan(0).sample != plan(1).sample
    assert min(plan(0).sample) >= plan(0).begins > max(plan(0).curve)


def test_only_what_counts_and_is_in_the_catalogue_is_asked_about(make_log):
    log = make_log(clicks=200)
    odd = [
        Interaction(user_id="v", item_id="unheard-of", timestamp=2e9),
        Interaction(user_id="v", item_id="0-1", event_type="dislike", timestamp=2e9),
        Interaction(user_id="v", event_type="search", query="tea", timestamp=2e9),
    ]
    log = log_of(log.items, [*(each.interaction for each in log.received), *odd])
    plan = plan_of(
        log.received, catalogue={item.item_id for item in log.items}, weights=UserSettings().weights, sample=999, seed=0
    )
    assert max(plan.sample) == len(log.received) - 4
    assert evaluated(log, sample=30).result["events"] == len(log.received)


def test_never_clicked_items_are_a_slice(make_log):
    log = make_log()
    new = Item(item_id="new", title="tea pot 99", categories=("tea pot",))
    clicks = [each.interaction for each in log.received]
    clicks.append(Interaction(user_id="u0", item_id="new", timestamp=clicks[-1].timestamp + 1))
    before = evaluated(log, sample=99).result["slices"]["cold_items"]["n"]
    after = evaluated(log_of([*log.items, new], clicks), sample=99).result["slices"]["cold_items"]["n"]
    assert after == before + 1


def test_nothing_to_evaluate():
    with pytest.raises(NothingToEvaluate):
        evaluated(log_of([Item(item_id="a")], []))


def test_items_brought_by_clicks_join_the_catalogue(make_log):
    log = make_log(clicks=100)
    clicks = [each.interaction for each in log.received]
    inline = Item(item_id="0-99", title="tea pot 99")
    clicks.insert(10, Interaction(user_id="u0", item_id="0-99", item=inline, timestamp=clicks[10].timestamp))
    assert evaluated(log_of(log.items, clicks), sample=10).result["events"] == len(clicks)

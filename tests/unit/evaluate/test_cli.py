from __future__ import annotations

import gzip
import json
from itertools import pairwise

import pytest

from stream_engine.cli.main import main
from stream_engine.codec import encode_interaction, encode_item

QUICK = ("--encoder", "hashed", "--sample", "20")


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def files(make_log, tmp_path):
    log = make_log(clicks=200)
    items, events = tmp_path / "items.jsonl", tmp_path / "events.jsonl.gz"
    items.write_bytes(b"\n".join(encode_item(item) for item in log.items))
    events.write_bytes(gzip.compress(b"\n".join(encode_interaction(each.interaction) for each in log.received)))
    return str(items), str(events)


def test_a_table_json_and_a_report(files, tmp_path, capsys):
    assert main(["evaluate", *files, *QUICK, "--json", "out.json", "--report", "out.html"]) == 0
    shown = capsys.readouterr()
    assert all(name in shown.out for name in ("engine", "trending", "last_text", "item_knn", "cold items"))
    assert "clicks:" in shown.err
    assert json.loads((tmp_path / "out.json").read_text())["tested"] == 20
    assert (tmp_path / "out.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / ".data").stat().st_mode & 0o777 == 0o700


def test_the_curves_alone(files, tmp_path):
    assert main(["evaluate", *files, *QUICK, "--report", "out.svg"]) == 0
    assert (tmp_path / "out.svg").read_text().startswith("<svg")


def test_json_alone_on_standard_output(files, capsys):
    assert main(["evaluate", *files, *QUICK, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["tested"] == 20


def test_the_seed_picks_the_sample(files, capsys):
    results = []
    for seed in ("0", "0", "1"):
        assert main(["evaluate", *files, *QUICK, "--json", "-", "--seed", seed]) == 0
        result = json.loads(capsys.readouterr().out)
        results.append(
            {name: result[name] for name in ("hr@10", "ndcg@20", "mrr@10", "slices", "sources", "baselines")}
        )
    assert [one == other for one, other in pairwise(results)] == [True, False]


def test_a_bad_line_is_named(files, tmp_path, capsys):
    (tmp_path / "bad.jsonl").write_text('{"user_id": "u"}\n')
    assert main(["evaluate", files[0], "bad.jsonl"]) == 1
    assert "bad.jsonl:1: item_id: missing" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [(), ("items.jsonl",), ("items.jsonl", "events.jsonl.gz", "--from-kafka")])
def test_files_or_topics(files, arguments, capsys):
    assert main(["evaluate", *arguments]) == 2
    assert "--from-kafka" in capsys.readouterr().err


def test_a_missing_file_is_named(files, capsys):
    assert main(["evaluate", files[0], "nowhere.jsonl"]) == 2
    assert "nowhere.jsonl" in capsys.readouterr().err

"""A worker whose index is slow, refusing, emptied or stopped, or whose model is broken: about 35 s in all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import grpc
import pytest
from harness.live import Live, engine, settings_on
from harness.qdrant import Qdrant
from harness.workers import WorkerProcess, wait_for

from stream_engine.local.broker import Broker
from stream_engine.settings import EncoderSettings, IndexSettings, Settings
from stream_engine.streaming.admin import create_or_verify

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
]

TITLES = {f"{kind}-{number}": f"{kind} pot {number}" for kind in ("tea", "garden") for number in range(15)}
CLICKS = 10  # made while the index is away
SLOW = 2.0  # seconds
PATIENCE = 0.5  # seconds: `index.timeout`


@pytest.fixture(scope="module")
def qdrant() -> Iterator[Qdrant]:
    running = Qdrant()
    yield running
    running.close()


@pytest.fixture(scope="module")
def live(broker: Broker, qdrant: Qdrant, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One worker that knows the items, its index in the stand-in."""
    index = IndexSettings(location=qdrant.server.url, grpc_port=qdrant.server.port, timeout=PATIENCE)
    settings = settings_on(broker.bootstrap, "away").model_copy(update={"index": index})
    with engine(tmp_path_factory.mktemp("away"), settings, 1) as running:
        running.items(TITLES)
        running.until_known(TITLES)
        yield running


def slow(qdrant: Qdrant) -> None:
    async def wait() -> None:
        await asyncio.sleep(SLOW)

    qdrant.server.before = wait


def refusing(qdrant: Qdrant) -> None:
    qdrant.server.failure = grpc.StatusCode.UNAVAILABLE


def stopped(qdrant: Qdrant) -> None:
    qdrant.run(qdrant.server.stop())


def back(qdrant: Qdrant) -> None:
    qdrant.server.before = qdrant.server.failure = None
    qdrant.run(qdrant.server.stop())
    qdrant.run(qdrant.server.start())


def degraded(live: Live, user: str, clicks: int) -> list[str]:
    """What the list after so many clicks was made without."""
    live.click(user, f"tea-{clicks % 15}")
    assert live.list_of(user, clicks), "never an empty list"
    answer = live.answers.last[user]
    assert answer is not None
    return list(answer["degraded"])


def until(live: Live, user: str, clicks: Iterator[int], wanted: list[str]) -> None:
    """Click until a list is made so."""
    wait_for(lambda: degraded(live, user, next(clicks)) == wanted, f"a list without {wanted}")


@pytest.mark.parametrize("fault", [slow, refusing, stopped])
def test_lists_are_made_without_the_index_and_whole_again_after(
    live: Live, qdrant: Qdrant, fault: Callable[[Qdrant], None]
) -> None:
    (worker,) = live.workers
    pid, clicks, user = worker.pid, count(1), f"user-{fault.__name__}"
    until(live, user, clicks, [])
    fault(qdrant)
    try:
        until(live, user, clicks, ["index"])
        asked = len(qdrant.server.asked)
        for _ in range(CLICKS):
            assert degraded(live, user, next(clicks)) == ["index"]
        probed = qdrant.server.asked[asked:]
        assert "QueryBatch" not in probed, "a click must not wait for an index that is away"
        assert worker.get("/ready") == (200, "ready, without index\n")
    finally:
        back(qdrant)
    until(live, user, clicks, [])
    assert worker.get("/ready") == (200, "ready\n")
    assert worker.pid == pid
    assert worker.running
    assert live.letters() == []


def test_a_dropped_collection_is_made_and_filled_again(live: Live, qdrant: Qdrant) -> None:
    clicks, user = count(1), "user-dropped"
    until(live, user, clicks, [])
    qdrant.run(qdrant.empty())

    def filled() -> bool:
        degraded(live, user, next(clicks))
        collections = qdrant.run(qdrant.server.store.get_collections()).collections
        return [qdrant.run(qdrant.server.store.count(each.name)).count for each in collections] == [len(TITLES)]

    wait_for(filled, "the collection to be full again")
    until(live, user, clicks, [])
    assert live.letters() == []


def damaged(model: Path, folder: Path) -> Path:
    """A copy of a model, one byte of its weights turned."""
    folder.mkdir()
    for file in model.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    weights = bytearray((folder / "model.onnx").read_bytes())
    weights[len(weights) // 2] ^= 1
    (folder / "model.onnx").write_bytes(weights)
    return folder


@pytest.mark.parametrize("broken", ["missing", "corrupt"])
def test_a_worker_without_its_model_refuses_to_start(
    broker: Broker, prefix: str, tiny_model: Path, tmp_path: Path, broken: str
) -> None:
    model = tmp_path / "none" if broken == "missing" else damaged(tiny_model, tmp_path / "model")
    settings: Settings = settings_on(broker.bootstrap, prefix, encoder=EncoderSettings(model_dir=model))
    create_or_verify(settings)
    worker = WorkerProcess(tmp_path / "worker", settings)
    worker.start()
    try:
        assert worker.wait(60) == 2
    finally:
        worker.stop()
    said = worker.log.read_text()
    assert "encoder.model" in said
    assert str(model) in said or "model.onnx" in said

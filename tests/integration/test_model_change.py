"""The encoder's model is changed under a running engine, worker by worker, to one of as many dimensions and then to one
of more: about a minute. Vectors of two models are never together, and all items get one of the new model.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from harness.live import Live, engine, settings_on
from harness.qdrant import Qdrant
from harness.workers import WorkerProcess, wait_for

from stream_engine.encoder import manifest
from stream_engine.encoder.onnx import OnnxModel
from stream_engine.index.open import collection_name
from stream_engine.items.record import CatalogueRecord, decode_record
from stream_engine.local.broker import Broker
from stream_engine.settings import EncoderSettings, IndexSettings, Settings
from stream_engine.streaming.reading import snapshot
from stream_engine.streaming.topics import item_state_topic

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
]

TITLES = {f"item-{number}": f"{word} pot" for number, word in enumerate(["tea", "red", "oak", "sea", "fog"] * 8)}
USERS = [f"user-{number}" for number in range(8)]


@pytest.fixture
def qdrant() -> Iterator[Qdrant]:
    running = Qdrant()
    yield running
    running.close()


def another(model: Path, folder: Path) -> Path:
    """A model of as many dimensions whose vectors are others: it puts words before each text."""
    shutil.copytree(model, folder)
    manifest.save(msgspec.structs.replace(manifest.load(model), prefix="quiz jazz fizz: "), folder)
    return folder


def clicked(live: Live, rounds: int) -> None:
    """Every user clicks, and is answered."""
    for number in range(rounds):
        before = {user: live.answers.interactions(user) for user in USERS}
        for at, user in enumerate(USERS):
            live.click(user, f"item-{(at + number) % len(TITLES)}")
        for user in USERS:
            assert live.list_of(user, before[user] + 1, within=120), "never an empty list"


def records(live: Live) -> dict[str, CatalogueRecord]:
    """What the view's topic says of each item."""
    topic = item_state_topic(live.settings.kafka.group)
    last = {record.key.decode(): record.value for record in snapshot(live.settings.kafka, topic)}
    return {item_id: decode_record(value) for item_id, value in last.items()}


def of_model(live: Live, fingerprint: str) -> bool:
    found = records(live)
    return found.keys() == TITLES.keys() and {each.fingerprint for each in found.values()} == {fingerprint}


def whole(worker: WorkerProcess) -> bool:
    return worker.get("/ready") == (200, "ready\n")


def holds(qdrant: Qdrant, model: OnnxModel) -> int:
    """How many vectors the model's collection holds; every one is what the model says of the item's text."""
    name = collection_name("items", model.fingerprint)
    points, _ = qdrant.run(qdrant.server.store.scroll(name, limit=1_000, with_vectors=True))
    wanted = model.encode([TITLES[point.payload["item_id"]] for point in points])
    assert (np.einsum("nd,nd->n", wanted, np.array([point.vector for point in points])) > 0.999).all()
    return len(points)


def replaced(live: Live, place: int, settings: Settings) -> None:
    """Stop a worker, and start one with other settings in its folder."""
    live.workers[place].signal(signal.SIGTERM)
    assert live.workers[place].wait() == 0
    live.workers[place] = WorkerProcess(live.workers[place].folder, settings)
    live.workers[place].start()


def test_a_change_of_model_worker_by_worker_and_to_other_dimensions(
    broker: Broker, qdrant: Qdrant, tiny_model: Path, tmp_path: Path
) -> None:
    old, new = OnnxModel(tiny_model), OnnxModel(another(tiny_model, tmp_path / "model"))
    assert (np.einsum("nd,nd->n", old.encode(list(TITLES.values())), new.encode(list(TITLES.values()))) < 0.99).all()
    index = IndexSettings(location=qdrant.server.url, grpc_port=qdrant.server.port)
    before = settings_on(broker.bootstrap, "models", encoder=EncoderSettings(model_dir=tiny_model))
    before = before.model_copy(update={"index": index})
    after = before.model_copy(update={"encoder": EncoderSettings(model_dir=tmp_path / "model")})
    last = before.model_copy(update={"encoder": EncoderSettings(model="hashed")})
    with engine(tmp_path, before, 2) as live:
        started = list(live.workers)
        try:
            live.items(TITLES)
            live.until_known(TITLES)
            clicked(live, 2)
            assert of_model(live, old.fingerprint)
            assert holds(qdrant, old) == len(TITLES)

            replaced(live, 0, after)
            wait_for(live.workers[0].ready, "the first with the new model", 120)
            clicked(live, 2)  # both models in the group
            replaced(live, 1, after)
            wait_for(lambda: of_model(live, new.fingerprint), "all items encoded by the new model", 120)
            wait_for(lambda: all(map(whole, live.workers)), "both to have all vectors", 120)
            clicked(live, 1)
            assert holds(qdrant, new) == len(TITLES)
            assert holds(qdrant, old) == len(TITLES)  # left to who may go back
            wait_for(lambda: aliased(qdrant) == collection_name("items", new.fingerprint), "the alias to follow")

            live.workers[1].signal(signal.SIGTERM)
            replaced(live, 0, last)
            clicked(live, 1)  # users know interests of 16 dimensions, items have none of 384 yet
            wait_for(lambda: of_model(live, "hashed-384"), "all items encoded by the last model", 120)
            wait_for(lambda: whole(live.workers[0]), "it to have all vectors", 60)
            clicked(live, 1)
            answers = [answer for user in USERS if (answer := live.answers.last[user]) is not None]
            assert {answer["model"]["encoder"] for answer in answers} == {"hashed-384"}
            assert live.answers.backwards == 0
            assert live.letters() == []
        finally:
            for worker in {*started, *live.workers}:
                worker.stop()


def aliased(qdrant: Qdrant) -> str:
    (alias,) = qdrant.run(qdrant.server.store.get_aliases()).aliases
    return str(alias.collection_name)

"""What a later version wrote is neither read, nor refused as bad, nor written over; what earlier ones wrote is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from harness.records import FakeRecord, click
from harness.worlds import Stages, item

from stream_engine.encoder.hashed import HashedEncoder
from stream_engine.errors import NewerVersion, PoisonEvent, StreamEngineError
from stream_engine.items import statistics
from stream_engine.items.record import decode_record
from stream_engine.items.statistics import decode_statistics
from stream_engine.items.updates import decode_updates
from stream_engine.ranking.ranker import Ranker
from stream_engine.streaming.stages.catalogue import ANNOUNCED
from stream_engine.users import BadState, decode_state, marks
from stream_engine.versions import NEWEST, refuse_newer

GOLDEN = Path(__file__).parent.parent / "golden"
KNOWN = {
    decode_state: 1,
    marks: 1,
    decode_statistics: 2,
    statistics.marks: 2,
    statistics.summary: 2,
    decode_record: 1,
    decode_updates: 1,
}


@pytest.mark.parametrize("decode", KNOWN, ids=lambda decode: decode.__module__ + "." + decode.__name__)
@pytest.mark.parametrize("later", [1, 2, None])
def test_every_stored_format_tells_a_later_version_from_nonsense(
    decode: Callable[[bytes], object], later: int | None
) -> None:
    known = KNOWN[decode]
    version = known + later if later else NEWEST
    with pytest.raises(NewerVersion, match=f"version {version} found, and this worker knows {known} at most; upgrade"):
        decode(bytes([version]) + b"\x90")
    for nonsense in (b"", b"\x00\x90", b"{}", b"\xff"):
        with pytest.raises((PoisonEvent, BadState)):
            decode(nonsense)


def test_a_version_byte_that_no_version_writes_is_no_version() -> None:
    refuse_newer(None, 1, "x")
    refuse_newer(b"", 1, "x")
    refuse_newer(b"\x01", 1, "x")
    refuse_newer(bytes([NEWEST + 1]), 1, "x")


async def test_a_click_of_a_user_whose_state_is_newer_leaves_it_alone() -> None:
    stages = Stages()
    newer = b"\x02 what tomorrow knows"
    stages.users.values[b"u", 0] = newer
    with pytest.raises(NewerVersion, match="a user's state"):
        await stages.clicks.handle([click(0, "v", "i0"), click(1, "u", "i0")])
    assert stages.users.values == {(b"u", 0): newer}


async def test_newer_updates_and_statistics_and_histories_stop_the_stage() -> None:
    stages = Stages()
    for stage, value in ((stages.statistics, b"\x02\x90"), (stages.joins, b"\x02\x90")):
        with pytest.raises(NewerVersion):
            await stage.handle([FakeRecord(0, value, b"u")])
    assert not stages.users.values
    assert not stages.items.values


async def test_an_item_whose_record_is_newer_is_not_written_over() -> None:
    stages = Stages()
    with pytest.raises(NewerVersion):
        stages.writer.catalogue(b"x", b"\x02 what tomorrow knows")
    announced = item(0, "x", [(ANNOUNCED, b"")], title="as some click has it")
    assert await stages.catalogue.handle([announced]) == []
    with pytest.raises(NewerVersion, match="an item's record on item-state: version 2 found"):
        await stages.catalogue.handle([item(1, "y", title="pot"), item(2, "x", title="pan")])
    (deletion,) = await stages.catalogue.handle([item(3, "x")])
    stages.writer.catalogue(b"x", deletion.value)
    assert await stages.catalogue.handle([item(4, "x", title="pan")])


async def test_an_item_of_another_model_is_known_without_its_vector_and_noted() -> None:
    stages, other = Stages(), Stages(encoder=HashedEncoder(32))
    (record,) = await other.catalogue.handle([item(0, "x", title="red tea pot")])
    stages.writer.catalogue(b"x", record.value)
    assert "x" in stages.view
    assert stages.view.vector("x") is None
    assert stages.writer.foreign == {"x"}
    await stages.stock({"x": "red tea pot"})
    assert stages.view.vector("x") is not None
    assert not stages.writer.foreign


def test_golden_ranker_snapshot_still_merges_or_is_ignored() -> None:
    """Its features are named: with others it does not fit, and changes nothing."""
    ranker, before = Ranker(1), Ranker(1)
    ranker.merge({"w": (GOLDEN / "ranking" / "snapshot-v1.bin").read_bytes()})
    weights = np.array(list(ranker.weights.values()))
    assert np.isfinite(weights).all()
    before.merge({"w": b"\x96\x02", "x": b"", "y": b"\xff"})
    assert before.weights == Ranker(1).weights


def test_all_that_is_stored_has_a_golden_file() -> None:
    found = {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*-v1*")}
    stored = {"user-state-v1.bin", "items/record-v1.bin", "items/statistics-v1.bin", "items/updates-v1.bin"}
    assert stored | {"ranking/snapshot-v1.bin", "encoder/manifest-v1.json"} <= found


def test_refusing_is_one_of_our_own_errors() -> None:
    assert issubclass(NewerVersion, StreamEngineError)
    assert not issubclass(NewerVersion, PoisonEvent)

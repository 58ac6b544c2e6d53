from __future__ import annotations

from stream_engine.evaluate.ablation import PARTS, without
from stream_engine.ranking.pipeline import known_parts
from stream_engine.settings import Settings


def test_every_part_can_be_left_out():
    settings = Settings()
    for part in PARTS:
        ranking = without(settings, part).ranking
        assert ranking != settings.ranking
        assert set(ranking.without) <= known_parts()


def test_what_was_left_out_stays_out():
    once = without(Settings(), "bridge")
    assert without(once, "again").ranking.without == ("bridge", "again")
    assert without(once, "diversity").ranking.without == ("bridge",)

"""The encoder the settings name."""

from pathlib import Path

import numpy as np
import pytest

from stream_engine.encoder.load import model_directory, open_encoder
from stream_engine.errors import BadConfiguration
from stream_engine.settings import EncoderSettings


async def test_hashed_needs_no_model(tmp_path):
    encoder = open_encoder(EncoderSettings(model="hashed"), tmp_path)
    assert encoder.fingerprint == "hashed-384"
    await encoder.close()


async def test_a_directory_wins_over_the_name_and_vectors_are_kept_under_the_data(tiny_model, tmp_path):
    settings = EncoderSettings(model="hashed", model_dir=tiny_model)
    encoder = open_encoder(settings, tmp_path / "data")
    rows = await encoder.encode(["soup"])
    await encoder.close()
    assert encoder.fingerprint.startswith("tiny-fp32-")
    assert rows.shape == (1, 16)
    assert list((tmp_path / "data").iterdir()) == [tmp_path / "data" / "encoder-cache.sqlite"]


async def test_no_cache_no_file(tiny_model, tmp_path):
    encoder = open_encoder(EncoderSettings(model_dir=tiny_model, cache_texts=0), tmp_path)
    assert np.isfinite(await encoder.encode(["soup"])).all()
    await encoder.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("model", "name"),
    [("all-MiniLM-L6-v2", "all-MiniLM-L6-v2"), ("Org/Model.v1", "Org--Model.v1"), ("../../etc", "--..--etc")],
)
def test_every_model_has_a_directory_of_its_own(model, name):
    settings = EncoderSettings(model=model, cache_dir=Path("/models"))
    assert model_directory(settings) == Path("/models") / name


def test_a_model_not_fetched_says_how_to_get_it(tmp_path):
    with pytest.raises(BadConfiguration, match="stream-engine model fetch"):
        open_encoder(EncoderSettings(cache_dir=tmp_path), tmp_path)

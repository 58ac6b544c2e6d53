"""Composition: the encoder the settings name."""

from __future__ import annotations

import re
from pathlib import Path

from stream_engine.encoder.batching import BatchingEncoder
from stream_engine.encoder.cache import VectorCache
from stream_engine.encoder.hashed import HashedEncoder
from stream_engine.encoder.onnx import OnnxModel
from stream_engine.encoder.protocol import Encoder
from stream_engine.settings import EncoderSettings

HASHED = "hashed"
CACHE = "encoder-cache.sqlite"


def model_directory(settings: EncoderSettings) -> Path:
    """Where the settings' model is, or is to be put."""
    if settings.model_dir is not None:
        return settings.model_dir
    return settings.cache_dir / re.sub(r"[^A-Za-z0-9._-]+", "--", settings.model).lstrip(".")


def open_encoder(settings: EncoderSettings, data_dir: Path) -> Encoder:
    """The encoder, ready, its cache under `data_dir`; raises BadConfiguration when the model is missing or damaged.

    Takes a second with a model: it hashes the files and runs once.
    """
    if settings.model == HASHED and settings.model_dir is None:
        return HashedEncoder()
    model = OnnxModel(model_directory(settings), run_tokens=settings.run_tokens, threads=settings.threads)
    cache = None
    if settings.cache_texts:
        cache = VectorCache(data_dir / CACHE, model.fingerprint, model.dimensions, limit=settings.cache_texts)
    return BatchingEncoder(model, cache)

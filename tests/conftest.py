"""For the whole session: one real broker, one tiny model made here, and the default model where it was fetched."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings
from kafka import KafkaAdminClient
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from stream_engine.encoder.fetch import fetch
from stream_engine.encoder.graph import Architecture
from stream_engine.errors import BadConfiguration
from stream_engine.local.broker import Broker, start_broker
from stream_engine.settings import DEFAULT_MODEL, KafkaSettings, Settings, StreamSettings, TopicSettings

# shared machines are slow at times: no deadline per example; the suite's timeout is the limit
hypothesis_settings.register_profile("shared", deadline=None)
hypothesis_settings.load_profile("shared")

CACHE = Path(__file__).parent.parent / ".cache"


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A running Apache Kafka; do not stop or kill this one."""
    try:
        running = start_broker(tmp_path_factory.mktemp("broker"), cache_dir=CACHE)
    except BadConfiguration as error:
        pytest.skip(f"no broker: {error}")
    with running:
        yield running


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """A name no other test uses, for topics and groups."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", request.node.nodeid.split("::", 1)[1])[:80].strip("-")


@pytest.fixture
def live_settings(broker: Broker, prefix: str, tmp_path: Path) -> Settings:
    """Settings for the session's broker with a group and topics of this test's own (nothing is created)."""
    names = {name: f"{prefix}.{field.default}" for name, field in TopicSettings.model_fields.items()}
    return Settings(
        kafka=KafkaSettings(broker=broker.bootstrap, group=prefix, partitions=4),
        topics=TopicSettings(**names),
        stream=StreamSettings(data_dir=tmp_path / "data"),
    )


@pytest.fixture
def create_topics(broker: Broker) -> Callable[..., None]:
    """`create_topics("a", "b", partitions=4, configs={...})` returns when every partition has a leader."""

    def create(*names: str, partitions: int = 4, configs: Mapping[str, Any] | None = None) -> None:
        with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as client:
            topic = {"num_partitions": partitions, "replication_factor": 1, "configs": dict(configs or {})}
            client.create_topics(dict.fromkeys(names, topic), wait_for_metadata=True)

    return create


TINY = Architecture(model_type="bert", hidden_size=16, num_hidden_layers=2, num_attention_heads=2)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", *LETTERS, *(f"##{letter}" for letter in LETTERS))
_TABLES = {"word": len(WORDS), "position": 66, "token_type": 2}


@pytest.fixture(scope="session")
def tiny_bert() -> tuple[Architecture, dict[str, NDArray[np.float32]]]:
    """A BERT of two layers with random weights: 56 words, 66 places."""
    rng, d = np.random.default_rng(3), TINY.hidden_size
    shapes = {f"embeddings.{kind}_embeddings.weight": (size, d) for kind, size in _TABLES.items()}
    linear = {"attention.output.dense": (d, d), "intermediate.dense": (4 * d, d), "output.dense": (d, 4 * d)}
    linear |= {f"attention.self.{part}": (d, d) for part in ("query", "key", "value")}
    norms = ["embeddings.LayerNorm"]
    for number in range(TINY.num_hidden_layers):
        layer = f"encoder.layer.{number}."
        norms += [f"{layer}attention.output.LayerNorm", f"{layer}output.LayerNorm"]
        shapes |= {f"{layer}{name}.weight": shape for name, shape in linear.items()}
        shapes |= {f"{layer}{name}.bias": shape[:1] for name, shape in linear.items()}
    shapes |= {f"{name}.{part}": (d,) for name in norms for part in ("weight", "bias")}
    weights = {name: rng.normal(size=shape).astype(np.float32) / 3 for name, shape in shapes.items()}
    weights |= {f"{name}.weight": 1 + weights[f"{name}.weight"] for name in norms}
    return TINY, weights


@pytest.fixture(scope="session")
def tiny_weights(
    tiny_bert: tuple[Architecture, dict[str, NDArray[np.float32]]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The tiny BERT as a directory of the Hugging Face hub's layout; do not change it."""
    architecture, weights = tiny_bert
    directory = tmp_path_factory.mktemp("weights")
    sizes = {"vocab_size": len(WORDS), "max_position_embeddings": 66, "intermediate_size": 4 * TINY.hidden_size}
    (directory / "config.json").write_bytes(msgspec.json.encode(msgspec.to_builtins(architecture) | sizes))
    tokenizer = Tokenizer(models.WordPiece({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.enable_padding(length=60)  # as MiniLM's own file does
    tokenizer.save(str(directory / "tokenizer.json"))
    header, body = {}, b""
    for name, rows in weights.items():
        header[f"bert.{name}"] = {
            "dtype": "F32",
            "shape": rows.shape,
            "data_offsets": (len(body), len(body) + rows.nbytes),
        }
        body += rows.tobytes()
    head = msgspec.json.encode(header | {"__metadata__": {"format": "pt"}})
    (directory / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + body)
    return directory


@pytest.fixture(scope="session")
def tiny_model(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory of 16 dimensions; do not change it."""
    return fetch("tiny", tmp_path_factory.mktemp("models") / "tiny", source=tiny_weights)


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The default model's directory, skipping where nobody has fetched it."""
    directory = CACHE / "models" / DEFAULT_MODEL
    if not (directory / "manifest.json").is_file():
        pytest.skip(f"no model in {directory}: run `stream-engine model fetch`")
    return directory

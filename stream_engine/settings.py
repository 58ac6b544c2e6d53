"""Every setting, read once, frozen, passed down by group. The only file that reads the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel as PydanticModel
from pydantic import Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    SettingsConfigDict,
)

DEFAULT_MODEL = "all-MiniLM-L6-v2"


class Group(PydanticModel, frozen=True, extra="forbid"):
    """A frozen group of settings."""


class KafkaSettings(Group):
    """How to reach the broker, and who we are on it."""

    broker: str = "127.0.0.1:9092"
    group: str = Field("stream-engine", min_length=1, pattern=r"^[A-Za-z0-9._-]+$")
    partitions: int = Field(8, ge=1, le=1024)
    replication: int = Field(1, ge=1)
    session_timeout: float = Field(6.0, ge=1.0, description="seconds")
    max_record_bytes: int = Field(1_000_000, ge=1_000)
    security_protocol: str = Field("PLAINTEXT", pattern="^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$")
    sasl_mechanism: str = Field("PLAIN", pattern="^(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512)$")
    sasl_username: str = ""
    sasl_password: SecretStr = SecretStr("")
    ssl_ca: Path | None = None
    ssl_certificate: Path | None = None
    ssl_key: Path | None = None


class TopicSettings(Group):
    """The names of the user-facing topics."""

    clicks: str = "clicks"
    items: str = "items"
    users: str = "users"
    recommendations: str = "recommendations"
    dead_letters: str = "dead-letters"


class EncoderSettings(Group):
    """Which model turns text into vectors."""

    model: str = DEFAULT_MODEL
    model_dir: Path | None = Field(None, description="a directory with a manifest; wins over `model`")
    batch: int = Field(32, ge=1, le=1024)
    threads: int = Field(1, ge=1)
    cache_texts: int = Field(200_000, ge=0)


class IndexSettings(Group):
    """Where vectors are searched: `edge`, `memory`, or a Qdrant URL."""

    location: str = Field("edge", pattern=r"^(edge|memory|https?://.+)$")
    api_key: SecretStr = SecretStr("")
    collection: str = "items"
    quantized: bool = False
    prefer_grpc: bool = True
    timeout: float = Field(2.0, gt=0, description="seconds")


class UserSettings(Group):
    """What is remembered of a user, and how an event weighs."""

    interests: int = Field(3, ge=1, le=4)
    half_life: float = Field(7 * 86_400.0, gt=0, description="seconds")
    history: int = Field(50, ge=1, le=50)
    seen: int = Field(128, ge=0, le=256)
    weights: dict[str, float] = {
        "click": 1.0,
        "view": 0.5,
        "impression": 0.0,
        "add_to_cart": 2.0,
        "remove_from_cart": -1.0,
        "purchase": 3.0,
        "like": 2.0,
        "dislike": -2.0,
        "rating": 1.0,
        "search": 1.0,
        "bookmark": 2.0,
        "dwell": 1.0,
    }


class RankingSettings(Group):
    """How a list is made."""

    size: int = Field(20, ge=1, le=200)
    candidates: int = Field(100, ge=1, le=1_000)
    diversity: float = Field(0.15, ge=0, le=1)
    seed: int = 7


class StreamSettings(Group):
    """How a worker runs."""

    worker: str = Field("", description="this replica's name; empty picks one")
    data_dir: Path = Path(".data")
    chunk: int = Field(256, ge=1, le=10_000)
    standby_replicas: int = Field(0, ge=0)
    max_future: float = Field(86_400.0, ge=0, description="seconds a timestamp may lie ahead of its record")
    metrics_port: int = Field(0, ge=0, le=65_535, description="0 picks a free one")


class Settings(BaseSettings):
    """All groups. Flags win over the environment, the environment over the file."""

    model_config = SettingsConfigDict(
        env_prefix="STREAM_ENGINE_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    encoder: EncoderSettings = EncoderSettings()
    index: IndexSettings = IndexSettings()
    users: UserSettings = UserSettings()
    ranking: RankingSettings = RankingSettings()
    stream: StreamSettings = StreamSettings()

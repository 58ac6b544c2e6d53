"""Every setting, read once, frozen, passed down by group. The only file that reads the environment."""

from __future__ import annotations

import ipaddress
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel as PydanticModel
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from stream_engine.errors import BadConfiguration

DEFAULT_MODEL = "all-MiniLM-L6-v2"
EVENT_WEIGHTS = {
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
Weight = Annotated[float, Field(ge=-100, le=100)]
DEFAULT_FILE = Path("stream-engine.toml")
ENV_PREFIX = "STREAM_ENGINE_"


class Group(PydanticModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """A frozen group of settings; what is wrong may be a secret, so errors do not quote it."""


class KafkaSettings(Group):
    """How to reach the broker, and who we are on it."""

    broker: str = "127.0.0.1:9092"
    group: str = Field("stream-engine", min_length=1, pattern=r"^[A-Za-z0-9._-]+$")
    partitions: int = Field(8, ge=1, le=1024)
    replication: int = Field(1, ge=1)
    session_timeout: float = Field(6.0, ge=1.0, description="seconds")
    instance_id: str = Field(
        "",
        max_length=249,
        pattern=r"^[A-Za-z0-9._-]*$",
        description="this worker's own: back within its session, it has its partitions again and no other is disturbed",
    )
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
    cache_dir: Path = Field(Path(".cache/models"), description="where fetched models are, a directory each")
    run_tokens: int = Field(384, ge=1, le=65_536, description="tokens of one run of the model, padding included")
    threads: int = Field(1, ge=1)
    cache_texts: int = Field(200_000, ge=0)


class IndexSettings(Group):
    """Where vectors are searched: `edge`, `memory`, or a Qdrant URL."""

    location: str = Field("edge", pattern=r"^(edge|memory|https?://.+)$")
    api_key: SecretStr = SecretStr("")
    ssl_ca: Path | None = Field(None, description="who signed the server's certificate, where the system does not know")
    collection: str = "items"
    quantized: bool = Field(default=True, description="search bytes first, then the full vectors of the best")
    prefer_grpc: bool = True
    grpc_port: int = Field(6334, ge=1, le=65_535)
    timeout: float = Field(2.0, gt=0, description="seconds")

    @field_validator("location")
    @classmethod
    def _without_user(cls, given: str) -> str:
        if "@" in given:  # it is printed and logged
            raise ValueError("takes no user or password; a key goes to index.api_key")
        return given

    @field_validator("api_key")
    @classmethod
    def _kept_secret(cls, given: SecretStr, others: ValidationInfo) -> SecretStr:
        location, key = others.data.get("location", ""), given.get_secret_value()
        if not (key.isascii() and key.isprintable()):  # a line break at its end, say: clients would quote it
            raise ValueError("must be printable ASCII")
        if key and location.startswith("http:") and not is_loopback(urlsplit(location).hostname or ""):
            raise ValueError("would cross the network in the clear; make index.location an https one")
        return given


class UserSettings(Group):
    """What is remembered of a user, and how an event weighs."""

    interests: int = Field(3, ge=1, le=4)
    half_life: float = Field(7 * 86_400.0, gt=0, description="seconds until an interest counts half")
    memory: float = Field(20.0, gt=0, le=200, description="clicks after which a click counts 1/e")
    similarity: float = Field(0.7, ge=-1, le=1, description="cosine from which a click joins an interest")
    history: int = Field(50, ge=1, le=50)
    seen: int = Field(128, ge=0, le=256, description="items remembered beyond the history, as far as there is room")
    expire_after: float = Field(365 * 86_400.0, ge=0, description="seconds away until a user is forgotten; 0: never")
    weights: dict[str, Weight] = Field(EVENT_WEIGHTS, description="clicks an event is worth; those not named stay")

    @field_validator("weights")
    @classmethod
    def _complete(cls, given: dict[str, float]) -> dict[str, float]:
        if unknown := given.keys() - EVENT_WEIGHTS.keys():
            raise ValueError(f"no such event type: {', '.join(sorted(unknown))}")
        return {**EVENT_WEIGHTS, **given}


class StatisticsSettings(Group):
    """What is remembered of an item. Half-lives are seconds of event time."""

    half_lives: tuple[float, ...] = Field((3_600.0, 86_400.0, 7 * 86_400.0, 60 * 86_400.0), min_length=1, max_length=4)
    lately: float = Field(14 * 86_400.0, gt=0, description="half-life of recent pairs")
    neighbours: int = Field(128, ge=1, le=400)
    followers: int = Field(32, ge=1, le=100)
    window: int = Field(10, ge=1, le=50, description="how many earlier items a click is paired with")
    fade: float = Field(0.9, gt=0, le=1, description="what a pair loses per item in between")
    unannounced: int = Field(50_000, ge=0, description="items kept that are in no catalogue, in all; the weakest go")


class RankingSettings(Group):
    """How a list is made."""

    size: int = Field(20, ge=1, le=200)
    candidates: int = Field(60, ge=1, le=1_000, description="items asked of the index, per interest")
    diversity: float = Field(0.15, ge=0, le=1)
    explore: int = Field(0, ge=0, le=200, description="place kept for an item nobody clicked yet; 0: none")
    lessons: float = Field(20.0, gt=0, description="clicks a second that the ranker learns from, at most")
    without: tuple[str, ...] = Field((), description="sources, features, `hidden`, `replay`, `facts` to leave out")
    seed: int = 7


class StreamSettings(Group):
    """How a worker runs."""

    worker: str = Field("", description="this replica's name; empty picks one")
    data_dir: Path = Path(".data")
    chunk: int = Field(64, ge=1, le=10_000, description="records applied together, about; the loop breathes in between")
    max_future: float = Field(86_400.0, ge=0, description="seconds a timestamp may lie ahead of its record")
    states_on_disk: bool = Field(default=True, description="what a restart goes on from, in data_dir")
    standby_replicas: int = Field(
        0, ge=0, le=8, description="workers that follow each partition, to take it over at once"
    )
    verbose: bool = Field(default=False, description="log what Faust and the Kafka clients say as well")
    metrics_port: int = Field(0, ge=0, le=65_535, description="0 picks a free one")


class LocalSettings(Group):
    """What `up` starts on this machine."""

    workers: int = Field(1, ge=1, le=64)
    port: int = Field(0, ge=0, le=65_535, description="the broker's; 0 takes a free one, and the same again")
    cache_dir: Path = Field(Path(".cache"), description="where Kafka's jars are kept")
    heap_mb: int = Field(512, ge=256, le=65_536, description="the broker's heap")


class Settings(BaseSettings):
    """All groups. Flags win over the environment, the environment over the file."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid", hide_input_in_errors=True
    )

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    encoder: EncoderSettings = EncoderSettings()
    index: IndexSettings = IndexSettings()
    users: UserSettings = UserSettings()
    statistics: StatisticsSettings = StatisticsSettings()
    ranking: RankingSettings = RankingSettings()
    stream: StreamSettings = StreamSettings()
    local: LocalSettings = LocalSettings()


def load(overrides: Mapping[str, Any] | None = None, file: Path | None = None) -> Settings:
    """Flags (`{"kafka.broker": ..}`; None means not given) over environment over `file` over defaults.

    Without `file`, `stream-engine.toml` in the working directory is read where there is one. BadConfiguration names the
    first setting at fault.
    """
    try:
        values = merged(from_file(file), EnvSettingsSource(Settings)(), nested(overrides or {}))
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise BadConfiguration(name, f"{first['msg']} (a flag, {env_name(name)}, or the settings file)") from error
    except SettingsError as error:
        raise BadConfiguration("environment", f"{error}: {error.__cause__}") from error


def from_file(file: Path | None) -> dict[str, Any]:
    """The values of a TOML file; empty where none was named and the default one is not there."""
    chosen = file or DEFAULT_FILE
    try:
        return tomllib.loads(chosen.read_text())
    except FileNotFoundError as error:
        if file is None:
            return {}
        raise BadConfiguration("--config", f"{chosen} does not exist") from error
    except (OSError, ValueError) as error:
        raise BadConfiguration("--config", f"{chosen}: {error}") from error


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """`{"kafka.broker": 1}` as `{"kafka": {"broker": 1}}`, without the Nones."""
    tree: dict[str, Any] = {}
    for name, value in values.items():
        if value is not None:
            group, _, field = name.partition(".")
            tree.setdefault(group, {})[field] = value
    return tree


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Groups merged field by field, later layers win."""
    tree: dict[str, Any] = {}
    for layer in layers:
        for group, fields in layer.items():
            both = isinstance(fields, Mapping) and isinstance(tree.get(group), Mapping)
            tree[group] = {**tree[group], **fields} if both else fields
    return tree


def is_loopback(host: str) -> bool:
    """Whether what is sent to this host stays on this machine; only names that must mean so count."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def env_name(name: str) -> str:
    """The environment variable of a setting: `kafka.broker` is STREAM_ENGINE_KAFKA__BROKER."""
    return ENV_PREFIX + name.upper().replace(".", "__")


def environment(settings: Settings) -> dict[str, str]:
    """Our environment with every setting in it: a child started with it loads the same settings."""
    found = dict(os.environ)
    for group in type(settings).model_fields:
        for field, value in getattr(settings, group):
            if value is not None:
                found[env_name(f"{group}.{field}")] = _as_text(value)
    return found


def _as_text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return json.dumps(value) if isinstance(value, dict | list | tuple) else str(value)

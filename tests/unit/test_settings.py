"""Where a setting comes from, and what is said of a wrong one."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from stream_engine.errors import BadConfiguration
from stream_engine.settings import KafkaSettings, Settings, UserSettings, env_name, environment, load


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_flag_over_environment_over_file_over_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[kafka]\nbroker = 'file:1'\ngroup = 'file'\npartitions = 3\n[index]\nlocation = 'memory'\n")
    monkeypatch.setenv("STREAM_ENGINE_KAFKA__BROKER", "env:1")
    monkeypatch.setenv("STREAM_ENGINE_KAFKA__GROUP", "env")
    settings = load({"kafka.broker": "flag:1", "kafka.group": None}, file)
    assert settings.kafka.broker == "flag:1"
    assert settings.kafka.group == "env"
    assert settings.kafka.partitions == 3
    assert settings.index.location == "memory"
    assert settings.kafka.session_timeout == KafkaSettings().session_timeout


def test_the_file_of_the_working_directory_is_read() -> None:
    assert load().kafka.partitions == KafkaSettings().partitions
    Path("stream-engine.toml").write_text("kafka.partitions = 5\n")
    assert load().kafka.partitions == 5


def test_what_was_set_can_be_told_from_a_default() -> None:
    assert "broker" not in load().kafka.model_fields_set
    assert "broker" in load({"kafka.broker": "a:1"}).kafka.model_fields_set


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("STREAM_ENGINE_KAFKA__PARTITIONS", "many", "kafka.partitions"),
        ("STREAM_ENGINE_KAFKA__PARTITIONS", "0", "STREAM_ENGINE_KAFKA__PARTITIONS"),
        ("STREAM_ENGINE_KAFKA__BROKR", "a:1", "kafka.brokr"),
        ("STREAM_ENGINE_USERS__WEIGHTS", "{", "users"),
    ],
)
def test_a_wrong_setting_is_named(variable: str, value: str, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadConfiguration, match=named):
        load()


@pytest.mark.parametrize("text", ["kafka = [", "kafka = 1\n", "other.thing = 1\n"])
def test_a_wrong_file_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(BadConfiguration):
        load(file=file)


def test_a_named_file_must_exist() -> None:
    with pytest.raises(BadConfiguration, match=r"no\.toml does not exist"):
        load(file=Path("no.toml"))


@given(partitions=st.integers(1, 1024), password=st.text(st.characters(codec="ascii", exclude_characters="\0")))
def test_a_child_loads_the_same_settings(partitions: int, password: str) -> None:
    settings = Settings(
        kafka=KafkaSettings(partitions=partitions, sasl_password=SecretStr(password), ssl_ca=Path("a/b")),
        users=UserSettings(weights={"click": 2.0}),
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(settings).items():
            patch.setenv(name, value)
        assert load() == settings


def test_names_of_the_environment() -> None:
    assert env_name("kafka.broker") == "STREAM_ENGINE_KAFKA__BROKER"


def test_a_key_crosses_no_network_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_ENGINE_INDEX__API_KEY", "hunter2")
    for private in ("https://qdrant:6333", "http://localhost", "http://127.0.0.1:6333", "http://[::1]", "edge"):
        assert load({"index.location": private}).index.location == private
    for open_to_all in ("http://qdrant:6333", "http://10.0.0.1", "http://127.0.0.1.example.com", "http://"):
        with pytest.raises(BadConfiguration, match=r"index\.(api_key|location)"):
            load({"index.location": open_to_all})
    monkeypatch.delenv("STREAM_ENGINE_INDEX__API_KEY")
    assert load({"index.location": "http://qdrant:6333"}).index.location == "http://qdrant:6333"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("index.location", "http://me:hunter2@qdrant:6333"),
        ("index.api_key", "hunter2\n"),
        ("index.api_key", "hunter2\u00fc"),
    ],
)
def test_what_is_wrong_with_a_secret_is_said_without_it(name: str, value: str) -> None:
    with pytest.raises(BadConfiguration, match=re.escape(name)) as refusal:
        load({name: value})
    assert "hunter2" not in f"{refusal.value} {refusal.value.__cause__}"

"""The command line: exit codes, and one clear line for what goes wrong."""

import tomllib
from pathlib import Path

import pytest

from stream_engine.cli.main import main
from stream_engine.settings import Settings, load

COMMANDS = (
    "up",
    "worker",
    "produce",
    "subscribe",
    "users",
    "items",
    "ranker",
    "topics",
    "dead-letters",
    "model",
    "settings",
)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert [command for command in COMMANDS if command not in shown] == []


@pytest.mark.parametrize("command", [*COMMANDS, "doctor", "schemas", "users show", "dead-letters replay"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["up", "--no-such-flag"],
        ["produce", "nonsense"],
        ["produce", "clicks", "no-such-file"],
        ["produce", "clicks", "-", "--header", "x"],
        ["dead-letters", "replay"],
        ["up", "--workers", "0"],
        ["--config", "no-such-file", "settings"],
        ["worker", "--index", "nonsense"],
        ["topics", "check", "--broker", "localhost"],
    ],
)
def test_wrong_use_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["topics", "check"], ["subscribe"], ["users", "show", "u"], ["dead-letters", "list"], ["produce", "clicks", "f"]],
)
def test_no_broker_is_1_and_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("f").write_bytes(b"{}\n")
    assert main([*arguments, "--broker", "127.0.0.1:1"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: kafka.broker: nothing answers (127.0.0.1:1")
    assert said.count("\n") == 1


def test_a_wrong_setting_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STREAM_ENGINE_KAFKA__PARTITIONS", "many")
    assert main(["settings"]) == 2
    said = capsys.readouterr().err
    assert "kafka.partitions" in said
    assert "STREAM_ENGINE_KAFKA__PARTITIONS" in said


def test_settings_are_printed_as_the_file_that_would_set_them(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["settings"]) == 0
    printed = capsys.readouterr().out
    assert set(tomllib.loads(printed)) == set(Settings.model_fields)
    (tmp_path / "printed.toml").write_text(printed)
    assert load(file=tmp_path / "printed.toml") == Settings()


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("STREAM_ENGINE_KAFKA__SASL_PASSWORD", "hunter2")
    for arguments in (["settings"], ["settings", "--json"]):
        assert main(arguments) == 0
        shown = capsys.readouterr().out
        assert "hunter2" not in shown
        assert "**" in shown


def test_the_broker_of_a_running_up_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    Path("d").mkdir()
    Path("d/bootstrap").write_text("127.0.0.1:2")
    assert main(["topics", "check", "--data-dir", "d"]) == 1
    assert "127.0.0.1:2" in capsys.readouterr().err
    assert main(["topics", "check", "--data-dir", "d", "--broker", "127.0.0.1:1"]) == 1
    assert "127.0.0.1:1:" in capsys.readouterr().err


def test_doctor_says_what_is_amiss_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--broker", "127.0.0.1:1", "--index", "http://127.0.0.1:1"]) == 1
    shown = capsys.readouterr().out
    assert "!!  broker" in shown
    assert "start Qdrant there" in shown
    assert "stream-engine model fetch" in shown


def test_schemas_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schemas", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "asyncapi.json").exists()
    assert "asyncapi.json" in capsys.readouterr().out

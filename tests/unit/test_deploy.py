"""What is in deploy/, read and held against the code. There is no Docker here to run it."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stream_engine.cli.main import main
from stream_engine.local.jars import KAFKA_VERSION
from stream_engine.settings import ENV_PREFIX, Settings, env_name, load

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
KNOWN = {
    env_name(f"{group}.{field}")
    for group, settings in Settings.model_fields.items()
    for field in settings.annotation.model_fields
}
PINNED = re.compile(r"^[\w./-]+:v?\d+\.\d+\.\d+[\w.-]*$")


def instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", " ", DOCKERFILE)
    return [
        (word, rest)
        for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line and not line.startswith("#"))
    ]


def docker_environment() -> dict[str, str]:
    pairs = [pair for word, rest in instructions() if word == "ENV" for pair in shlex.split(rest)]
    return dict(pair.split("=", 1) for pair in pairs)


def ours() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in SERVICES.items() if "build" in service}


def test_base_images_are_pinned_and_the_same() -> None:
    bases = {rest.split(" AS ")[0] for word, rest in instructions() if word == "FROM"}
    assert len(bases) == 1
    assert all(PINNED.match(base) for base in bases)


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    assert PINNED.match(SERVICES[name]["image"])


def test_the_broker_is_the_one_we_test_with() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_the_image_runs_as_nobody_in_particular() -> None:
    stage = instructions()[max(n for n, (word, _) in enumerate(instructions()) if word == "FROM") :]
    users = [rest for word, rest in stage if word == "USER"]
    assert users
    assert users[-1] not in ("root", "0")
    assert all(word not in ("RUN", "COPY") for word, _ in stage[[w for w, _ in stage].index("USER") :])


def test_the_image_has_several_stages_a_health_check_and_no_torch() -> None:
    words = [word for word, _ in instructions()]
    assert words.count("FROM") == 2
    assert "HEALTHCHECK" in words
    assert "torch" not in "".join(line for line in DOCKERFILE.splitlines() if not line.startswith("#"))
    assert "torch" not in (ROOT / "deploy/constraints.txt").read_text()


def test_what_is_copied_exists() -> None:
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            assert all((ROOT / source).exists() for source in rest.split()[:-1])


def test_settings_in_the_image_exist_and_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = {name: value for name, value in docker_environment().items() if name.startswith(ENV_PREFIX)}
    assert set(values) <= KNOWN
    monkeypatch.chdir(tmp_path)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    port = load().stream.metrics_port
    assert f":{port}/" in next(rest for word, rest in instructions() if word == "HEALTHCHECK")
    assert ("EXPOSE", str(port)) in instructions()


@pytest.mark.parametrize("name", ours())
def test_settings_of_our_services_exist_and_load(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment = SERVICES[name]["environment"]
    assert set(environment) <= KNOWN
    monkeypatch.chdir(tmp_path)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    settings = load()
    host, port = settings.kafka.broker.split(":")
    assert f"://{host}:{port}" in SERVICES[host]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert settings.index.location.split("/")[2].split(":")[0] in SERVICES


@pytest.mark.parametrize("name", ours())
def test_commands_exist(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ("ENTRYPOINT", '["stream-engine"]') in instructions()
    assert main([*SERVICES[name]["command"], "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - {"topics"}))
def test_what_runs_on_has_a_health_check_and_is_restarted(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "always"


def test_two_workers_with_names_and_volumes_of_their_own() -> None:
    workers = [service for name, service in SERVICES.items() if name.startswith("worker")]
    assert len(workers) == 2
    assert len({worker["environment"]["STREAM_ENGINE_STREAM__WORKER"] for worker in workers}) == 2
    assert len({worker["volumes"][0] for worker in workers}) == 2


def test_what_is_waited_for_can_be_waited_for() -> None:
    for service in SERVICES.values():
        for awaited, how in service.get("depends_on", {}).items():
            healthy = how["condition"] == "service_healthy"
            assert ("test" in SERVICES[awaited]["healthcheck"]) == healthy
    volumes = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert volumes == set(COMPOSE["volumes"])
    assert all(port.startswith("127.0.0.1:") for service in SERVICES.values() for port in service.get("ports", ()))


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_writes_nowhere_else_and_can_become_nobody_else(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "pid", "ipc", "network_mode"} & service.keys()
    assert "/tmp" in service["tmpfs"]


def test_what_a_service_writes_is_on_a_volume() -> None:
    image, qdrant, kafka = docker_environment(), SERVICES["qdrant"], SERVICES["kafka"]
    kept = [image["STREAM_ENGINE_STREAM__DATA_DIR"], image["NUMBA_CACHE_DIR"]]
    assert all(path.startswith("/data") for path in kept)
    assert ("VOLUME", "/data") in instructions()
    assert all(service["volumes"][0].endswith(":/data") for name, service in SERVICES.items() if "worker" in name)
    assert all(path.startswith(qdrant["volumes"][0].split(":")[1]) for path in qdrant["environment"].values())
    assert kafka["environment"]["KAFKA_LOG_DIRS"] == kafka["volumes"][0].split(":")[1]


def test_pins_satisfy_what_the_package_asks_for_and_name_no_host() -> None:
    lines = (ROOT / "deploy/constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert all(re.match(r"^[\w.+]+$", version) for version in pins.values())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for wanted in map(Requirement, [*project["dependencies"], *extras["dev"], *extras["demo"]]):
        assert pins[canonicalize_name(wanted.name)] in wanted.specifier


def test_hooks_call_what_make_lint_calls() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    makefile = (ROOT / "Makefile").read_text()
    for tool in {hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in hooks}:
        assert f"$(BIN)/{tool}" in makefile


def test_ci_runs_the_tests() -> None:
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text()


def test_what_the_readme_calls_exists() -> None:
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    called = set(re.findall(r"`make ([a-z-]+)", readme)) | set(re.findall(r"^make ([a-z-]+)", readme, re.MULTILINE))
    assert called
    assert called <= targets


def test_the_broker_of_the_readmes_example_is_where_its_up_starts_it() -> None:
    readme = (ROOT / "README.md").read_text()
    (started,) = re.findall(r"stream-engine up .*--port (\d+)", readme)
    assert set(re.findall(r'bootstrap_servers="127\.0\.0\.1:(\d+)"', readme)) == {started}


def test_the_tests_that_security_names_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 10
    assert [name for file, name in named if f"def {name}(" not in (ROOT / file).read_text()] == []

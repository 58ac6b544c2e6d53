"""What no module may do: reach for clock, chance and environment below the loop, or make code of data anywhere."""

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "stream_engine"
PURE = ("codec", "engine.py", "events.py", "items", "ranking", "users", "vectors.py", "streaming/positions.py")
PURE += ("streaming/lease.py", "streaming/watchdog.py", "streaming/stages", "streaming/topics.py")
PURE += ("streaming/owners.py", "streaming/gaps.py", "streaming/changelogs.py")
IMPURE = re.compile(r"time\.time\(|monotonic\(|datetime\.now|uuid4\(|\brandom\.(random|choice|sample|seed)\(")
CODE_OF_DATA = re.compile(
    r"\b(import|from) (pickle|cPickle|cloudpickle|dill|joblib|marshal|shelve)\b"
    r"|\b(pickle|marshal)\.|(?<!\.)\b(eval|exec)\(|allow_pickle=True|yaml\.(unsafe_)?load\b|shell=True"
)
ENVIRONMENT = re.compile(r"os\.environ|os\.getenv|getenv\(")


def sources(*names: str) -> list[Path]:
    found = [PACKAGE / name for name in names]
    return sorted(file for each in found for file in ([each] if each.is_file() else each.rglob("*.py")))


@pytest.mark.parametrize("file", sources(*PURE), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_clock_and_no_chance(file: Path) -> None:
    assert not IMPURE.search(file.read_text())


@pytest.mark.parametrize("file", sources("."), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_only_settings_read_the_environment(file: Path) -> None:
    assert file.name == "settings.py" or not ENVIRONMENT.search(file.read_text())


@pytest.mark.parametrize("file", sources("."), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_data_never_becomes_code(file: Path) -> None:
    assert not CODE_OF_DATA.search(file.read_text())


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from marshal import loads",
        "pickle.loads(data)",
        "x = eval(text)",
        "exec(text)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text)",
        "run(command, shell=True)",
    ],
)
def test_that_would_be_found(line: str) -> None:
    assert CODE_OF_DATA.search(line)

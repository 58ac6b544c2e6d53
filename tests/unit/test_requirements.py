"""What the bench installs apart, without our own requirements, is held against them."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PEERS = (ROOT / "tests/benchmarks/peers/requirements.txt").read_text()
LEFT_TO_THE_PEERS = {"pydantic-settings"}  # they ask for an older one


def by_name(lines: list[str]) -> dict[str, Requirement]:
    return {canonicalize_name(each.name): each for each in map(Requirement, lines)}


def test_what_the_bench_shares_with_us_it_asks_for_in_the_same_versions() -> None:
    ours = by_name(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    theirs = by_name([line for line in PEERS.splitlines() if not line.startswith("#")])
    shared = {name: str(each.specifier) for name, each in theirs.items() if name in ours}
    assert len(shared) > 10
    assert shared == {name: "" if name in LEFT_TO_THE_PEERS else str(ours[name].specifier) for name in shared}

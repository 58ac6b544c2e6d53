"""The one declared list of topics, and what an existing one must agree with. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from stream_engine.settings import Settings

DAY_MS = 86_400_000
LARGE = {"max.message.bytes": "2200000"}  # the largest record a default broker takes, and why it was refused

SOON = {"segment.bytes": str(32 << 20), "segment.ms": "600000", "min.cleanable.dirty.ratio": "0.2"}
"""Compaction spares the segment being written, a week by default: all of it would be read at every start."""

PROMPT = {"segment.ms": str(DAY_MS)}
"""Retention removes whole segments, of a week by default: kept for a day would be kept for eight."""

FORGETS = {"max.compaction.lag.ms": str(DAY_MS)}
"""What a later record of a user replaces, a tombstone above all, is gone from the broker's disk in about a day."""

TOMBSTONES = {"delete.retention.ms": str(DAY_MS)}
"""How long they stay; what is saved on a worker's disk counts for half as long (saving.py)."""

SETTLES = {"min.compaction.lag.ms": "600000"}
"""A late write of a former owner is written over within seconds, by whoever owns the partition then (mending.py). Until
then compaction must not take it for the latest: ten minutes are ample, and no more than the segment being written."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as we need it."""

    name: str
    partitions: int
    cleanup: str
    setting: str
    config: Mapping[str, str] = field(default_factory=dict)

    @property
    def compacted(self) -> bool:
        """Whether the broker keeps the last record of each key."""
        return "compact" in self.cleanup

    @property
    def internal(self) -> bool:
        """Whether nobody but the engine reads or writes it."""
        return self.setting == "kafka.group"

    @property
    def configs(self) -> dict[str, str]:
        """What the broker is told at creation."""
        return {"cleanup.policy": self.cleanup, **self.config}


@dataclass(frozen=True, slots=True)
class Existing:
    """A topic as the broker has it."""

    partitions: int
    cleanup: str | None  # None where the broker does not let us see how it is kept
    config: Mapping[str, str] = field(default_factory=dict)  # what holds, of all that is asked for
    chosen: frozenset[str] = frozenset()  # what somebody set on this very topic


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a topic will not do, and what to do about it."""

    setting: str
    reason: str


def interactions_topic(group: str) -> str:
    """Who clicked an item after what; keyed by item."""
    return f"{group}-interactions"


def joins_topic(group: str) -> str:
    """Histories on their way to the accounts they are joined to; keyed by account."""
    return f"{group}-joins"


def item_state_topic(group: str) -> str:
    """Vectors, statistics and attributes of all items; keyed by item."""
    return f"{group}-item-state"


def ranker_topic(group: str) -> str:
    """Learnt weights; keyed by worker."""
    return f"{group}-ranker"


def changelog_topic(group: str, table: str) -> str:
    """The changelog of a Faust table, as Faust names it."""
    return f"{group}-{table}-changelog"


USERS_TABLE = "users-state"
ITEMS_TABLE = "items-statistics"


def declared(settings: Settings) -> tuple[Topic, ...]:
    """Every topic the engine reads or writes; all have as many partitions as `clicks`, for their keys go together."""
    names, group, partitions = settings.topics, settings.kafka.group, settings.kafka.partitions
    changelog = SOON | SETTLES | TOMBSTONES

    def topic(
        setting: str, name: str, cleanup: str, *, days: int = 0, config: Mapping[str, str] | None = None
    ) -> Topic:
        kept = {"retention.ms": str(days * DAY_MS), **PROMPT} if days else {}
        return Topic(name, partitions, cleanup, setting, {**kept, **(config or {})})

    return (
        topic("topics.clicks", names.clicks, "delete", days=7),
        topic("topics.items", names.items, "compact"),
        topic("topics.users", names.users, "compact", config=FORGETS),
        topic("topics.recommendations", names.recommendations, "compact,delete", days=7, config=FORGETS),
        topic("topics.dead_letters", names.dead_letters, "delete", days=28, config=LARGE),
        topic("kafka.group", interactions_topic(group), "delete", days=1),
        topic("kafka.group", joins_topic(group), "delete", days=1),
        topic("kafka.group", item_state_topic(group), "compact", config=SOON),
        topic("kafka.group", ranker_topic(group), "compact,delete", days=30, config=SOON),  # workers' names come and go
        topic("kafka.group", changelog_topic(group, USERS_TABLE), "compact", config=changelog | FORGETS),
        topic("kafka.group", changelog_topic(group, ITEMS_TABLE), "compact", config=changelog),
    )


def missing(wanted: Iterable[Topic], existing: Mapping[str, Existing]) -> tuple[Topic, ...]:
    """Those that are not there."""
    return tuple(topic for topic in wanted if topic.name not in existing)


def problems(wanted: Iterable[Topic], existing: Mapping[str, Existing]) -> tuple[Problem, ...]:
    """Where an existing topic would make us lose or misplace records."""
    return tuple(
        problem
        for topic in wanted
        if (found := existing.get(topic.name)) is not None
        for problem in _disagreements(topic, found)
    )


def to_add(wanted: Iterable[Topic], existing: Mapping[str, Existing]) -> dict[str, dict[str, str]]:
    """By internal topic, what should hold of it and nobody decided otherwise: the topic is of an earlier version."""
    found = ((topic, existing[topic.name]) for topic in wanted if topic.internal and topic.name in existing)
    differing = {topic.name: _differing(topic, each, besides=each.chosen) for topic, each in found}
    return {name: config for name, config in differing.items() if config}


def notes(wanted: Collection[Topic], existing: Mapping[str, Existing]) -> tuple[Problem, ...]:
    """What is kept otherwise than we would: it will do, but take more time or room; and what could not be checked."""
    found = ((topic, existing[topic.name]) for topic in wanted if topic.name in existing)
    differing = (_note(topic, each, differing) for topic, each in found if (differing := _differing(topic, each)))
    return (*unseen(wanted, existing), *differing)


def unseen(wanted: Iterable[Topic], existing: Mapping[str, Existing]) -> tuple[Problem, ...]:
    """What could not be checked: who may read and write a topic need not be let see how it is kept."""
    return tuple(
        Problem(
            topic.setting,
            f"how topic {topic.name!r} is kept is not for this user to see, and was not checked: "
            f"allow it DescribeConfigs there, or see to cleanup.policy={topic.cleanup} yourself",
        )
        for topic in wanted
        if topic.name in existing and existing[topic.name].cleanup is None
    )


def _differing(topic: Topic, found: Existing, besides: Collection[str] = ()) -> dict[str, str]:
    return {
        key: value
        for key, value in topic.config.items()
        if key not in besides and found.config.get(key, value) != value
    }


def _note(topic: Topic, found: Existing, differing: Mapping[str, str]) -> Problem:
    has = ", ".join(f"{key}={found.config[key]}" for key in differing)
    ours = ",".join(f"{key}={value}" for key, value in differing.items())
    command = f"kafka-configs.sh --alter --topic {topic.name} --add-config {ours}"
    return Problem(topic.setting, f"topic {topic.name!r} has {has}; as we make it: {command}")


def _disagreements(topic: Topic, found: Existing) -> Iterable[Problem]:
    if found.partitions != topic.partitions:
        yield Problem(
            "kafka.partitions",
            f"topic {topic.name!r} has {found.partitions} partitions, the setting says {topic.partitions}; "
            f"set it to {found.partitions} if all topics have as many, or name another topic in {topic.setting}",
        )
    if found.cleanup is not None and ("compact" in found.cleanup) != topic.compacted:
        yield Problem(
            topic.setting,
            f"topic {topic.name!r} has cleanup.policy={found.cleanup}, needs {topic.cleanup}; "
            f"alter it (kafka-configs.sh --alter --topic {topic.name} --add-config cleanup.policy=[{topic.cleanup}]) "
            f"or name another topic in {topic.setting}",
        )

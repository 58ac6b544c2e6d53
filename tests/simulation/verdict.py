"""What must hold: while a schedule runs, no commit without its effects; after it, every click once and in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from simulation.broker import CHANGELOG, LISTS, Record
from simulation.group import Group
from simulation.stage import Store
from stream_engine.codec import decode_recommendation
from stream_engine.streaming.changelogs import Marks
from stream_engine.users import decode_state


@dataclass(frozen=True, slots=True)
class Sent:
    """A click on the broker; without an item, an erasure."""

    user: str
    item: str
    partition: int
    offset: int


@dataclass(slots=True)
class Witness:
    """Sees all that is written and committed."""

    sent: list[Sent] = field(default_factory=list)
    written: set[str] = field(default_factory=set)
    listed: set[str] = field(default_factory=set)
    erased: dict[str, int] = field(default_factory=dict)  # by user: an erasure that was sent before a tombstone came
    wrong: list[str] = field(default_factory=list)

    def on_record(self, record: Record) -> None:
        """Note which clicks a state or a list reflects, and who is erased (what is handled again then shows none)."""
        if record.topic == CHANGELOG and record.value is None:
            user = (record.key or b"").decode()
            self.erased[user] = max(
                (each.offset for each in self.sent if each.user == user and not each.item), default=-1
            )
        elif record.topic == CHANGELOG and record.value is not None:
            self.written.update(decode_state(record.value).items)
        elif record.topic == LISTS and record.value is not None:
            self.listed.update(item.item_id for item in decode_recommendation(record.value).items)

    def on_commit(self, partition: int, offset: int) -> None:
        """Look whether everything before the offset was done."""
        done = [click for click in self.sent if click.partition == partition and click.offset < offset]
        erased = {click.user: click.offset for click in done if not click.item} | self.erased  # the last time
        for click in done:
            if click.offset > erased.get(click.user, -1):
                if click.item not in self.written:
                    self._complain(
                        f"{click.item} at {partition}/{click.offset} is stepped over by a commit of {offset}"
                    )
                if click.item not in self.listed:
                    self._complain(f"{click.item} at {partition}/{click.offset} is committed, and no list reflects it")

    def lost(self, logs: Sequence[Sequence[Record]], group: Group, marks: Marks) -> list[str]:
        """Recover all states from the changelogs, and compare them with what was sent and committed."""
        store = Store("verdict", disk=False, marks=marks)
        for log in logs:
            store.apply(log)
        found = []
        for user, sent in self._by_user().items():
            stored = store.read(user.encode(), 0)
            state = decode_state(stored) if stored else None
            held = list(state.items) if state else []
            done = sum(click.offset < group.committed.get(click.partition, 0) for click in sent)
            right = any(held == _left(sent[:count]) for count in range(done, len(sent) + 1))
            if not right or (state and state.interactions != len(held)):
                is_left = " ".join(_left(sent[:done])) or "nothing"
                found.append(f"{user} has {is_left}, and the state holds {' '.join(held) or 'nothing'}")
        return found

    def complain(self, complaints: Iterable[str]) -> None:
        """Something is not as it should be."""
        for what in complaints:
            self._complain(what)

    def _by_user(self) -> dict[str, list[Sent]]:
        found: dict[str, list[Sent]] = {}
        for click in self.sent:
            found.setdefault(click.user, []).append(click)
        return found

    def _complain(self, what: str) -> None:
        if what not in self.wrong:
            self.wrong.append(what)


def _left(sent: Sequence[Sent]) -> list[str]:
    """What a user clicked since they were erased."""
    last = max((at for at, click in enumerate(sent) if not click.item), default=-1)
    return [click.item for click in sent[last + 1 :]]

"""What must hold: while a schedule runs, no commit without its effects; after it, every click once and in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from simulation.broker import CHANGELOG, CLICKS, LISTS, Record
from simulation.group import Group
from simulation.stage import Store
from stream_engine.codec import decode_recommendation
from stream_engine.events import Source
from stream_engine.streaming.changelogs import Marks
from stream_engine.streaming.state_store import Saved
from stream_engine.users import UserState, decode_state, next_offset


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
    erased: dict[str, int] = field(default_factory=dict)  # by user: the last erasure that what was written reflects
    wrong: list[str] = field(default_factory=list)

    def on_record(self, record: Record) -> None:
        """Note which clicks and erasures a state, or which clicks a list reflects."""
        if record.topic == CHANGELOG:
            user = (record.key or b"").decode()
            state = decode_state(record.value) if record.value else None
            self.written.update(state.items if state else ())
            self._note_erased([each for each in self.sent if each.user == user], state)
        elif record.topic == LISTS and record.value is not None:
            self.listed.update(item.item_id for item in decode_recommendation(record.value).items)

    def _note_erased(self, sent: Sequence[Sent], state: UserState | None) -> None:
        """By a tombstone; or, before it comes, by a state that got past the erasure, which was handled ahead then.

        A click before the erasure, handled again after it, shows such a state: nothing else will ever show the click.
        """
        if state is not None:
            sent = [each for each in sent if each.offset < next_offset(state, Source(CLICKS, each.partition, 0))]
            if list(state.items) != _left(sent):
                return
        for each in sent:
            if not each.item:
                self.erased[each.user] = max(each.offset, self.erased.get(each.user, -1))

    def on_commit(self, partition: int, offset: int) -> None:
        """Look whether everything before the offset was done."""
        for sent in self.sent:
            if sent.partition != partition or not self.erased.get(sent.user, -1) < sent.offset < offset:
                continue
            what = f"{sent.item or f'the end of {sent.user}'} at {partition}/{sent.offset}"
            if sent.item not in self.written:
                self._complain(f"{what} is stepped over by a commit of {offset}")
            elif sent.item not in self.listed:
                self._complain(f"{what} is committed, and no list reflects it")

    def lost(self, logs: Sequence[Sequence[Record]], group: Group, marks: Marks) -> list[str]:
        """Recover all states from the changelogs, and compare them with what was sent and committed."""
        store, found = Store(marks), []
        for log in logs:
            store.apply(log)
        for user, sent in self._by_user().items():
            stored = store.read(user.encode(), sent[0].partition)
            state = decode_state(stored) if stored else None
            held = list(state.items) if state else []
            done = sum(click.offset < group.committed.get(click.partition, 0) for click in sent)
            right = any(held == _left(sent[:count]) for count in range(done, len(sent) + 1))
            if not right or (state and state.interactions != len(held)):
                is_left = " ".join(_left(sent[:done])) or "nothing"
                found.append(f"{user} has {is_left}, and the state holds {' '.join(held) or 'nothing'}")
        return found

    def differing(
        self, disks: Sequence[Mapping[int, Saved]], logs: Sequence[Sequence[Record]], marks: Marks
    ) -> list[str]:
        """Recover from what each worker saved and the rest of each changelog: it must be the same as without."""
        return [
            f"partition {partition}, recovered from the disk of worker {number}, is not what the changelog says"
            for number, disk in enumerate(disks)
            for partition, saved in disk.items()
            if saved.applied is not None
            and _recovered(marks, logs[partition], saved) != _recovered(marks, logs[partition])
        ]

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


def _recovered(marks: Marks, log: Sequence[Record], saved: Saved | None = None) -> dict[bytes, bytes | None]:
    store = Store(marks)
    if saved is not None and saved.applied is not None:
        store.restore(log[0].partition if log else 0, saved)
        log = [record for record in log if record.offset > (saved.applied or 0)]
    store.apply(log)
    return {key: store.read(*place) for place in store.places() for key in place[:1]}


def _left(sent: Sequence[Sent]) -> list[str]:
    """What a user clicked since they were erased."""
    last = max((at for at, click in enumerate(sent) if not click.item), default=-1)
    return [click.item for click in sent[last + 1 :]]

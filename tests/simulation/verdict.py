"""What must hold: while a schedule runs, no commit without its effects; after it, every click once and in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulation.broker import CHANGELOG, LISTS, Broker, Record
from simulation.group import Group
from simulation.stage import Store
from stream_engine.codec import decode_recommendation
from stream_engine.streaming.changelogs import Marks
from stream_engine.users import decode_state


@dataclass(frozen=True, slots=True)
class Sent:
    """A click on the broker."""

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
    wrong: list[str] = field(default_factory=list)

    def on_record(self, record: Record) -> None:
        """Note which clicks a state or a list reflects."""
        if record.topic == CHANGELOG and record.value is not None:
            self.written.update(decode_state(record.value).items)
        elif record.topic == LISTS and record.value is not None:
            self.listed.update(item.item_id for item in decode_recommendation(record.value).items)

    def on_commit(self, partition: int, offset: int) -> None:
        """Look whether everything before the offset was done."""
        for click in self.sent:
            if click.partition == partition and click.offset < offset:
                if click.item not in self.written:
                    self._complain(
                        f"{click.item} at {partition}/{click.offset} is stepped over by a commit of {offset}"
                    )
                if click.item not in self.listed:
                    self._complain(f"{click.item} at {partition}/{click.offset} is committed, and no list reflects it")

    def look(self, broker: Broker, group: Group, marks: Marks) -> None:
        """Recover all states from the changelog, and compare them with what was sent and committed."""
        store = Store("verdict", disk=False, marks=marks)
        for partition in range(broker.partitions):
            store.apply(broker.logs.get((CHANGELOG, partition), []))
        for user in dict.fromkeys(click.user for click in self.sent):
            committed = [
                click.item
                for click in self.sent
                if click.user == user and click.offset < group.committed.get(click.partition, 0)
            ]
            stored = store.read(user.encode(), 0)
            state = decode_state(stored) if stored else None
            held = list(state.items) if state else []
            if held[: len(committed)] != committed or (state and state.interactions != len(held)):
                self._complain(
                    f"{user} clicked {' '.join(committed)}, and the state holds {' '.join(held) or 'nothing'}"
                )

    def _complain(self, what: str) -> None:
        if what not in self.wrong:
            self.wrong.append(what)

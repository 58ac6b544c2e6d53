"""The clicks of the benchmarks: encoded beforehand, the same for the same seed."""

from __future__ import annotations

import random

KINDS = 100  # item n and user n are of kind n % KINDS
AT_HOME = 0.7  # of a user's clicks are on items of their kind


def clicks(count: int, users: int, items: int, seed: int) -> list[tuple[bytes, bytes]]:
    """Key and value of each; the event id is SEED-NUMBER. The first items of each kind are clicked more."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        user = int(users * chance.random())
        item = int(items * chance.random() ** 3)
        if chance.random() < AT_HOME:
            item = item - item % KINDS + user % KINDS
        made.append(
            (
                b"user-%d" % user,
                b'{"user_id":"user-%d","item_id":"item-%d","event_id":"%d-%d"}'
                % (user, min(item, items - 1), seed, number),
            )
        )
    return made

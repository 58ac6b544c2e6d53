"""A log small enough for a unit test, of users whose next clicks can be foretold."""

from __future__ import annotations

import numpy as np
import pytest

from stream_engine.evaluate import log_of
from stream_engine.events import Interaction, Item

GROUPS, EACH = 6, 30


def little_log(clicks=600, users=60, seed=1):
    """Users stay within one group of items and go along it in small steps, so none has an item twice."""
    rng = np.random.default_rng(seed)
    words = ["tea pot", "garden chair", "silk scarf", "paper lamp", "wool hat", "glass bowl"]
    items = [
        Item(item_id=f"{group}-{number}", title=f"{words[group]} {number}", categories=(words[group],))
        for group in range(GROUPS)
        for number in range(EACH)
    ]
    at = dict.fromkeys(range(users), -1)
    interactions = []
    for moment in range(clicks):
        user = moment % users if moment < users else int(rng.integers(users))
        at[user] += int(rng.integers(1, 3))
        if at[user] < EACH:
            item_id = f"{user % GROUPS}-{at[user]}"
            interactions.append(Interaction(user_id=f"u{user}", item_id=item_id, timestamp=1e9 + 60.0 * moment))
    return log_of(items, interactions)


@pytest.fixture(scope="session")
def make_log():
    return little_log

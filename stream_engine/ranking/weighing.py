"""Sources that weigh what they propose: a row may be proposed many times, and its weights add up."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_engine.compiled import compiled
from stream_engine.items.columns import Pairs
from stream_engine.ranking.pool import STRENGTHS, Pool

LATELY = 5  # items whose recent pairs, later pairs and text neighbours count
REACH = 48  # strongest neighbours of the other recent items
BRIDGED = 2  # items whose text neighbours speak
BRIDGE_WIDTH = 8  # text neighbours of each, ...
BRIDGE_REACH = 32  # and of those the strongest neighbours
CAUTION = 3.0  # clicks that are assumed to have led nowhere
WEIGHING = ("clicked_together", "follows", "bridge", "again")
_TOGETHER, _WITH_LAST, _LATELY, _AFTER, _FOLLOWS, _BRIDGE, _AGAIN = range(len(STRENGTHS))
_RAISED = np.float32(2.0**112)  # between the exponents of half and single precision
_NEARER = 0.9  # what the voice of a text neighbour loses to the next


class Heard(NamedTuple):
    """A user's items as rows, as sources hear them: those that speak, newest first, and those that were had."""

    recent: NDArray[np.int64]
    voices: NDArray[np.float32]
    had: NDArray[np.int64]
    counts: NDArray[np.float32]
    left: NDArray[np.int64]


def most_proposed(pairs: Pairs, heard: Heard) -> int:
    """Rows that are proposed at most."""
    neighbours, followers = pairs.neighbours.shape[1], pairs.followers.shape[1]
    bridged = BRIDGED * BRIDGE_WIDTH * BRIDGE_REACH
    spoken: int = LATELY * neighbours + len(heard.recent) * REACH + followers + bridged
    return spoken + len(heard.had) + len(heard.left)


@compiled
def propose(
    pairs: Pairs, heard: Heard, use: NDArray[np.bool_], rows: NDArray[np.int64], pool: Pool
) -> NDArray[np.int64]:
    """Fill the pool: what the sources in use weigh, in the order of WEIGHING, then rows without a weight.

    Returns the slots of those rows.
    """
    pool.used[0] = 0
    if use[0]:
        _clicked_together(pairs, heard, pool)
    if use[1]:
        _follows(pairs, heard, pool)
    if use[2]:
        _bridge(pairs, heard, pool)
    if use[3]:
        _again(heard, pool)
    slots = np.empty(len(rows), np.int64)
    for at in range(len(rows)):
        slots[at] = _slot(rows[at], pool)
    for at in range(pool.used[0]):  # for the next question
        pool.place[pool.rows[at]] = -1
    return slots


@compiled
def _slot(row: int, pool: Pool) -> int:
    """Where the row stands, at the end if it is new; -1 for the row -1, which stands for nothing."""
    if row < 0:
        return -1
    slot = int(pool.place[row])
    if slot < 0:
        slot = int(pool.used[0])
        pool.used[0] += 1
        pool.place[row] = slot
        pool.rows[slot] = row
        for kind in range(pool.strengths.shape[1]):  # a whole row at once takes numba a quarter of a microsecond
            pool.strengths[slot, kind] = 0.0
    return slot


@compiled
def _clicked_together(pairs: Pairs, heard: Heard, pool: Pool) -> None:
    """Co-click neighbours of the recent items, over the roots of both items' pairs or over the clicks."""
    together, lately, after = np.empty((3, pairs.neighbours.shape[1]), np.float32)
    for voice in range(len(heard.recent)):
        row, loudness = heard.recent[voice], heard.voices[voice]
        loud = voice < LATELY
        reach = len(together) if loud else min(REACH, len(together))
        singles(pairs.together[row, :reach], together)
        if loud:
            singles(pairs.lately[row, :reach], lately)
            singles(pairs.after[row, :reach], after)
        own, led = pairs.rarity[row] * loudness, loudness / (pairs.clicks[row] + np.float32(CAUTION))
        for at in range(reach):
            other = pairs.neighbours[row, at]
            slot = _slot(other, pool)
            if slot < 0:
                continue
            near = own * pairs.rarity[other]
            pool.strengths[slot, _TOGETHER] += near * together[at]
            if loud:
                pool.strengths[slot, _LATELY] += near * lately[at]
                pool.strengths[slot, _AFTER] += led * after[at]
            if voice == 0:
                pool.strengths[slot, _WITH_LAST] += near * together[at]


@compiled
def _follows(pairs: Pairs, heard: Heard, pool: Pool) -> None:
    """What was clicked right after the last item: how often of all times, cautiously."""
    follows = np.empty(pairs.followers.shape[1], np.float32)
    for row in heard.recent[:1]:
        singles(pairs.follows[row], follows)
        times = pairs.followed[row] + np.float32(CAUTION)
        for at in range(len(follows)):
            slot = _slot(pairs.followers[row, at], pool)
            if slot >= 0:
                pool.strengths[slot, _FOLLOWS] += follows[at] / times


@compiled
def _bridge(pairs: Pairs, heard: Heard, pool: Pool) -> None:
    """Co-click neighbours of items whose text is like the last ones': the way to and from new items."""
    reach = min(BRIDGE_REACH, pairs.neighbours.shape[1])
    together = np.empty(reach, np.float32)
    for voice in range(min(BRIDGED, len(heard.recent))):
        for width in range(BRIDGE_WIDTH):
            pillar = pairs.similar[heard.recent[voice], width]
            if pillar < 0:
                continue
            own = pairs.rarity[pillar] * heard.voices[voice] * np.float32(_NEARER**width)
            singles(pairs.together[pillar, :reach], together)
            for at in range(reach):
                other = pairs.neighbours[pillar, at]
                slot = _slot(other, pool)
                if slot >= 0:
                    pool.strengths[slot, _BRIDGE] += together[at] * pairs.rarity[other] * own


@compiled
def _again(heard: Heard, pool: Pool) -> None:
    """What this user had before, as often as they are known to have had it, of equals the latest."""
    had, left = len(heard.had), len(heard.left)
    for at in range(had + left):
        row = heard.had[at] if at < had else heard.left[had + left - 1 - at]
        times = heard.counts[at] if at < had else np.float32(1.0)
        slot = _slot(row, pool)
        if slot >= 0:
            pool.strengths[slot, _AGAIN] += times + np.float32(0.1 * (1.0 - at / max(had + left - 1, 1)))


@compiled
def singles(halves: NDArray[np.uint16], singles: NDArray[np.float32]) -> None:
    """Half precision, none below zero, as single: the bits moved to where they belong, the exponent raised."""
    bits = singles.view(np.int32)
    for at in range(len(halves)):
        bits[at] = np.int32(halves[at] & 0x7FFF) << 13
    for at in range(len(halves)):
        singles[at] *= _RAISED

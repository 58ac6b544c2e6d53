"""From the candidates of many to their lists in one compiled call: features, scores, choice, reasons."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_engine.compiled import compiled
from stream_engine.items.columns import Traits
from stream_engine.items.view import Rows
from stream_engine.ranking.features import Stock, facts_of, features_of
from stream_engine.ranking.net import Net, scores_of, shares_of
from stream_engine.ranking.pool import STRENGTHS
from stream_engine.ranking.proposed import Asked, Parts, Strengths
from stream_engine.ranking.reasons import MOST, Why, why_of
from stream_engine.ranking.selectors import POOL, diverse, explored, highest
from stream_engine.ranking.taste import Moment, moment_at

_HAD = STRENGTHS.index("again")
_LINE = 64  # bytes of memory that come together


class Chosen(NamedTuple):
    """Lists one after the other: items, the bits of the parts that propose each, scores, why, and where lists end."""

    rows: Rows
    parts: Parts
    scores: NDArray[np.float64]  # to six digits
    why: Why
    ends: NDArray[np.int64]  # (questions + 1,)


class Choice(NamedTuple):
    """What makes the list, best first: positions among the candidates, their scores, and why."""

    positions: NDArray[np.int64]
    scores: NDArray[np.float32]
    why: Why


class Proposed(NamedTuple):
    """Candidates: rows, the bits of the parts that have each among their best, and how strong they find it."""

    rows: Rows
    parts: Parts
    strengths: Strengths


class Wanted(NamedTuple):
    """What lists are to be: `explore` keeps a place (from 1; 0: none) for what nobody clicked."""

    diversity: float
    explore: int


@compiled
def choices_of(stock: Stock, net: Net, asked: Asked, wanted: Wanted) -> Chosen:
    """The best and most varied of each question's candidates."""
    sizes = asked.moments.numbers[:, 1]
    ends, most = np.zeros(len(sizes) + 1, np.int64), sizes.sum()
    rows, parts, scores = np.empty(most, np.int64), np.empty(most, np.int32), np.empty(most, np.float64)
    kinds, witnesses = np.empty(MOST * most, np.int64), np.empty(MOST * most, np.int64)
    shares, bounds, used = np.empty(MOST * most, np.float64), np.zeros(most + 1, np.int64), 0
    for at in range(len(sizes)):
        begin, end = asked.ends[at : at + 2]
        proposed = Proposed(asked.rows[begin:end], asked.parts[begin:end], asked.strengths[begin:end])
        choice = choice_of(stock, moment_at(asked.moments, at), net, proposed, sizes[at], wanted)
        first, last = ends[at], ends[at] + len(choice.positions)
        rows[first:last], parts[first:last] = proposed.rows[choice.positions], proposed.parts[choice.positions]
        scores[first:last] = choice.scores
        told = used + len(choice.why.kinds)
        kinds[used:told], witnesses[used:told] = choice.why.kinds, choice.why.witnesses
        shares[used:told] = choice.why.parts
        bounds[first + 1 : last + 1] = used + choice.why.bounds[1:]
        ends[at + 1], used = last, told
    count = ends[-1]
    why = Why(kinds[:used], witnesses[:used], np.rint(shares[:used] * 1e3) / 1e3, bounds[: count + 1])
    return Chosen(rows[:count], parts[:count], np.rint(scores[:count] * 1e6) / 1e6, why, ends)


@compiled
def choice_of(stock: Stock, moment: Moment, net: Net, proposed: Proposed, size: int, wanted: Wanted) -> Choice:
    """The best and most varied of the candidates."""
    rows, parts, strengths = proposed
    _fetch(stock.traits, rows)
    diversity, explore = wanted
    table, facts = features_of(stock, moment, rows, strengths), facts_of(stock, moment)
    scores = scores_of(net, table, facts)
    count = min(size, len(scores))
    varied = diversity > 0 and count > 1
    pool = highest(scores, POOL * size if varied else size)
    chosen = pool[:count]
    if varied:
        chosen = pool[diverse(scores[pool], _vectors(stock.traits, rows[pool]), count, diversity)]
    chosen = explored(chosen, scores, stock.traits.clicks[rows] == 0, explore)
    shares = shares_of(net, table[chosen], facts)
    had = strengths[:, _HAD][chosen] > 0
    why = why_of(stock, moment.heard.recent, rows[chosen], parts[chosen], had, shares)
    return Choice(chosen, scores[chosen], why)


@compiled
def _fetch(traits: Traits, rows: Rows) -> NDArray[np.float64]:
    """Read a number of each cache line that will be needed: one after the other each would be waited for, not so here.

    What it returns is of no use, but keeps the compiler from leaving it out.
    """
    read = np.zeros(len(rows), np.float64)
    for at in range(len(rows)):
        row = rows[at]
        read[at] += traits.steps[row] + traits.norms[row] + traits.has_vector[row]
        read[at] += traits.clicks[row] + traits.popularity[row, 0] + traits.first_click[row] + traits.last_click[row]
        for component in range(0, traits.codes.shape[1], _LINE):
            read[at] += traits.codes[row, component]
    return read


@compiled
def _vectors(traits: Traits, rows: Rows) -> NDArray[np.float32]:
    """Unit vectors, zeros where there is none."""
    vectors = np.empty((len(rows), traits.codes.shape[1]), np.float32)
    for at in range(len(rows)):
        codes, step, vector = traits.codes[rows[at]], traits.steps[rows[at]], vectors[at]  # one line each: a fast loop
        for component in range(len(vector)):
            vector[component] = np.float32(codes[component]) * step
    return vectors

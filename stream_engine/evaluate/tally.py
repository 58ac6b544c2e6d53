"""What a run saw, question by question, and the figures that follow from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stream_engine.evaluate.metrics import Place, hit_rate, ndcg, summary
from stream_engine.evaluate.plan import STEPS

Figures = dict[str, Any]
CUT = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: a click foretold or not, by the engine and by every baseline."""

    offset: int
    place: Place
    with_slot: Place  # with a place kept for a never-clicked item
    without_slot: Place
    baselines: Mapping[str, Place]
    sources: Mapping[str, bool]  # which sources proposed the item
    listed: tuple[str, ...]  # the first CUT items
    surprise: float  # mean of -log2(share of clicks) of those
    new_user: bool
    cold_item: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """All questions, and which of them count for what."""

    sample: list[Asked] = field(default_factory=list)
    cold: list[Asked] = field(default_factory=list)
    every: list[Asked] = field(default_factory=list)  # the learning curve is drawn from these


def figures(tally: Tally, *, catalogue: int) -> Figures:
    """Everything that a repeated run with the same seed reproduces."""
    places = [each.place for each in tally.sample]
    all_of_them = slice_of(tally.sample)
    return (
        {
            "tested": len(tally.sample),
            **{name: all_of_them[name] for name in ("hr@10", "ndcg@10", "mrr@10", "hr@20", "ndcg@20")},
            "coverage": round(len({item for each in tally.sample for item in each.listed}) / max(catalogue, 1), 6),
            "slices": {
                "all": {**all_of_them, "novelty": _mean(each.surprise for each in tally.sample)},
                "cold_items": slice_of(tally.cold),
                "warm_items": slice_of([each for each in tally.sample if not each.cold_item]),
                "new_users": slice_of([each for each in tally.sample if each.new_user]),
                "all_with_slot": _slice([each.with_slot for each in tally.sample]),
                "all_without_slot": _slice([each.without_slot for each in tally.sample]),
                "cold_items_with_slot": _slice([each.with_slot for each in tally.cold]),
                "cold_items_without_slot": _slice([each.without_slot for each in tally.cold]),
            },
            "sources": recall(tally.sample),
            "baselines": {
                name: {
                    "hr@10": round(hit_rate(of, CUT), 6),
                    "ndcg@10": round(ndcg(of, CUT), 6),
                }
                for name, of in by_baseline(tally.sample).items()
            },
        }
        if places
        else _nothing()
    )


def slice_of(asked: Sequence[Asked]) -> Figures:
    """How many questions, and the figures over them."""
    return _slice([each.place for each in asked])


def _slice(places: Sequence[Place]) -> Figures:
    return {"n": len(places), **summary(places)}


def recall(asked: Sequence[Asked]) -> dict[str, float]:
    """Share of questions whose item each source proposed, and any (`all`), most first."""
    names = sorted({name for each in asked for name in each.sources})
    shares = {name: _mean(float(each.sources.get(name, False)) for each in asked) for name in names}
    shares["all"] = _mean(float(any(each.sources.values())) for each in asked)
    return dict(sorted(shares.items(), key=lambda pair: (-pair[1], pair[0])))


def by_baseline(asked: Sequence[Asked]) -> dict[str, list[Place]]:
    """The places each baseline gave."""
    names = list(asked[0].baselines) if asked else []
    return {name: [each.baselines[name] for each in asked] for name in names}


def curves(tally: Tally, *, length: int) -> dict[str, list[tuple[float, float]]]:
    """HR@10 by stretch of the log for the engine and the baselines: (share of the log read, hit rate)."""
    steps: dict[int, list[Asked]] = {}
    for each in tally.every:
        steps.setdefault(min(each.offset * STEPS // max(length, 1), STEPS - 1), []).append(each)
    drawn: dict[str, list[tuple[float, float]]] = {}
    for step, asked in sorted(steps.items()):
        middle = (step + 0.5) / STEPS
        for name, places in {"engine": [each.place for each in asked], **by_baseline(asked)}.items():
            drawn.setdefault(name, []).append((middle, hit_rate(places, CUT)))
    return drawn


def surprise(listed: Sequence[str], clicks: Sequence[float], total: float, catalogue: int) -> float:
    """Mean self-information of the listed items, in bits, with one click granted to every item (Zhou et al., 2010)."""
    shares = [(count + 1.0) / (total + catalogue) for count in clicks]
    return _mean(-math.log2(share) for share, _ in zip(shares, listed, strict=True))


def _mean(values: Iterable[float]) -> float:
    each = list(values)
    return round(sum(each) / len(each), 6) if each else 0.0


def _nothing() -> Figures:
    return {}

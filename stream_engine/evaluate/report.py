"""The figures as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from stream_engine.evaluate.chart import line_chart
from stream_engine.evaluate.table import MEASURES, SLICES

Figures = Mapping[str, Any]
Curves = Mapping[str, Sequence[tuple[float, float]]]
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 50rem; padding: 0 1rem; color: #1a1a1a }
table { border-collapse: collapse; margin: 1rem 0 } caption { text-align: left; font-weight: 600 }
th, td { padding: .25rem .75rem; text-align: right; border-bottom: 1px solid #e5e5e5 }
th:first-child, td:first-child { text-align: left } tr.first td { font-weight: 600 } svg { width: 100%; height: auto }
"""

_INTRODUCTION = (
    "{events:,} events, each learnt as it came; {tested:,} random ones of the last fifth were foretold first, with the "
    "whole catalogue to choose from."
)


def learning_curves(curves: Curves) -> str:
    """The chart alone, as SVG."""
    return line_chart(curves, across="share of the log read", up="HR@10")


def report_of(result: Figures, curves: Curves, *, title: str, parts: Figures | None = None) -> str:
    """Tables, and the learning curves; `parts` holds the figures of runs without one part each."""
    sections = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{_INTRODUCTION.format(**result)}</p>",
        "<h2>How well clicks were foretold as the log went on</h2>",
        learning_curves(curves),
        _quality(result),
        _table("By slice", ("", "n", *MEASURES), _slices(result)),
        _table("The clicked item was among the candidates of", ("source", "recall"), _sources(result)),
        _table("Without one part", ("without", "HR@10", "NDCG@10"), _parts(result, parts)) if parts else "",
        _table("Cost and variety", ("", ""), _costs(result)),
    ]
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(sections) + "\n</body>\n</html>\n"
    )


def _quality(result: Figures) -> str:
    rows = [("engine", *_cells(result["slices"]["all"]))]
    rows += [(name, *_cells(figures)) for name, figures in result["baselines"].items()]
    return _table("The engine and what it has to beat", ("", *MEASURES), rows)


def _slices(result: Figures) -> list[Sequence[str]]:
    slices = result["slices"]
    return [(name.replace("_", " "), f"{slices[name]['n']:,}", *_cells(slices[name])) for name in SLICES]


def _sources(result: Figures) -> list[Sequence[str]]:
    return [(name, f"{recall:.4f}") for name, recall in result["sources"].items()]


def _parts(result: Figures, parts: Figures) -> list[Sequence[str]]:
    rows = {"nothing": result, **parts}
    return [(name, f"{figures['hr@10']:.4f}", f"{figures['ndcg@10']:.4f}") for name, figures in rows.items()]


def _costs(result: Figures) -> list[Sequence[str]]:
    return [
        ("share of the catalogue listed", f"{result['coverage']:.3f}"),
        ("novelty, bits", f"{result['slices']['all']['novelty']:.2f}"),
        ("microseconds of CPU a click and list, median", f"{result['us_per_click']:.0f}"),
        ("peak memory, MB", f"{result['peak_rss_mb']:.0f}"),
        ("seconds in all", f"{result['seconds']:.0f}"),
    ]


def _cells(figures: Figures) -> list[str]:
    return [f"{figures[measure]:.4f}" if measure in figures else "" for measure in MEASURES]


def _table(caption: str, head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = [
        f"<tr{' class=first' if place == 0 else ''}>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for place, row in enumerate(rows)
    ]
    return f"<table><caption>{escape(caption)}</caption><tr>{names}</tr>" + "".join(lines) + "</table>"

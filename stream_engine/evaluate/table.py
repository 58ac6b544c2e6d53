"""The figures as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table

SLICES = (
    *("warm_items", "cold_items", "new_users"),
    *("all_with_slot", "all_without_slot", "cold_items_with_slot", "cold_items_without_slot"),
)
MEASURES = ("hr@10", "ndcg@10", "mrr@10", "hr@20", "ndcg@20", "mrr@20")


def table_of(result: dict[str, Any]) -> Group:
    """The engine beside the baselines and by slice; recall by source; what it cost."""
    return Group(_quality(result), _sources(result), _costs(result))


def _quality(result: dict[str, Any]) -> Table:
    table = Table(title=f"{result['tested']} clicks foretold of the last fifth of {result['events']}")
    table.add_column("")
    table.add_column("n", justify="right")
    for measure in MEASURES:
        table.add_column(measure.upper(), justify="right")
    slices = result["slices"]
    table.add_row("engine", str(result["tested"]), *_cells(slices["all"]), style="bold")
    for name, figures in result["baselines"].items():
        table.add_row(name, str(result["tested"]), *_cells(figures), style="dim")
    table.add_section()
    for name in SLICES:
        table.add_row(name.replace("_", " "), str(slices[name]["n"]), *_cells(slices[name]))
    return table


def _cells(figures: dict[str, Any]) -> list[str]:
    return [f"{figures[measure]:.4f}" if measure in figures else "" for measure in MEASURES]


def _sources(result: dict[str, Any]) -> Table:
    table = Table(title="the clicked item was among the candidates of")
    table.add_column("source")
    table.add_column("recall", justify="right")
    for name, recall in result["sources"].items():
        table.add_row(name, f"{recall:.4f}")
    return table


def _costs(result: dict[str, Any]) -> str:
    return (
        f"coverage {result['coverage']:.3f} · novelty {result['slices']['all']['novelty']:.2f} bits · "
        f"{result['us_per_click']:.0f} µs per click and list (median) · "
        f"{result['peak_rss_mb']:.0f} MB · {result['seconds']:.0f} s"
    )


def parts_table(result: dict[str, Any], parts: Mapping[str, Any]) -> Table:
    """What the engine loses without each part."""
    table = Table(title="without one part")
    for name in ("without", "HR@10", "NDCG@10"):
        table.add_column(name, justify="left" if name == "without" else "right")
    for name, figures in {"nothing": result, **parts}.items():
        table.add_row(name, f"{figures['hr@10']:.4f}", f"{figures['ndcg@10']:.4f}")
    return table

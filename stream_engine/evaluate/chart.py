"""A line chart as SVG, drawn by hand: nothing to install, and the same bytes for the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]
WIDTH, HEIGHT = 720, 330
LEFT, RIGHT, TOP, BOTTOM = 52, 130, 16, 40
COLOURS = ("#0b5fff", "#c2410c", "#15803d", "#7e22ce", "#0e7490", "#a16207")
LINES = 5  # across


def line_chart(series: Mapping[str, Points], *, across: str, up: str) -> str:
    """The named series, x from 0 to 1, y from 0 to what is needed; the first is drawn thickest."""
    top = _ceiling(max((y for points in series.values() for _, y in points), default=0.0))
    parts = [_grid(top), _label(across, up)]
    for place, (name, points) in enumerate(series.items()):
        colour = COLOURS[place % len(COLOURS)]
        path = " ".join(f"{_x(x):.1f},{_y(y, top):.1f}" for x, y in points)
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="{3 if place == 0 else 1.5}" points="{path}"/>'
        )
        height = TOP + 14 + 20 * place
        parts.append(f'<text x="{WIDTH - RIGHT + 14}" y="{height}" fill="{colour}">{escape(name)}</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="12">\n{body}\n</svg>'
    )


def _grid(top: float) -> str:
    lines = []
    for step in range(LINES + 1):
        height = _y(top * step / LINES, top)
        lines.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}" stroke="#ddd"/>'
            f'<text x="{LEFT - 6}" y="{height + 4:.1f}" text-anchor="end" fill="#555">{top * step / LINES:.2f}</text>'
        )
    ticks = (
        f'<text x="{_x(share):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle" fill="#555">{share:.0%}</text>'
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    return "\n".join([*lines, *ticks])


def _label(across: str, up: str) -> str:
    middle = (LEFT + WIDTH - RIGHT) / 2
    return (
        f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle" fill="#333">{escape(across)}</text>'
        f'<text x="14" y="{HEIGHT / 2}" text-anchor="middle" fill="#333" '
        f'transform="rotate(-90 14 {HEIGHT / 2})">{escape(up)}</text>'
    )


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)


def _ceiling(highest: float) -> float:
    """The next twentieth."""
    return max(1, -int(-highest // 0.05)) * 0.05

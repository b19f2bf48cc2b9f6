"""A chart of lines on logarithmic axes as SVG: named where they end, fit for screen and print.

Drawn by hand, since that is a page of code, and a drawing of some kilobytes with no script in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Line", "chart"]

WIDTH, HEIGHT = 760, 470
LEFT, RIGHT, TOP, BOTTOM = 62, 178, 64, 52
"""Margins; lines are named in the right one."""
LABEL = 15.0
"""Least distance of two names."""
_INK, _DIM, _GRID = "#1a1a1a", "#5c5c5c", "#dedede"

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A line by its points, and measured points to be drawn over it as diamonds."""

    name: str
    points: Sequence[Point]
    color: str
    ours: bool = False
    marks: Sequence[Point] = ()
    dots: bool = True


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    begin: float
    end: float

    def place(self, value: float) -> float:
        span = math.log10(self.high) - math.log10(self.low)
        return self.begin + (math.log10(value) - math.log10(self.low)) / span * (
            self.end - self.begin
        )

    def decades(self) -> list[float]:
        """Powers of ten on the axis, and between them two and five where there are few."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        steps = (1, 2, 5) if last - first <= 2 else (1,)
        ticks = [step * 10.0**e for e in range(first, last + 1) for step in steps]
        return [tick for tick in ticks if self.low <= tick * 1.0001 and tick <= self.high * 1.0001]


def chart(
    lines: Sequence[Line],
    *,
    title: str,
    subtitle: str,
    across: str,
    tell_across: Callable[[float], str],
    tell_up: Callable[[float], str],
) -> str:
    """The drawing. `across` names the axis below, `tell_…` write the ticks of both."""
    xs = [x for line in lines for x, _ in (*line.points, *line.marks)]
    ys = [y for line in lines for _, y in (*line.points, *line.marks)]
    x = _Axis(min(xs), max(*xs, 1.01 * min(xs)), LEFT, WIDTH - RIGHT)
    y = _Axis(min(ys) / 1.3, max(ys) * 1.3, HEIGHT - BOTTOM, TOP)
    parts = [_text(LEFT - 48, 24, title, size=15, bold=True), _text(LEFT - 48, 43, subtitle)]
    for tick in y.decades():
        at = y.place(tick)
        parts.append(_stroke([(LEFT, at), (WIDTH - RIGHT, at)], _GRID, 1))
        parts.append(_text(LEFT - 8, at + 4, tell_up(tick), anchor="end"))
    for tick in x.decades():
        at = x.place(tick)
        parts.append(_stroke([(at, TOP), (at, HEIGHT - BOTTOM)], _GRID, 1))
        parts.append(_text(at, HEIGHT - BOTTOM + 18, tell_across(tick), anchor="middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(_text(middle, HEIGHT - 12, across, anchor="middle"))
    # ours come last, on top
    for line in sorted(lines, key=lambda line: line.ours):
        parts += _drawn(line, x, y)
    parts += _names(lines, x, y)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="system-ui, Helvetica, Arial, sans-serif" font-size="12">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _drawn(line: Line, x: _Axis, y: _Axis) -> list[str]:
    """Ours are solid and filled, others dashed and hollow, so that a print in grey tells them."""
    places = [(x.place(a), y.place(b)) for a, b in line.points]
    wide, dash = (2.4, "") if line.ours else (1.6, "5 3")
    parts = [_stroke(places, line.color, wide, dash)] if len(places) > 1 else []
    fill = line.color if line.ours else "#ffffff"
    if line.dots:
        parts += [
            f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.2" fill="{fill}" stroke="{line.color}" '
            f'stroke-width="1.5"/>'
            for a, b in places
        ]
    for a, b in line.marks:
        at = x.place(a), y.place(b)
        parts.append(
            f'<path d="M{at[0]:.1f} {at[1] - 6:.1f}l6 6l-6 6l-6 -6z" fill="{fill}" '
            f'stroke="{line.color}" stroke-width="1.6"/>'
        )
    return parts


def _names(lines: Sequence[Line], x: _Axis, y: _Axis) -> list[str]:
    """Each line's name beside its end, moved apart where they would overlap."""
    ends = sorted(
        ((line, line.points[-1]) for line in lines if line.points), key=lambda end: -end[1][1]
    )
    wanted = [y.place(point[1]) for _, point in ends]
    placed = _apart(wanted, TOP, HEIGHT - BOTTOM)
    edge, parts = WIDTH - RIGHT, []
    for (line, point), at in zip(ends, placed, strict=True):
        end = x.place(point[0]), y.place(point[1])
        if edge + 4 - end[0] > 6 or abs(at - end[1]) > 3:
            parts.append(_stroke([(end[0] + 5, end[1]), (edge + 12, at)], line.color, 0.7))
        parts.append(_text(edge + 15, at + 4, line.name, color=line.color, bold=line.ours))
    return parts


def _apart(wanted: Sequence[float], top: float, bottom: float) -> list[float]:
    """Ascending places, at least `LABEL` from each other and near those that are wanted."""
    groups: list[tuple[float, list[float]]] = []
    for place in wanted:
        groups.append((place, [place]))
        while len(groups) > 1:
            (first, above), (second, below) = groups[-2:]
            if second - first >= LABEL * (len(above) + len(below)) / 2:
                break
            joined = above + below
            groups[-2:] = [(sum(joined) / len(joined), joined)]
    placed = []
    for middle, members in groups:
        half = LABEL * (len(members) - 1) / 2
        begin = min(max(middle - half, top), bottom - 2 * half)
        placed += [begin + LABEL * i for i in range(len(members))]
    return placed


def _stroke(points: Sequence[Point], color: str, width: float, dash: str = "") -> str:
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width}"{dashes}/>'
    )


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 12,
    anchor: str = "start",
    color: str = "",
    bold: bool = False,
) -> str:
    ink = color or (_INK if bold else _DIM)
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="{ink}"{weight}>{escape(text)}</text>'
    )

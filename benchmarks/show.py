"""Rows as a table on the screen and as a plot in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.rows import Row

__all__ = ["plot", "plot_bandwidth", "print_table", "seconds_over"]


def print_table(rows: Sequence[Row]) -> None:
    """One line a row; cases side by side, the first subject's ratio to each other one."""
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics if name != "error"))
    keys = list(dict.fromkeys(key for row in rows for key in row.case))
    main = metrics[0] if metrics else ""
    table = Table("subject", "version", *keys, *metrics, "ours / it", box=None, pad_edge=False)
    for row in rows:
        cells = [_cell(row.metrics.get(name, "")) for name in metrics]
        if row.error:
            cells = [row.error, *[""] * (len(metrics) - 1)]
        case = [_cell(row.case.get(key, "")) for key in keys]
        table.add_row(row.subject, row.version, *case, *cells, _ratio(rows, row, main))
    console = Console(width=None if Console().is_terminal else 160)
    console.print(table)
    for line in sorted({f"{row.machine}, {row.network}" for row in rows}):
        console.print(line, style="dim")


def _ratio(rows: Sequence[Row], row: Row, metric: str) -> str:
    ours = [r for r in rows if r.case == row.case and r.subject.startswith("ours") and not r.error]
    if not ours or row.error or row.subject == ours[0].subject:
        return ""
    return f"{ours[0].metrics[metric] / row.metrics[metric]:.2f}"


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " / ".join(_cell(one) for one in value)
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def plot(rows: Sequence[Row], path: Path, x: str, y: str, title: str) -> None:
    """`y` against the case's `x`, both logarithmic, one line a subject: a self-contained page."""
    lines = {
        subject: sorted(
            (row.case[x], row.metrics[y])
            for row in rows
            if row.subject == subject and not row.error
        )
        for subject in dict.fromkeys(row.subject for row in rows)
    }
    _draw(lines, path, x, y, title)


BANDWIDTHS = tuple(10.0**exponent for exponent in (7, 7.5, 8, 8.5, 9, 9.5, 10))
"""Bits a second: 10 Mb/s to 10 Gb/s."""


def seconds_over(row: Row, bandwidth: float) -> float:
    """Time over a network of so many bits a second, computed: the measured time over loopback,
    and all bytes one after the other, as if nothing overlapped and no round took longer."""
    wall, sent = float(row.metrics["wall_s"]), float(row.metrics["wire_bytes"])
    return wall + 8 * sent / bandwidth


def plot_bandwidth(rows: Sequence[Row], path: Path, title: str) -> None:
    """Time against bandwidth, one line for each subject and size, from measured time and bytes."""
    lines = {
        f"{row.subject}, {row.case['size_b']:,}": [
            (bandwidth, seconds_over(row, bandwidth)) for bandwidth in BANDWIDTHS
        ]
        for row in rows
        if not row.error
    }
    _draw(lines, path, "bits a second (computed)", "seconds", title)


def _draw(
    lines: Mapping[str, Sequence[tuple[float, float]]], path: Path, x: str, y: str, title: str
) -> None:
    from plotly import graph_objects

    figure = graph_objects.Figure()
    for name, points in lines.items():
        if points:
            across, up = zip(*points, strict=True)
            figure.add_scatter(x=across, y=up, name=name, mode="lines+markers")
    figure.update_layout(title=title, xaxis_title=x, yaxis_title=y, template="plotly_white")
    figure.update_xaxes(type="log")
    figure.update_yaxes(type="log")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.write_html(path, include_plotlyjs=True)

"""Rows as a table on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.rows import Row

__all__ = ["print_table"]


def print_table(rows: Sequence[Row]) -> None:
    """One line a row; cases side by side, the first subject's ratio to each other one."""
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics if name != "error"))
    keys = list(dict.fromkeys(key for row in rows for key in row.case))
    main = metrics[0] if metrics else ""
    networks = len({row.network for row in rows}) > 1
    told = ["network"] if networks else []
    table = Table(
        "subject", "version", *keys, *told, *metrics, "ours / it", box=None, pad_edge=False
    )
    for row in rows:
        cells = [_cell(row.metrics.get(name, "")) for name in metrics]
        if row.error:
            cells = [row.error, *[""] * (len(metrics) - 1)]
        case = [_cell(row.case.get(key, "")) for key in keys] + [row.network] * networks
        table.add_row(row.subject, row.version, *case, *cells, _ratio(rows, row, main))
    console = Console(width=None if Console().is_terminal else 160)
    console.print(table)
    for line in sorted({f"{row.machine}, {row.network}" for row in rows}):
        console.print(line, style="dim")


def _ratio(rows: Sequence[Row], row: Row, metric: str) -> str:
    same = [r for r in rows if (r.case, r.network) == (row.case, row.network)]
    ours = [r for r in same if r.subject.startswith("ours") and not r.error]
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

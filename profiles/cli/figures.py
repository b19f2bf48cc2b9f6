"""What statistics by group came to, as lines of a terminal."""

from __future__ import annotations

from federated.text import plain
from profiles.report.grouped import Aggregated, GroupRow

__all__ = ["group_lines"]

MOST = 12
"""Groups that are printed of one table; the report has all."""


def group_lines(table: Aggregated) -> list[str]:
    """A partner's statistics, a line a group; none where the sums are over all shared records."""
    if not (table.by and table.measures):
        return []
    decimals = table.decimals
    lines = [_line(table, row, decimals) for row in table.rows[:MOST]]
    if len(table.rows) > MOST:
        lines.append(f"  {len(table.rows) - MOST} more groups stand in report.html")
    return [f"{plain(table.partner, 64)} by {plain(table.by, 60)}", *lines]


def _line(table: Aggregated, row: GroupRow, decimals: tuple[int, ...]) -> str:
    group = plain(row.group, 40)
    if row.count is None:
        return f"  {group}: withheld, {row.suppressed}"
    told = [
        f"{plain(measure, 60)} {'withheld' if value is None else f'{value:,.{places}f}'}"
        for measure, value, places in zip(table.measures, row.values, decimals, strict=True)
    ]
    return f"  {group}: {row.count:,}, {', '.join(told)}"

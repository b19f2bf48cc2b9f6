"""What the keys of two parties show side by side, where one person has both tables at hand."""

from __future__ import annotations

from federated.tables.preflight_report import ColumnReport, PreflightReport

__all__ = ["side_by_side"]


def side_by_side(one: PreflightReport, other: PreflightReport, names: tuple[str, str]) -> list[str]:
    """Why keys of the same place would not match: a sentence each, counts only.

    `names` are those of the two parties.
    """
    found = []
    for mine, theirs in zip(one.levels, other.levels, strict=False):
        for left, right in zip(mine.columns, theirs.columns, strict=False):
            pair = (_of(one, left), _of(other, right))
            for at in (0, 1):
                (a, own), (b, beside) = (names[at], pair[at]), (names[1 - at], pair[1 - at])
                if _bare(own) and beside.kind == "text" and beside.zeros:
                    found.append(
                        f"{own.column} of {a}: no number begins with 0, and {beside.zeros:,} of "
                        f"{beside.column} of {b} do (000123): 123 does not match; export the "
                        "column as text with its zeros, or match both as kind number"
                    )
    return found


def _of(report: PreflightReport, column: str) -> ColumnReport:
    return next(found for found in report.columns if found.column == column)


def _bare(report: ColumnReport) -> bool:
    """Whether text is numbers in all rows, none with a leading zero."""
    return report.kind == "text" and 0 < report.digits == report.rows - report.nulls

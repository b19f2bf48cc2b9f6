"""What the keys of two parties show side by side, where one person has both tables at hand."""

from __future__ import annotations

from federated.tables.preflight_report import ColumnReport, PreflightReport

__all__ = ["none_can_match", "side_by_side"]


def side_by_side(one: PreflightReport, other: PreflightReport, names: tuple[str, str]) -> list[str]:
    """Why keys of the same place would not match: a sentence each, counts only.

    `names` are those of the two parties.
    """
    found = []
    for mine, theirs in zip(one.levels, other.levels, strict=False):
        for left, right in zip(mine.columns, theirs.columns, strict=False):
            pair = (_of(one, left), _of(other, right))
            zeros = list[str]()
            for at in (0, 1):
                (a, own), (b, beside) = (names[at], pair[at]), (names[1 - at], pair[1 - at])
                if _bare(own) and beside.kind == "text" and beside.zeros:
                    zeros.append(
                        f"{own.column} of {a}: no number begins with 0, and {beside.zeros:,} of "
                        f"{beside.column} of {b} do (000123): 123 does not match; export the "
                        "column as text with its zeros, or match both as kind number"
                    )
            found += zeros or _lengths(pair, names)
    return found


def none_can_match(one: PreflightReport, other: PreflightReport) -> bool:
    """Whether the two sides' keys differ for certain at every level: by length, or because all of
    one begin with 0 and none of the other."""
    levels = list(zip(one.levels, other.levels, strict=False))
    return bool(levels) and all(
        any(
            _apart(_of(one, left), _of(other, right))
            for left, right in zip(mine.columns, theirs.columns, strict=False)
        )
        for mine, theirs in levels
    )


def _apart(left: ColumnReport, right: ColumnReport) -> bool:
    """Whether no value of one can be one of the other."""
    zeros = any(
        _bare(a) and b.kind == "text" and 0 < b.zeros == b.rows - b.nulls
        for a, b in ((left, right), (right, left))
    )
    return zeros or _lengths_apart(left, right)


def _lengths_apart(left: ColumnReport, right: ColumnReport) -> bool:
    (low, high), (least, most) = left.lengths, right.lengths
    return bool(high and most) and not (low <= most and least <= high)


def _lengths(pair: tuple[ColumnReport, ColumnReport], names: tuple[str, str]) -> list[str]:
    """Where no key of one is as long as any of the other: dashes, a prefix or zeros at one side."""
    if not _lengths_apart(*pair):
        return []
    long = (
        f"{report.column} of {name} {_from(*report.lengths)}"
        for report, name in zip(pair, names, strict=True)
    )
    return [
        f"keys of {' and '.join(long)} characters: none can match; one side writes them with what "
        "the other leaves out (dashes, blanks, a prefix, zeros), or they are other numbers"
    ]


def _from(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low} to {high}"


def _of(report: PreflightReport, column: str) -> ColumnReport:
    return next(found for found in report.columns if found.column == column)


def _bare(report: ColumnReport) -> bool:
    """Whether text is numbers in all rows, none with a leading zero."""
    return report.kind == "text" and 0 < report.digits == report.rows - report.nulls

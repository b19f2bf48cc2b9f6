"""Where the header of a CSV file stands below other lines."""

from __future__ import annotations

import csv
from collections.abc import Collection

__all__ = ["header_below"]

_LOOKED_AT = 30
"""Lines that exports put above a header are few."""


def header_below(text: str, delimiter: str, columns: Collection[str]) -> int:
    """The number of a line below the first that has all these names; 0 where none has.

    Args:
        text: the beginning of a file.
        delimiter: between names.
        columns: the names that are looked for.
    """
    for number, line in enumerate(text.splitlines()[:_LOOKED_AT], start=1):
        names = {name.strip() for row in csv.reader([line], delimiter=delimiter) for name in row}
        if number > 1 and set(columns) <= names:
            return number
    return 0

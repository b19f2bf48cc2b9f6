"""Where the header of a CSV file stands below other lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection

__all__ = ["header_below", "looks_like_names"]

_NUMBERED = re.compile(r"^\W*\d[\d\s.,:/%-]*$")
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


def looks_like_names(line: str, delimiter: str) -> bool:
    """Whether a line could be a header: names, none twice, none a number or a day."""
    names = [name.strip() for row in csv.reader([line], delimiter=delimiter) for name in row]
    given = [name for name in names if name]
    return len(set(given)) == len(given) > 0 and not any(map(_NUMBERED.match, given))

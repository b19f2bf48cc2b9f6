"""Where the header of a CSV file stands a second time, or below other lines."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Collection

__all__ = ["HeaderAgain", "header_below"]

_LOOKED_AT = 30
"""Lines that exports put above a header are few."""


class HeaderAgain:
    """Looks for the header among the lines below it, as files put together from several have it.

    Feed it the blocks of a file in order. `line` is the first such line, 0 where there is none.
    """

    def __init__(self, delimiter: str) -> None:
        self.line = 0
        self._delimiter = delimiter.encode()
        self._header, self._before, self._first = b"", b"", True

    def feed(self, block: bytes, begins: int, header_bytes: int) -> None:
        """Go on over these bytes.

        Args:
            block: bytes of UTF-8.
            begins: the number of the line in which the block begins.
            header_bytes: how many bytes of the first block the header takes; 0: more than all.
        """
        data, carried, start = self._before + block, len(self._before), 0
        if self._first and header_bytes:
            self._header, start = data[:header_bytes].strip(b"\r\n"), header_bytes
        self._first = False
        if self.line or self._delimiter not in self._header:
            return
        at = data.find(self._header, start)
        while at >= 0:
            ends = data[at + len(self._header) :][:1]
            before = data[:at].removesuffix(codecs.BOM_UTF8)[-1:]
            if before in (b"\n", b"\r") and ends in (b"\n", b"\r", b""):
                self.line = begins + _breaks(data[carried:at]) - _breaks(data[at:carried])
                return
            at = data.find(self._header, at + 1)
        self._before = data[-len(self._header) - 4 :]


def _breaks(text: bytes) -> int:
    return max(text.count(b"\n"), text.count(b"\r"))


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

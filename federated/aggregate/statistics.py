"""What may be asked of a column, and how a job file and a contract spell it.

    count   sum   mean   variance   share>0.8   histogram[0,1,2,5]

A share counts the values beyond a threshold (`>`, `>=`, `<`, `<=`). A histogram's edges are a
public grid: below 0, 0 to 1, 1 to 2, 2 to 5, 5 and more; a value on an edge belongs above it.
`text` is the one spelling that a contract may hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from psi.protocol import MisuseError

__all__ = ["ALLOWED", "Statistic"]

ALLOWED = "count, sum, mean, variance, share>NUMBER or histogram[NUMBER,...]"
MOST_EDGES = 50
PLAIN = ("count", "sum", "mean", "variance")

_SHARE = re.compile(r"share\s*(>=|<=|>|<)\s*(.+)")
_HISTOGRAM = re.compile(r"histogram\s*\[(.*)\]")
_WORDS = {">": "above", ">=": "at or above", "<": "below", "<=": "at or below"}


@dataclass(frozen=True)
class Statistic:
    """One statistic of one column. `numbers` are a share's threshold or a histogram's edges.

    Attributes:
        kind: "count", "sum", "mean", "variance", "share" or "histogram".
        compare: how a share compares: ">", ">=" and so on; else "".
    """

    kind: str
    compare: str = ""
    numbers: tuple[float, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Statistic:
        """Read a spelling; raises `MisuseError` that says what is allowed."""
        text = text.strip()
        if text in PLAIN:
            return cls(text)
        if share := _SHARE.fullmatch(text):
            return cls("share", share[1], _numbers(share[2]))
        if histogram := _HISTOGRAM.fullmatch(text):
            edges = _numbers(histogram[1])
            if len(edges) > MOST_EDGES or any(b <= a for a, b in pairwise(edges)):
                raise MisuseError(f"1 to {MOST_EDGES} edges in rising order allowed")
            return cls("histogram", "", edges)
        raise MisuseError(f"{ALLOWED} allowed")

    @property
    def text(self) -> str:
        """The one spelling: no spaces, numbers as short as they can be."""
        numbers = ",".join(_short(number) for number in self.numbers)
        if self.kind == "share":
            return f"share{self.compare}{numbers}"
        return f"histogram[{numbers}]" if self.kind == "histogram" else self.kind

    @property
    def words(self) -> str:
        """For people: "share above 0.8"."""
        numbers = [_short(number) for number in self.numbers]
        if self.kind == "share":
            return f"share {_WORDS[self.compare]} {numbers[0]}"
        return f"histogram over {', '.join(numbers)}" if self.kind == "histogram" else self.kind

    @property
    def bins(self) -> tuple[str, ...]:
        """Names of a histogram's bins: one more than it has edges."""
        if self.kind != "histogram":
            return ()
        edges = [_short(number) for number in self.numbers]
        inner = [f"{a} to {b}" for a, b in pairwise(edges)]
        return (f"below {edges[0]}", *inner, f"{edges[-1]} and more")

    @property
    def edges(self) -> tuple[float, ...]:
        """Where it cuts the line, rising: a value on an edge is above it.

        What is told of a group is how many of its values are above each.
        """
        if self.kind == "share" and self.compare in (">", "<="):
            return (math.nextafter(self.numbers[0], math.inf),)
        return self.numbers

    def counts(self, there: int, above: Mapping[float, int]) -> list[float]:
        """A histogram's bins, or the values that a share counts: NaN where an edge is not told."""
        found = [float(there), *(float(above.get(edge, math.nan)) for edge in self.edges), 0.0]
        parts = [high - low for high, low in pairwise(found)]
        if self.kind == "histogram":
            return parts
        return parts[1:] if self.compare in (">", ">=") else parts[:1]


def _numbers(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) + 0.0 for part in text.split(","))
    except ValueError:
        raise MisuseError(f"{ALLOWED} allowed") from None
    if not all(math.isfinite(number) for number in found):
        raise MisuseError("finite numbers allowed")
    return found


def _short(number: float) -> str:
    whole = number == int(number) and abs(number) < 1e15
    return str(int(number)) if whole else repr(number)

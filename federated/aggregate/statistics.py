"""What may be asked of a column, and how a job file and a contract spell it.

    count   sum   mean   variance   share>0.8   histogram[0,1,2,5]

A share counts the values beyond a threshold (`>`, `>=`, `<`, `<=`). A histogram's edges are a
public grid: below 0, 0 to 1, 1 to 2, 2 to 5, 5 and more; a value on an edge belongs above it.
`text` is the one spelling that a contract may hold.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from psi.protocol import MisuseError

__all__ = ["ALLOWED", "Statistic"]

ALLOWED = "count, sum, mean, variance, share>NUMBER or histogram[NUMBER,...]"
MOST_EDGES = 50
PLAIN = ("count", "sum", "mean", "variance")

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_SHARE = re.compile(r"share\s*(>=|<=|>|<)\s*(.+)")
_HISTOGRAM = re.compile(r"histogram\s*\[(.*)\]")
_WORDS = {">": "above", ">=": "at or above", "<": "below", "<=": "at or below"}


@dataclass(frozen=True)
class Statistic:
    """One statistic of one column. `numbers` are a share's threshold or a histogram's edges."""

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

    def indicators(self, values: np.ndarray) -> list[np.ndarray]:
        """What is counted, as 0 and 1 a row: one column for a share, all bins but the first."""
        with np.errstate(invalid="ignore"):
            if self.kind == "share":
                return [_COMPARE[self.compare](values, self.numbers[0])]
            edges = (*self.numbers, np.inf)
            return [
                (values >= low) & ((values < high) | np.isinf(high))
                for low, high in pairwise(edges)
            ]


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

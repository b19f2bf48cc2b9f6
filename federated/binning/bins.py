"""Bins of one column, cut at home: before a label has been seen, and from the column alone.

Numbers are cut so that a frequent value has a bin of its own and the others hold about as many rows
each (`cuts`); a category of enough rows has a bin of its own, the others share one. Missing values
have a bin, or where they are fewer than `least` go with the largest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from federated.binning.cuts import cuts
from psi.protocol import MisuseError

__all__ = ["Bins", "CategoryBins", "NumberBins", "bins_from", "category_bins", "number_bins"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class NumberBins:
    """Bin i holds `edges[i - 1] <= x < edges[i]`; a missing number is in bin `missing`."""

    edges: tuple[float, ...]
    missing: int

    @property
    def ordered(self) -> int:
        """Bins of numbers, in the order of the numbers: those before one of missing values."""
        return len(self.edges) + 1

    @property
    def count(self) -> int:
        """All bins."""
        return max(self.ordered, self.missing + 1)

    @property
    def names(self) -> tuple[str, ...]:
        """Each bin in words."""
        return tuple(self.words([place]) for place in range(self.count))

    def words(self, places: Iterable[int]) -> str:
        """Some bins together, in words: those beside each other are one range."""
        wanted, runs = sorted(places), list[list[int]]()
        for place in (place for place in wanted if place < self.ordered):
            if runs and runs[-1][1] == place - 1:
                runs[-1][1] = place
            else:
                runs.append([place, place])
        said = [self._range(first, last) for first, last in runs]
        return " or ".join(said + ["missing" for place in wanted if place >= self.ordered])

    def _range(self, first: int, last: int) -> str:
        low = f"from {self.edges[first - 1]:g}" if first else ""
        high = f"below {self.edges[last]:g}" if last < len(self.edges) else ""
        if low and high:
            return f"{low} to {high}"
        return high or (f"{low} on" if low else "all")

    def codes(self, values: Floats) -> Codes:
        """The bin of each of `float64[rows]`, NaN where missing: `int64[rows]`."""
        found = np.searchsorted(np.array(self.edges), values, side="right")
        return np.where(np.isnan(values), self.missing, found).astype(np.int64)

    def plain(self) -> dict[str, Any]:
        """Plain data for a file."""
        return {"kind": "number", "edges": list(self.edges), "missing": self.missing}


_OTHERS = ("other", "all others", "none of these", "none of the categories named")
"""What texts without a bin of their own are called: the first that is no category."""


@dataclass(frozen=True)
class CategoryBins:
    """Bin i holds `categories[i]`; all other texts are in bin `other`, no text in `missing`.

    Where others share the bin of a category, as do those that later rows bring, it is named after
    both: what is said of its rows is to be true of each.
    """

    categories: tuple[str, ...]
    other: int
    missing: int

    ordered = 0
    """Categories have no order."""

    @property
    def count(self) -> int:
        """All bins."""
        return max(len(self.categories), self.other + 1, self.missing + 1)

    @property
    def names(self) -> tuple[str, ...]:
        """Each bin in words."""
        return tuple(self.words([place]) for place in range(self.count))

    def words(self, places: Iterable[int]) -> str:
        """Some bins together, in words: categories, then all others, then what has none."""
        wanted, known = sorted(places), self.categories
        said = [known[place] for place in wanted if place < len(known)]
        if self.other in wanted:
            said.append(next(name for name in _OTHERS if name not in known))
        if self.missing in wanted and self.missing >= len(known) and self.missing != self.other:
            said.append("no value" if "missing" in known else "missing")
        return " or ".join(said)

    def codes(self, values: pa.Array) -> Codes:
        """The bin of each of so many texts: `int64[rows]`."""
        known = pa.array(self.categories, pa.large_string())
        found = pc.index_in(values, known).fill_null(self.other)
        codes = found.to_numpy(zero_copy_only=False).astype(np.int64)
        gone = values.is_null().to_numpy(zero_copy_only=False)
        return np.where(gone, self.missing, codes).astype(np.int64)

    def plain(self) -> dict[str, Any]:
        """Plain data for a file. It holds names of categories."""
        return {
            "kind": "category",
            "categories": list(self.categories),
            "other": self.other,
            "missing": self.missing,
        }


Bins = NumberBins | CategoryBins


def bins_from(plain: Mapping[str, Any]) -> Bins:
    """What `plain` wrote. Raises `MisuseError` for anything else."""
    try:
        if plain["kind"] == "number":
            return NumberBins(tuple(float(e) for e in plain["edges"]), int(plain["missing"]))
        names = tuple(str(name) for name in plain["categories"])
        return CategoryBins(names, int(plain["other"]), int(plain["missing"]))
    except (KeyError, TypeError, ValueError):
        raise MisuseError("these are no saved bins") from None


def number_bins(values: Floats, most: int, least: int) -> NumberBins:
    """Bins of `values`, `float64[rows]`, at most `most`, one of missing values among them.

    None has fewer than `least` rows, so there may be fewer bins.
    """
    there = np.sort(values[~np.isnan(values)])
    gone = len(values) - len(there)
    own = gone >= least > 0 or (gone > 0 and not len(there))
    first, counts = cuts(there, max(1, most - own), least)
    edges = first[1:]
    if len(there) < max(1, least):  # too few to stand beside those that are missing
        own, edges, counts = False, np.zeros(0), np.array([len(values)])
    missing = len(edges) + 1 if own else int(counts.argmax())
    return NumberBins(tuple(edges.tolist()), missing)


def category_bins(values: pa.Array, most: int, least: int) -> CategoryBins:
    """Bins of the texts in `values`, at most `most` of `least` rows or more each."""
    counted = pc.value_counts(values.drop_null())
    pairs = zip(
        counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True
    )
    found = sorted(((int(n), str(name)) for name, n in pairs), key=lambda pair: (-pair[0], pair[1]))
    gone = values.null_count
    own = gone >= least > 0
    frequent = [name for n, name in found if n >= least]
    room = max(1, most - own)
    if len(frequent) < len(found) or len(frequent) > room:
        frequent = frequent[: room - 1]
    rest = sum(n for n, _ in found[len(frequent) :])
    if not frequent:  # all others together
        return CategoryBins((), 0, 1 if own and rest >= least else 0)
    has_other = rest >= least
    other = len(frequent) if has_other else 0
    return CategoryBins(tuple(frequent), other, len(frequent) + has_other if own else 0)

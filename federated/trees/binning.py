"""A party's columns as bins: what its trees split between, fitted once and kept with its model.

Numbers are cut at quantiles of the training rows into as many bins as there are, each with rows
enough: a split that a handful of rows makes would say these rows' labels. The same values fall into
the same bin, so fewer bins come out where values repeat. Missing numbers have a bin of their own.
Categories are a bin each, the rarest ones one together. Where missing values, or a rest of
categories, are too few for a bin, they fall to the fullest one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from federated.readers.canonical import canonical
from federated.tables.column_roles import check_role
from federated.tables.encoding import DEFAULT_SUPPORT
from federated.tables.inferred import CATEGORY, refuse_unclear
from federated.tables.matrix import categorical, numeric_matrix
from federated.trees.layout import MOST_CELLS, Column, Layout
from psi.protocol import InputError, MisuseError

__all__ = ["Binning", "CategoryBins", "NumberBins", "bins_of_categories", "bins_of_numbers"]

Floats = NDArray[np.float64]
Bins = NDArray[np.uint16]


@dataclass(frozen=True)
class NumberBins:
    """Bin b holds numbers above edge b - 1, up to edge b; missing ones the last bin, or `fullest`.

    `missing` says whether they have a bin.
    """

    name: str
    edges: tuple[float, ...]
    missing: bool
    fullest: int

    @property
    def column(self) -> Column:
        """What the other party gets to know."""
        return Column(len(self.edges) + 1 + self.missing, ordered=True, missing=self.missing)

    def bins(self, values: Floats) -> Bins:
        """`uint16[n]` of numbers, NaN for missing ones."""
        found = np.searchsorted(np.array(self.edges), values, side="left").astype(np.uint16)
        found[np.isnan(values)] = len(self.edges) + 1 if self.missing else self.fullest
        return found

    def without(self, table: pa.Table) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """`bool[rows]` twice: rows without a value, and with one that training had not, of those
        that have no bin and fall to the fullest. A number lies in some bin always.

        Args:
            table: canonical, it holds the column.
        """
        gone = np.isnan(numeric_matrix(table, [self.name])[:, 0]) & (not self.missing)
        return gone, np.zeros(len(gone), np.bool_)


@dataclass(frozen=True)
class CategoryBins:
    """A bin for each of `categories`, then one for all others, then one for missing values.

    What has no bin falls to `fullest`.
    """

    name: str
    categories: tuple[str, ...]
    other: bool
    missing: bool
    fullest: int

    @property
    def column(self) -> Column:
        """What the other party gets to know."""
        cells = len(self.categories) + self.other + self.missing
        return Column(cells, ordered=False, missing=False)

    def bins(self, values: pa.Array) -> Bins:
        """`uint16[n]` of texts."""
        known = len(self.categories)
        rest = known if self.other else self.fullest
        gone = known + self.other if self.missing else self.fullest
        at = pc.fill_null(pc.index_in(values, pa.array(self.categories, values.type)), rest)
        found = np.asarray(at.to_numpy(zero_copy_only=False), np.uint16).copy()
        found[np.asarray(pc.is_null(values).to_numpy(zero_copy_only=False))] = gone
        return found

    def without(self, table: pa.Table) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """As of `NumberBins`."""
        values = categorical(table, self.name, role="feature")
        gone = np.asarray(pc.is_null(values).to_numpy(zero_copy_only=False))
        known = pc.is_in(values, pa.array(self.categories, values.type))
        rare = ~np.asarray(known.to_numpy(zero_copy_only=False)) & ~gone
        return gone & (not self.missing), rare & (not self.other)


def bins_of_numbers(
    name: str, values: Floats, *, most: int = MOST_CELLS, least: int = DEFAULT_SUPPORT
) -> NumberBins | None:
    """The bins of a column of numbers `float64[n]`, NaN for missing ones.

    Args:
        name: the column's.
        values: of the training rows.
        most: bins, that of missing values included.
        least: rows of each.

    Returns:
        None where all rows fall into one bin.
    """
    known = np.sort(values[~np.isnan(values)])
    missing = len(values) - len(known) >= least
    distinct, counts = np.unique(known, return_counts=True)
    allowed = most - missing
    if len(distinct) > allowed:
        cuts = np.quantile(known, np.arange(1, allowed) / allowed, method="inverted_cdf")
        distinct, place = np.unique(np.append(cuts, known[-1:]), return_inverse=True)
        del place
        ends = np.searchsorted(known, distinct, side="right")
        counts = np.diff(ends, prepend=0)
    edges, sizes, held = [], [], 0
    for value, count in zip(distinct.tolist(), counts.tolist(), strict=True):
        held += count
        if held >= least:
            edges.append(value)
            sizes.append(held)
            held = 0
    if held and sizes:
        sizes[-1] += held  # too few at the upper end: they join the bin below
    if len(sizes) + missing < 2 or not sizes:
        return None
    return NumberBins(name, tuple(edges[:-1]), missing, int(np.argmax(sizes)))


def bins_of_categories(
    name: str, values: pa.Array, *, most: int = MOST_CELLS, least: int = DEFAULT_SUPPORT
) -> CategoryBins | None:
    """The bins of a column of texts; arguments and result as of `bins_of_numbers`."""
    counted = pc.value_counts(values.drop_null())
    pairs = zip(
        counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True
    )
    ordered = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
    missing = values.null_count >= least
    allowed = most - missing
    own = [pair for pair in ordered if pair[1] >= least]
    rest = len(values) - values.null_count - sum(count for _, count in own)
    if len(own) + (rest >= least) > allowed:
        rest += sum(count for _, count in own[allowed - 1 :])
        own = own[: allowed - 1]
    other = rest >= least
    if len(own) + other + missing < 2:
        return None
    sizes = [count for _, count in own] + [rest] * other + [values.null_count] * missing
    return CategoryBins(
        name, tuple(value for value, _ in own), other, missing, int(np.argmax(sizes))
    )


@dataclass(frozen=True)
class Binning:
    """A party's fitted bins: `Binning.fit(...)`, then `transform(table)`.

    `columns` have bins; `notes` name those that were left out because all rows fall into one.
    """

    columns: tuple[NumberBins | CategoryBins, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        table: pa.Table,
        columns: Sequence[str],
        rows: NDArray[np.bool_] | None = None,
        *,
        most: int = MOST_CELLS,
        least: int = DEFAULT_SUPPORT,
    ) -> Binning:
        """Learn the bins from the training rows.

        Args:
            table: holds all `columns`.
            columns: features, in the order of the result.
            rows: `bool[table.num_rows]`, the training rows; None takes all.
            most: bins of a column, 2 to 32.
            least: rows of a bin.

        Raises:
            InputError: no training row, a type that is no feature, or text of which its owner
                must say whether it is numbers.
            MisuseError: a mask of another length, a number of bins out of range.
        """
        if not 2 <= most <= MOST_CELLS or least < 1:
            raise MisuseError(f"{most} bins of {least} rows found, 2 to {MOST_CELLS} allowed")
        mask = np.ones(table.num_rows, np.bool_) if rows is None else rows
        if mask.dtype != np.bool_ or mask.shape != (table.num_rows,):
            raise MisuseError(f"a mask of {mask.dtype}{list(mask.shape)} for {table.num_rows} rows")
        if not mask.any():
            raise InputError("no training rows to fit bins on")
        table = canonical(table.select(list(columns)))
        training = table.filter(pa.array(mask))
        found: list[NumberBins | CategoryBins] = []
        notes = []
        for name in columns:
            check_role(table, name, "feature")
            made: NumberBins | CategoryBins | None
            if refuse_unclear(table, name).kind == CATEGORY:
                texts = categorical(training, name, role="feature")
                made = bins_of_categories(name, texts, most=most, least=least)
            else:
                numbers = numeric_matrix(training, [name])[:, 0]
                made = bins_of_numbers(name, numbers, most=most, least=least)
            if made is None:
                notes.append(f"{name}: fewer than {least} rows differ, no split is possible")
            else:
                found.append(made)
        return cls(tuple(found), tuple(notes))

    @property
    def layout(self) -> Layout:
        """What the other party gets to know of the columns."""
        return Layout(tuple(each.column for each in self.columns))

    def transform(self, table: pa.Table) -> list[Bins]:
        """Of each column its bins `uint16[n]`, of any table that has the columns.

        Raises:
            InputError: values that are not finite numbers in a column of numbers.
        """
        table = canonical(table.select([each.name for each in self.columns]))
        found = []
        for each in self.columns:
            if isinstance(each, NumberBins):
                found.append(each.bins(numeric_matrix(table, [each.name])[:, 0]))
            else:
                found.append(each.bins(categorical(table, each.name, role="feature")))
        return found

    def words(self, column: int, left: NDArray[np.bool_]) -> str:
        """What goes left by a split, for whoever may read the columns' values."""
        each = self.columns[column]
        if isinstance(each, CategoryBins):
            names = [*each.categories, *["other"] * each.other, *["missing"] * each.missing]
            return f"{each.name} in {', '.join(np.array(names)[left].tolist())}"
        values = len(each.edges) + 1
        held = int(np.count_nonzero(left[:values]))
        if held == values:
            return f"{each.name} is known"
        gone = " or missing" if each.missing and left[-1] else ""
        sign, edge = ("<=", held - 1) if left[0] else (">", values - held - 1)
        return f"{each.name} {sign} {each.edges[edge]:g}{gone}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data for a model file; holds edges and names of categories."""
        kinds = {NumberBins: "number", CategoryBins: "category"}
        columns = [{"kind": kinds[type(each)], **asdict(each)} for each in self.columns]
        return {"columns": columns, "notes": list(self.notes)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Binning:
        """What `as_dict` wrote. Raises `MisuseError` for anything else."""
        try:
            columns = tuple(_column(each) for each in data["columns"])
            return cls(columns, tuple(str(note) for note in data["notes"]))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise MisuseError("these are no saved bins") from None


def _column(data: Mapping[str, Any]) -> NumberBins | CategoryBins:
    """One column of `Binning.as_dict`."""
    name, missing, fullest = str(data["name"]), bool(data["missing"]), int(data["fullest"])
    made: NumberBins | CategoryBins
    if data["kind"] == "number":
        edges = tuple(float(edge) for edge in data["edges"])
        if not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
            raise ValueError("edges out of order")
        made = NumberBins(name, edges, missing, fullest)
    elif data["kind"] == "category":
        categories = tuple(str(each) for each in data["categories"])
        made = CategoryBins(name, categories, bool(data["other"]), missing, fullest)
    else:
        raise ValueError("an unknown kind of column")
    if not 2 <= made.column.cells <= MOST_CELLS or not 0 <= fullest < made.column.cells:
        raise ValueError("bins out of range")
    return made

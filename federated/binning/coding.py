"""A table's columns as weights of evidence: what a scorecard's regression is fitted on.

Every column becomes one number a row, the weight of evidence of its bin, standardised over rows as
other features are (`federated.tables.encoding`). A column whose bins all say the same has no
column, and one in which too few rows differ from the most frequent value has none either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from federated.binning.bins import CategoryBins, NumberBins, category_bins, number_bins
from federated.binning.worth import ColumnWorth, worth_of
from federated.tables.column_roles import check_role
from federated.tables.encoding import DEFAULT_SUPPORT
from federated.tables.inferred import CATEGORY, refuse_unclear
from federated.tables.matrix import categorical, numeric_matrix
from psi.protocol import InputError, MisuseError

__all__ = ["CodedColumn", "EvidenceEncoder", "binned_column", "own_worth", "values_of"]

Floats = NDArray[np.float64]


def values_of(table: pa.Table, column: str, where: str = "") -> Floats | pa.Array:
    """What a `column` of a `table`, called so in errors (`where`), has to put into bins.

    `float64[rows]`, NaN where missing, or texts. Raises `InputError` for what is neither, and for
    text of which its owner must say what it is.
    """
    check_role(table, column, "feature", where=where)
    if refuse_unclear(table, column, where).kind == CATEGORY:
        return categorical(table, column)
    return numeric_matrix(table, [column], where=where)[:, 0]


def binned_column(
    table: pa.Table, column: str, most: int, least: int
) -> tuple[NumberBins | CategoryBins, NDArray[np.int64]]:
    """Bins of a `column` of a `table`, at most `most` of `least` rows each, and each row's bin.

    These are `int64[rows]`.
    """
    values = values_of(table, column)
    if isinstance(values, np.ndarray):
        numbers = number_bins(values, most, least)
        return numbers, numbers.codes(values)
    texts = category_bins(values, most, least)
    return texts, texts.codes(values)


def own_worth(
    table: pa.Table,
    column: str,
    label: NDArray[np.int8],
    *,
    most: int,
    group: int,
    least: float,
    monotone: bool,
) -> ColumnWorth:
    """A column of the party that holds the label, with exact counts.

    Args:
        table: of the shared rows.
        column: its name.
        label: `int8[rows]`: 1, 0, and -1 for none.
        most: bins; group: rows of one, at least; least, monotone: see `worth_of`.
    """
    bins, codes = binned_column(table, column, most, group)
    opened = np.stack(
        [np.bincount(codes[there], minlength=bins.count) for there in (label == 1, label >= 0)],
        axis=1,
    )
    rows = np.bincount(codes, minlength=bins.count).tolist()
    return worth_of(column, bins, rows, opened, least=least, monotone=monotone)


@dataclass(frozen=True)
class CodedColumn:
    """A column in bins, `worth`: (weight of evidence - `mean`) / `scale`."""

    worth: ColumnWorth
    mean: float
    scale: float

    @property
    def name(self) -> str:
        """The column's own."""
        return self.worth.column

    @property
    def levels(self) -> Floats:
        """The number of each group of bins."""
        return np.asarray((self.worth.woe - self.mean) / self.scale)

    def groups(self, table: pa.Table) -> NDArray[np.int64]:
        """The group of bins of each row: `int64[rows]`. Raises `InputError`."""
        values, bins = values_of(table, self.name), self.worth.bins
        numbers = isinstance(bins, NumberBins)
        if numbers != isinstance(values, np.ndarray):
            kinds = ("numbers", "categories") if numbers else ("categories", "numbers")
            raise InputError(
                f"column {self.name!r}: {kinds[1]} found, {kinds[0]} allowed, as in its bins",
                hint="give it the type that it had when its bins were cut",
            )
        codes = bins.codes(values)
        return np.asarray(np.array(self.worth.groups)[codes], np.int64)


@dataclass(frozen=True)
class EvidenceEncoder:
    """Fitted bins as `columns` of numbers: `transform(table)`, as of an `Encoder`.

    `notes` say which columns were dropped.
    """

    columns: tuple[CodedColumn, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        worths: Sequence[ColumnWorth],
        table: pa.Table,
        rows: NDArray[np.bool_] | None = None,
    ) -> EvidenceEncoder:
        """Standardise over rows what bins say.

        Args:
            worths: columns in bins.
            table: of the shared rows, it holds the columns.
            rows: bool[rows] to standardise over; None: all.
        """
        found, notes = [], []
        for worth in worths:
            plain = CodedColumn(worth, 0.0, 1.0)
            values = plain.levels[plain.groups(table)]
            values = values if rows is None else values[rows]
            counts = np.unique(values, return_counts=True)[1]
            if len(values) - int(counts.max(initial=0)) < DEFAULT_SUPPORT:
                why = "its bins say nothing of the label"
                if len(worth.counts) < 2:
                    why = "it comes to one bin: too few records in any other"
                notes.append(f"{worth.column}: dropped, {why}")
                continue
            found.append(CodedColumn(worth, float(values.mean()), float(values.std())))
        return cls(tuple(found), tuple(notes))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns that are left, in order."""
        return tuple(column.name for column in self.columns)

    def transform(self, table: pa.Table) -> tuple[Floats, tuple[str, ...]]:
        """`(float64[rows, d], names)` of any table that has the columns. Raises `InputError`."""
        blocks = [column.levels[column.groups(table)] for column in self.columns]
        shape = (table.num_rows, len(blocks))
        matrix = np.stack(blocks, axis=1) if blocks else np.empty(shape)
        return np.ascontiguousarray(matrix), self.names

    def as_dict(self) -> dict[str, Any]:
        """Plain data for a file; holds edges, counts and names of categories."""
        return {
            "evidence": [
                {"worth": column.worth.plain(), "mean": column.mean, "scale": column.scale}
                for column in self.columns
            ],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EvidenceEncoder:
        """The encoder that `as_dict` wrote. Raises `MisuseError` for anything else."""
        try:
            columns = tuple(
                CodedColumn(
                    ColumnWorth.from_plain(one["worth"]), float(one["mean"]), float(one["scale"])
                )
                for one in data["evidence"]
            )
            notes = tuple(str(note) for note in data["notes"])
        except (KeyError, TypeError, ValueError):
            raise MisuseError("this is no saved encoder") from None
        if not all(np.isfinite([c.mean, c.scale]).all() and c.scale > 0 for c in columns):
            raise MisuseError("this is no saved encoder")
        return cls(columns, notes)

"""Table columns to a design matrix, the same at a party and in the plaintext baseline.

Numbers are standardised over the training rows, a missing number becomes the mean and gets
an indicator column. Text is one-hot: the most frequent category is the reference and has no
column, categories with fewer than `minimum_support` rows share the column `other`. Where no
category has that many, they are the reference together.

A column in which fewer than `minimum_support` training rows differ from the most frequent
value is dropped, with a note: a sum over a handful of rows would say these rows' labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.readers.canonical import canonical
from federated.tables.column_roles import check_role
from federated.tables.inferred import CATEGORY, refuse_unclear
from federated.tables.matrix import categorical, numeric_matrix
from psi.protocol.errors import InputError, MisuseError

__all__ = ["DEFAULT_SUPPORT", "CategoryColumn", "Encoder", "NumberColumn"]
__all__ += ["encoded_columns", "independent_columns"]

DEFAULT_SUPPORT = 20
_ROWS = 1 << 17
# Squared singular values below this share of the largest are those of dependent columns.
_NULL = 1e-12
OTHER = "other"
MISSING = "missing"

Floats = np.ndarray[Any, np.dtype[np.float64]]
Codes = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class NumberColumn:
    """A standardised number: (x - mean) / scale, and whether it has an indicator."""

    name: str
    mean: float
    scale: float
    kept: bool
    indicator: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the encoded columns."""
        value = (self.name,) if self.kept else ()
        return (*value, f"{self.name}:{MISSING}") if self.indicator else value


@dataclass(frozen=True)
class CategoryColumn:
    """A one-hot column: the categories that have a column, and what the rest falls to."""

    name: str
    reference: str
    categories: tuple[str, ...]
    other: bool
    missing: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the encoded columns."""
        found = [f"{self.name}={category}" for category in self.categories]
        found += [f"{self.name}:{MISSING}"] if self.missing else []
        found += [f"{self.name}:{OTHER}"] if self.other else []
        return tuple(found)


Column = NumberColumn | CategoryColumn


@dataclass(frozen=True)
class Encoder:
    """A fitted encoding: `Encoder.fit(...)` then `transform(table)`."""

    columns: tuple[Column, ...]
    notes: tuple[str, ...]
    minimum_support: int = DEFAULT_SUPPORT

    @classmethod
    def fit(
        cls,
        table: pa.Table,
        columns: Sequence[str],
        rows: Mask | None = None,
        *,
        minimum_support: int = DEFAULT_SUPPORT,
        categories: Sequence[str] = (),
    ) -> Encoder:
        """Learn the encoding from the training rows.

        Args:
            table: holds all `columns`.
            columns: features, in the order of the result.
            rows: bool[table.num_rows], the aligned training rows; None takes all.
            minimum_support: the fewest rows that may stand out in a column.
            categories: columns to take as categories though they hold numbers.

        Raises:
            InputError: no training row, a type that is no feature, or text of which its owner
                must say whether it is numbers.
            MisuseError: a mask of another length, a column the table does not have.
        """
        rows = np.ones(table.num_rows, dtype=np.bool_) if rows is None else rows
        if rows.dtype != np.bool_ or rows.shape != (table.num_rows,):
            raise MisuseError(
                f"found a mask of {rows.dtype}{list(rows.shape)}, allowed: bool[{table.num_rows}]"
            )
        if not rows.any():
            raise InputError("no training rows to fit the encoding on")
        there = set(table.column_names)
        unknown = [name for name in columns if name not in there]
        if unknown:
            raise MisuseError(f"the table has no column {unknown[0]!r}")
        fitted: list[Column] = []
        notes: list[str] = []
        table = canonical(table.select(list(columns)))
        training = table.filter(pa.array(rows))
        for name in columns:
            check_role(table, name, "feature")
            if name in categories or refuse_unclear(table, name).kind == CATEGORY:
                found: Column = _fit_category(training, name, minimum_support, notes)
            else:
                found = _fit_number(training, name, minimum_support, notes)
            fitted.append(found)
        return cls(tuple(fitted), tuple(notes), minimum_support)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the encoded columns, in order."""
        return tuple(name for column in self.columns for name in column.names)

    @property
    def dropped(self) -> tuple[str, ...]:
        """Input columns that left no encoded column."""
        return tuple(column.name for column in self.columns if not column.names)

    def transform(self, table: pa.Table) -> tuple[Floats, tuple[str, ...]]:
        """`(float64[rows, d], names)` of any table that has the columns.

        A category not seen in training is `other`, or the reference if there is no such
        column.

        Raises:
            InputError: values that are not finite numbers in a column of numbers.
        """
        blocks: list[Floats] = [np.empty((table.num_rows, 0), dtype=np.float64)]
        for column in self.columns:
            if not column.names:
                continue
            if isinstance(column, NumberColumn):
                blocks.append(_number_block(table, column))
            else:
                blocks.append(_category_block(table, column))
        return np.ascontiguousarray(np.hstack(blocks)), self.names

    def as_dict(self) -> dict[str, Any]:
        """Plain data for a checkpoint or a model file; holds means and category names."""
        return {
            "minimum_support": self.minimum_support,
            "notes": list(self.notes),
            "columns": [
                {
                    "kind": "number",
                    "name": column.name,
                    "mean": column.mean,
                    "scale": column.scale,
                    "kept": column.kept,
                    "indicator": column.indicator,
                }
                if isinstance(column, NumberColumn)
                else {
                    "kind": "category",
                    "name": column.name,
                    "reference": column.reference,
                    "categories": list(column.categories),
                    "other": column.other,
                    "missing": column.missing,
                }
                for column in self.columns
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Encoder:
        """The encoder that `as_dict` wrote.

        Raises:
            MisuseError: anything else.
        """
        try:
            columns = tuple(_column_from(entry) for entry in data["columns"])
            return cls(columns, tuple(data["notes"]), int(data["minimum_support"]))
        except (KeyError, TypeError, ValueError):
            raise MisuseError("this is no saved encoder") from None


def encoded_columns(table: pa.Table, features: Sequence[str]) -> int:
    """How many columns these features come to, copies of others included.

    Raises as `Encoder.fit` does.
    """
    return len(Encoder.fit(table, features).names)


def independent_columns(table: pa.Table, features: Sequence[str]) -> int:
    """How many encoded columns are no sums of the others.

    Raises as `Encoder.fit` does.
    """
    encoder = Encoder.fit(table, features)
    width = len(encoder.names)
    gram = np.zeros((width, width))
    for start in range(0, table.num_rows, _ROWS):
        part, _ = encoder.transform(table.slice(start, _ROWS))
        gram += part.T @ part
    sizes = np.linalg.eigvalsh(gram) if width else np.zeros(0)
    return int((sizes > _NULL * max(sizes.max(initial=0.0), np.finfo(np.float64).tiny)).sum())


def _column_from(entry: Mapping[str, Any]) -> Column:
    fields = {key: value for key, value in entry.items() if key != "kind"}
    if entry["kind"] == "number":
        return NumberColumn(**fields)
    fields["categories"] = tuple(fields["categories"])
    return CategoryColumn(**fields)


def _fit_number(training: pa.Table, name: str, support: int, notes: list[str]) -> NumberColumn:
    values = numeric_matrix(training, [name])[:, 0]
    missing = np.isnan(values)
    present = values[~missing]
    gaps = int(missing.sum())
    indicator = gaps > 0 and min(gaps, present.size) >= support
    if gaps and not indicator:
        notes.append(f"{name}: no indicator for {_fewer(support)} missing or present values")
    if not present.size:
        notes.append(f"{name}: dropped, no value in the training rows")
        return NumberColumn(name, 0.0, 1.0, False, False)
    _, counts = np.unique(present, return_counts=True)
    kept = present.size - int(counts.max()) >= support
    if not kept:
        notes.append(f"{name}: dropped, {_fewer(support)} values differ from the most frequent")
    _, power = np.frexp(np.abs(present).max())  # squares of tiny numbers are 0, of large infinite
    near = np.ldexp(present, -power)
    mean = float(np.ldexp(near.mean(), power))
    scale = float(np.ldexp(near.std(), power)) or 1.0
    return NumberColumn(name, mean, scale, kept, indicator)


def _fewer(support: int) -> str:
    """Said without the count itself, which could be as small as one."""
    return f"fewer than {support}"


def _fit_category(training: pa.Table, name: str, support: int, notes: list[str]) -> CategoryColumn:
    text = categorical(training, name)
    counted = pc.value_counts(text.drop_null())
    found = sorted(
        zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True),
        key=lambda pair: (-pair[1], pair[0]),
    )
    rows, gaps = len(text), int(text.null_count)
    if not found:
        notes.append(f"{name}: dropped, no value in the training rows")
        return CategoryColumn(name, "", (), False, False)
    frequent = [str(value) for value, count in found if count >= support]
    rare = [count for _, count in found if count < support]
    pooled = sum(rare) + (gaps if gaps < support else 0)
    missing = gaps >= support
    # Every group that has a column, and the one that has none, must have support: the sum
    # over the rows of the reference is the total less the others'.
    if frequent:
        reference, other = frequent.pop(0), pooled >= support
    else:
        reference, other = "", False
        missing = missing and rows - gaps >= support
    if rare:
        notes.append(f"{name}: {len(rare)} categories with {_fewer(support)} rows pooled")
    column = CategoryColumn(name, reference, tuple(frequent), other, missing)
    if not column.names:
        notes.append(f"{name}: dropped, {_fewer(support)} rows outside its largest group")
    return column


def _number_block(table: pa.Table, column: NumberColumn) -> Floats:
    values = numeric_matrix(table, [column.name])[:, 0]
    missing = np.isnan(values)
    parts = []
    if column.kept:
        parts.append((np.where(missing, column.mean, values) - column.mean) / column.scale)
    if column.indicator:
        parts.append(missing.astype(np.float64))
    return np.stack(parts, axis=1)


def _category_block(table: pa.Table, column: CategoryColumn) -> Floats:
    text = categorical(table, column.name)
    # The reference stands last: its code is `width`, which sets no column.
    known = pa.array([*column.categories, column.reference], type=pa.large_string())
    places = pc.index_in(text, value_set=known, skip_nulls=True)
    width = len(column.categories)
    code: Codes = np.asarray(
        pc.fill_null(places, -1).to_numpy(zero_copy_only=False), dtype=np.int64
    )
    absent = np.asarray(pc.is_null(text).to_numpy(zero_copy_only=False), dtype=np.bool_)
    block = np.zeros((len(text), len(column.names)), dtype=np.float64)
    seen = (code >= 0) & (code < width)
    block[np.flatnonzero(seen), code[seen]] = 1.0
    unknown = code < 0
    if column.missing:
        block[absent, width] = 1.0
        unknown &= ~absent
    if column.other:
        block[unknown, -1] = 1.0
    return block

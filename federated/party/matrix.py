"""Columns as numbers or categories, with the counts that a person needs when they are not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psi.protocol.errors import InputError

__all__ = [
    "binary_label",
    "categorical",
    "is_text",
    "known_labels",
    "null_counts",
    "numeric_matrix",
]

Floats = np.ndarray[Any, np.dtype[np.float64]]

_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"
_TRUE = ("yes", "y", "true", "t", "1", "是")
_FALSE = ("no", "n", "false", "f", "0", "否")


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def null_counts(table: pa.Table, columns: Sequence[str]) -> dict[str, int]:
    """Missing values by column: nulls, and NaN in columns of floats."""
    return {
        name: int(pc.sum(pc.is_null(table.column(name), nan_is_null=True)).as_py() or 0)
        for name in columns
    }


def categorical(table: pa.Table, column: str) -> pa.Array:
    """A column as a large_string array; numbers and booleans as they print."""
    values = table.column(column)
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    found = values.cast(pa.large_string()).combine_chunks()
    return pa.concat_arrays(found.chunks) if isinstance(found, pa.ChunkedArray) else found


def numeric_matrix(table: pa.Table, columns: Sequence[str], *, where: str = "") -> Floats:
    """float64[rows, columns]; missing values are NaN, booleans 0 and 1.

    Text that spells numbers counts as numbers.

    Raises:
        InputError: values that are not finite numbers: names the column and how many.
    """
    matrix = np.empty((table.num_rows, len(columns)), dtype=np.float64)
    for at, name in enumerate(columns):
        matrix[:, at] = _numbers(table.column(name), name, where)
    return matrix


def _numbers(values: pa.ChunkedArray, name: str, where: str) -> Floats:
    place = f"{where}: column" if where else "column"
    kind = values.type
    if is_text(kind):
        text = pc.utf8_trim_whitespace(values.cast(pa.large_string()))
        text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.large_string()), text)
        numeric = pc.match_substring_regex(text, _NUMBER)
        wrong = int(pc.sum(pc.invert(numeric)).as_py() or 0)
        if wrong:
            raise InputError(
                f"{place} {name!r}: {wrong} of {len(values)} values are not numeric",
                hint='clean them, or use the column as categories (types = "string")',
            )
        values = pc.replace_substring_regex(text, r"^\+", "").cast(pa.float64())
    elif not (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    ):
        raise InputError(
            f"{place} {name!r}: found {kind}, a number is needed",
            hint="turn a date into an age or a number of days",
        )
    found = values.cast(pa.float64(), safe=False).to_numpy()
    found = np.asarray(found, dtype=np.float64)
    infinite = int(np.isinf(found).sum())
    if infinite:
        raise InputError(f"{place} {name!r}: {infinite} values are infinite")
    return found


def binary_label(table: pa.Table, column: str, *, positive: str = "", where: str = "") -> Floats:
    """float64[rows] of 0 and 1.

    `positive` names the class that becomes 1. Without it, 0/1, -1/1, yes/no, true/false and
    their like are understood.

    Raises:
        InputError: missing labels, one class, more than two, or classes that need `positive`.
    """
    place = f"{where}: label {column!r}" if where else f"label {column!r}"
    missing = null_counts(table, [column])[column]
    if missing:
        raise InputError(f"{place}: {missing} of {table.num_rows} rows have no label")
    text = pc.utf8_lower(pc.utf8_trim_whitespace(categorical(table, column)))
    text = pc.replace_substring_regex(text, r"^([+-]?\d+)\.0+$", r"\1")
    classes = [str(found) for found in pc.unique(text).to_pylist()]
    if len(classes) != 2:
        raise InputError(f"{place}: found {len(classes)} classes, allowed: 2")
    wanted = positive.strip().lower()
    if not wanted:
        pairs = [(yes, no) for yes in _TRUE for no in (*_FALSE, "-1")]
        fits = [yes for yes, no in pairs if set(classes) == {yes, no}]
        if not fits:
            raise InputError(
                f"{place}: which of its 2 classes is the positive one is not known",
                hint='name it with positive = "..." in [train]',
            )
        wanted = fits[0]
    elif wanted not in classes:
        raise InputError(f"{place}: no row has the class that positive names")
    found = pc.equal(text, wanted).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(found, dtype=np.float64)


def known_labels(
    table: pa.Table, column: str, *, positive: str = "", where: str = ""
) -> np.ndarray:
    """int8[rows]: 1, 0, and -1 where the label is missing. Raises as `binary_label` does."""
    known = pc.is_valid(table.column(column)).to_numpy().astype(bool)
    found = np.full(table.num_rows, -1, np.int8)
    labelled = table.filter(pa.array(known))
    found[known] = binary_label(labelled, column, positive=positive, where=where)
    return found

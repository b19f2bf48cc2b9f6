"""Columns as numbers or categories, with the counts that a person needs when they are not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.readers.advice import how_to_read, quoted_name
from federated.readers.canonical import canonical_column, is_text
from federated.readers.fillers import WORDS
from federated.readers.settle import unwritten
from federated.tables.column_roles import check_role
from psi.identifiers.texts import among
from psi.protocol.errors import InputError

__all__ = [
    "binary_label",
    "categorical",
    "is_text",
    "known_answers",
    "known_labels",
    "null_counts",
    "numeric_matrix",
]

Floats = np.ndarray[Any, np.dtype[np.float64]]

_HUGE = 1e150
"""Squares of larger numbers are infinite."""
_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"
_TRUE = ("yes", "y", "true", "t", "1", "是")
_FALSE = ("no", "n", "false", "f", "0", "否")
_SPELLINGS = 20
_NOTHING = frozenset(("", *WORDS))
_LOGICAL = frozenset(("true", "false"))


def null_counts(table: pa.Table, columns: Sequence[str]) -> dict[str, int]:
    """Missing values by column: nulls, and NaN in columns of floats."""
    return {
        name: int(pc.sum(pc.is_null(table.column(name), nan_is_null=True)).as_py() or 0)
        for name in columns
    }


def categorical(table: pa.Table, column: str, *, role: str = "category") -> pa.Array:
    """A column as a large_string array; numbers, dates and booleans as they print.

    Raises:
        InputError: a type that no category can be.
    """
    values = canonical_column(table.column(column))
    check_role(pa.table({column: values}), column, role)
    found = values.cast(pa.large_string()).combine_chunks()
    return pa.concat_arrays(found.chunks) if isinstance(found, pa.ChunkedArray) else found


def numeric_matrix(table: pa.Table, columns: Sequence[str], *, where: str = "") -> Floats:
    """float64[rows, columns]; missing values are NaN, booleans 0 and 1.

    Text that spells numbers counts as numbers, words for nothing among them as missing.

    Raises:
        InputError: values that are not finite numbers: names the column and how many.
    """
    matrix = np.empty((table.num_rows, len(columns)), dtype=np.float64)
    for at, name in enumerate(columns):
        matrix[:, at] = _numbers(table.column(name), name, where)
    return matrix


def _numbers(values: pa.ChunkedArray, name: str, where: str) -> Floats:
    place = f"{where}: column" if where else "column"
    values = canonical_column(values)
    check_role(pa.table({name: values}), name, "measure", where=where)
    if is_text(values.type):
        values = _spelled(values, name, place)
    found = values.cast(pa.float64(), safe=False).to_numpy()
    found = np.asarray(found, dtype=np.float64)
    infinite = int(np.isinf(found).sum())
    if infinite:
        raise InputError(f"{place} {name!r}: {infinite} values are infinite")
    huge = int((np.abs(found) >= _HUGE).sum())
    if huge:
        raise InputError(
            f"{place} {name!r}: {huge} values are {_HUGE:g} or more", hint="no amount is so large"
        )
    return found


def _spelled(values: pa.ChunkedArray, name: str, place: str) -> pa.ChunkedArray:
    """The numbers that text spells; true and false are 1 and 0 where there is nothing else."""
    text = pc.utf8_trim_whitespace(values)
    gone = among(text, _NOTHING)
    text = pc.if_else(gone, pa.scalar(None, pa.large_string()), text)
    numeric = pc.match_substring_regex(text, _NUMBER)
    wrong = int(pc.sum(pc.invert(numeric)).as_py() or 0)
    if wrong and wrong == len(text) - text.null_count:
        lowered = pc.utf8_lower(text)
        if pc.all(among(lowered.drop_null(), _LOGICAL)).as_py():
            return pc.equal(lowered, "true")
    if wrong:
        raise InputError(
            f"{place} {name!r}: {wrong} of {len(text)} values are not numeric",
            hint=how_to_read(values, name, category=False),
        )
    return pc.replace_substring_regex(text, r"^\+", "").cast(pa.float64())


def binary_label(table: pa.Table, column: str, *, positive: str = "", where: str = "") -> Floats:
    """float64[rows] of 0 and 1.

    `positive` names the class that becomes 1. Without it, 0/1, -1/1, yes/no, true/false and
    their like are understood.

    Raises:
        InputError: missing labels, one class, more than two, or classes that need `positive`.
    """
    place = f"{where}: label {column!r}" if where else f"label {column!r}"
    check_role(table, column, "label", where=where)
    missing = null_counts(table, [column])[column]
    if missing:
        raise InputError(f"{place}: {missing} of {table.num_rows} rows have no label")
    kind = table.column(column).type
    text = pc.utf8_lower(pc.utf8_trim_whitespace(categorical(table, column, role="label")))
    text = pc.replace_substring_regex(text, r"^([+-]?\d+)\.0+$", r"\1")
    classes = [str(found) for found in pc.unique(text).to_pylist()]
    if len(classes) != 2:
        hint = (
            "both outcomes are needed, of rows whose label is known: a blank is one that nobody "
            "knows yet; where nothing happened write 0"
        )
        if _spelled_in_two(classes):
            hint = "write each class in one spelling: yes as yes in every row, no as no"
        elif len(classes) > 2:
            hint = (
                f"one that means missing: nulls = {{ {quoted_name(column)} = [...] }} in "
                "tables.toml; otherwise a column of two classes and a [[train]] for each question"
            )
            if pa.types.is_integer(kind) or pa.types.is_floating(kind):
                hint = f'model = "linear" predicts numbers, "poisson" counts; {hint}'
        raise InputError(f"{place}: found {len(classes)} classes, allowed: 2", hint=hint)
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
        raise InputError(
            f"{place}: no row has the class that positive names",
            hint="write it as the table has it; case and blanks around it do not matter",
        )
    found = pc.equal(text, wanted).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(found, dtype=np.float64)


def _spelled_in_two(classes: list[str]) -> bool:
    """Whether more than two classes are two that are written in several ways (y, yes, n, no)."""
    if not 2 < len(classes) <= _SPELLINGS:
        return False
    bare = {re.sub(r"[\s\u200b-\u200f\u2060\ufeff]", "", normalize("NFKC", c)) for c in classes}
    sides = ("yes" if c in _TRUE else "no" if c in (*_FALSE, "-1") else c for c in bare)
    return len(set(sides)) == 2


def known_labels(
    table: pa.Table, column: str, *, positive: str = "", where: str = ""
) -> np.ndarray:
    """int8[rows]: 1, 0, and -1 where the label is missing. Raises as `binary_label` does."""
    known = np.asarray(pc.is_valid(_labels(table, column, where)).to_numpy(), bool)
    found = np.full(table.num_rows, -1, np.int8)
    labelled = table.filter(pa.array(known))
    found[known] = binary_label(labelled, column, positive=positive, where=where)
    return found


def known_answers(table: pa.Table, column: str, *, counts: bool = False, where: str = "") -> Floats:
    """float64[rows]: numbers that a model is to predict, NaN where the label is missing.

    Args:
        table: holds the column.
        column: the label.
        counts: whether only whole numbers from 0 on are answers.
        where: which table, for errors.

    Raises:
        InputError: values that are no finite numbers, or no counts: says how many.
    """
    check_role(
        pa.table({column: canonical_column(table.column(column))}), column, "label", where=where
    )
    found = numeric_matrix(table, [column], where=where)[:, 0]
    known = found[~np.isnan(found)]
    wrong = int(np.count_nonzero((known < 0) | (known != np.rint(known)))) if counts else 0
    if wrong:
        place = f"{where}: label {column!r}" if where else f"label {column!r}"
        raise InputError(
            f"{place}: {wrong:,} of {len(known):,} values are no counts, whole numbers from 0 on "
            "allowed",
            hint='model = "linear" takes any numbers; an amount over a time is a count with that '
            "time as its offset",
        )
    return found


def _labels(table: pa.Table, column: str, where: str) -> pa.ChunkedArray:
    """The column, null where it is NaN or blank: neither is a class."""
    values = canonical_column(table.column(column))
    check_role(pa.table({column: values}), column, "label", where=where)
    return unwritten(values) if is_text(values.type) else values

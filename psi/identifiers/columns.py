"""Arrow columns of any usable type as text, ready for the cleaners.

Numbers, dates and categories become the text a person would have typed, so that one party's
integer column meets the other's text column: whole numbers their digits, whatever their type;
midnight its date, another time of day the date and the time, in the column's own zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psi.protocol.errors import InputError, MisuseError

__all__ = ["as_text", "fold_wide", "one_array"]

# Whole numbers below these have a float of their own; the next one is written as its neighbour.
_EXACT = {2: 2.0**11, 4: 2.0**24, 8: 2.0**53}


def one_array(column: pa.Array | pa.ChunkedArray | Sequence[Any]) -> pa.Array:
    """The column, or a list or Series, as one contiguous array."""
    if not isinstance(column, (pa.Array, pa.ChunkedArray, str, bytes, dict)):
        with suppress(pa.ArrowException, TypeError):  # told below
            column = pa.array(column)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # pyarrow keeps it chunked when empty or huge
            column = (
                pa.concat_arrays(column.chunks)
                if column.num_chunks
                else pa.array([], type=column.type)
            )
    if not isinstance(column, pa.Array):
        raise MisuseError(
            f"found a column of {type(column).__name__}, allowed: a pyarrow Array or "
            "ChunkedArray, a Series, or a list of one type"
        )
    return column


def _float_text(column: pa.Array) -> tuple[pa.Array, int]:
    """Whole floats as digits; the rest keep their fraction; too large ones become null."""
    values = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    missing = np.isnan(values)
    inexact = ~missing & ~(np.abs(values) < _EXACT[column.type.bit_width // 8])
    whole = ~missing & ~inexact & (values == np.floor(np.where(inexact, 0.0, values)))
    digits = pc.cast(
        pa.array(np.where(whole, values, 0.0).astype(np.int64), mask=~whole), pa.large_string()
    )
    if bool((whole | missing | inexact).all()):
        return digits, int(inexact.sum())
    others = pa.array(values, mask=missing | inexact).cast(pa.large_string())
    return pc.coalesce(digits, others), int(inexact.sum())


def as_text(column: pa.Array | pa.ChunkedArray | Sequence[Any]) -> tuple[pa.Array, int]:
    """`(large_string array, how many numbers were too large to be exact)`.

    A float from 2**53 on (2**24 in four bytes) may have lost digits of the identifier that it held:
    it becomes null.

    Raises:
        InputError: for a type that holds no identifiers (boolean, binary, nested).
    """
    array = one_array(column)
    kind = array.type
    if pa.types.is_dictionary(kind):
        return as_text(array.dictionary_decode())
    if pa.types.is_large_string(kind):
        return array, 0
    if pa.types.is_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.large_string()), 0
    if pa.types.is_null(kind):
        return pa.nulls(len(array), pa.large_string()), 0
    if pa.types.is_integer(kind):
        return array.cast(pa.large_string()), 0
    if pa.types.is_decimal(kind):
        return _decimal_text(array), 0
    if pa.types.is_floating(kind):
        return _float_text(array)
    if pa.types.is_date(kind):
        return pc.strftime(array, format="%Y-%m-%d").cast(pa.large_string()), 0
    if pa.types.is_timestamp(kind):
        return _time_text(array), 0
    raise InputError(
        f"found a column of type {kind}, allowed: text, numbers, dates",
        hint="export the column as text",
    )


def _decimal_text(column: pa.Array) -> pa.Array:
    """Digits, and a fraction without the zeros at its end: 12.50 as a float would be written."""
    if column.type.scale < 0:  # which print as powers of ten
        column = column.cast(pa.decimal256(76, 0))
    text = column.cast(pa.large_string())
    if column.type.scale <= 0:
        return text
    return pc.replace_substring_regex(text, r"\.?0+$", "")


def _time_text(column: pa.Array) -> pa.Array:
    """`2026-01-02`, or `2026-01-02 03:04:05.06` where it is not midnight."""
    text = pc.strftime(column, format="%Y-%m-%d %H:%M:%S").cast(pa.large_string())
    text = pc.replace_substring_regex(text, r"(\.\d*?)0+$", r"\1")
    return pc.replace_substring_regex(text, r"(?: 00:00:00)?\.?$", "")


_INVISIBLE = r"\p{Cf}+"
_DASHES = r"[\p{Pd}−·•・]"
_SPACES = r"[\p{Z}\s]"
_QUOTES = "[‘’“”´`′]"


# Look-alikes of the check character X: multiplication sign, Cyrillic Ha, Greek Chi.
_CROSSES = "[×✕ХхΧχ]"


def _fold(values: pa.Array, crosses: bool) -> pa.Array:
    """NFKC, then look-alikes of separators (and of X) to the ASCII ones."""
    values = pc.replace_substring_regex(values, _INVISIBLE, "")
    values = pc.utf8_normalize(values, form="NFKC")
    values = pc.replace_substring_regex(values, _DASHES, "-")
    values = pc.replace_substring_regex(values, _SPACES, " ")
    values = pc.replace_substring_regex(values, _QUOTES, "'")
    return pc.replace_substring_regex(values, _CROSSES, "X") if crosses else values


def fold_wide(
    text: pa.Array, *, crosses: bool = False
) -> tuple[pa.Array, np.ndarray[Any, np.dtype[np.bool_]] | None]:
    """Full-width digits and letters, odd dashes and spaces to ASCII, over distinct values only.

    `crosses` takes look-alikes of X too. Returns the text and a mask of the rows that were not
    ASCII (None: all were).
    """
    wide = pc.fill_null(pc.invert(pc.string_is_ascii(text)), False)
    if not pc.any(wide).as_py():
        return text, None
    try:
        pairs = pc.dictionary_encode(text.filter(wide))
        folded = _fold(pairs.dictionary, crosses).take(pairs.indices)
        fixed = pc.replace_with_mask(text, wide, folded)
    except pa.ArrowInvalid:
        raise InputError(
            "found text that is not valid utf-8", hint="name the file's encoding in tables.toml"
        ) from None
    return fixed, wide.to_numpy(zero_copy_only=False)

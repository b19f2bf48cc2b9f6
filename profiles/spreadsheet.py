"""Tables as CSV for spreadsheets: no cell is run as a formula, and none loses digits."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from federated.readers.canonical import canonical_column
from federated.store.files import write_atomic
from federated.text import csv_safe, csv_safe_column

__all__ = ["csv_bytes", "write_csv"]

_DIGITS = 15  # that a spreadsheet keeps
_LONG = 10**_DIGITS


def csv_bytes(table: pa.Table) -> bytes:
    """A table as CSV that a spreadsheet may open: no cell is read as a formula or loses digits.

    UTF-8 with a byte-order mark, so that spreadsheets take it for UTF-8; lists are joined by
    "; ". Numbers stay numbers, those with a fraction to six places; from 16 digits on, and text of
    digits that begins with 0, they stand as text behind an apostrophe.
    """
    columns = {csv_safe(name): _cells(table.column(name)) for name in table.column_names}
    sink = pa.BufferOutputStream()
    pa_csv.write_csv(pa.table(columns), sink, pa_csv.WriteOptions(quoting_style="needed"))
    return b"\xef\xbb\xbf" + bytes(sink.getvalue())


def _cells(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as a spreadsheet may have it: short numbers as numbers, all else as safe text."""
    column = canonical_column(column)
    kind = column.type
    if pa.types.is_decimal(kind) and kind.precision <= _DIGITS:
        column = column.cast(pa.float64())
    if pa.types.is_floating(column.type):
        return pc.round(column, 6)
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return column
    if pa.types.is_integer(kind) and (pc.max(column).as_py() or 0) < _LONG:
        return column
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        column = _joined(column.cast(pa.list_(pa.large_string())))
    return csv_safe_column(column.cast(pa.large_string()))


def _joined(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Each list's texts behind one another; a missing one leaves its place empty."""
    if pc.list_flatten(column).null_count:
        rows = [
            row and ["" if text is None else text for text in row] for row in column.to_pylist()
        ]
        column = pa.chunked_array([pa.array(rows, column.type)])
    return pc.binary_join(column, pa.scalar("; ", pa.large_string()))


def write_csv(table: pa.Table, path: Path) -> None:
    """`csv_bytes` into a file of mode 0600, old or new after a kill, never half."""
    write_atomic(path, csv_bytes(table), private=True)

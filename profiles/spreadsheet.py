"""Tables for spreadsheets: no cell is run as a formula, and none loses digits.

A CSV file cannot say that 0123 is a text: spreadsheets take it for 123, and an 18-digit number for
1.1E+17. An apostrophe before it keeps the digits in every one of them, and is seen. A workbook says
of each cell what it is: it is written beside the CSV where XlsxWriter is installed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from federated.readers.canonical import canonical_column
from federated.store.files import disk_failed, write_atomic
from federated.text import csv_safe, csv_safe_column

__all__ = [
    "csv_bytes",
    "joined_lists",
    "no_workbook",
    "write_csv",
    "write_sheets",
    "write_workbook",
]

_DIGITS = 15  # that a spreadsheet keeps
_LONG = 10**_DIGITS
_SHEET_ROWS = 200_000
_SHEET_NAME = 31  # characters
_CREATED = datetime(2000, 1, 1)
_AS_TEXT = 49  # the number of the format @ in every workbook
_CELL = 32_767  # characters that a cell of a workbook holds


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


def write_workbook(table: pa.Table, path: Path) -> bool:
    """The table as .xlsx of mode 0600, old or new after a kill; False where none is made.

    None is written of more rows than people page through; else as `write_sheets` does.
    """
    return table.num_rows <= _SHEET_ROWS and write_sheets({"": table}, path)


def no_workbook() -> str:
    """What a run says once where no workbook can be written, "" where one can."""
    if find_spec("xlsxwriter") is not None:
        return ""
    return "targets.xlsx is not written: it needs pip install 'fedprofile[spreadsheet]'"


def write_sheets(tables: Mapping[str, pa.Table], path: Path) -> bool:
    """Tables as sheets of an .xlsx of mode 0600, old or new after a kill; False without XlsxWriter.

    Numbers of up to 15 digits are numbers, all else is text as it is: nothing is run as a formula,
    digits and leading zeros stay. The sheet of "" has the name that spreadsheets give a first one.
    """
    try:
        import xlsxwriter
    except ImportError:
        return False
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            made = Path(folder, "book")
            options = {
                "constant_memory": True, "tmpdir": folder,
                "strings_to_formulas": False, "strings_to_urls": False,
            }  # fmt: skip
            with xlsxwriter.Workbook(str(made), options) as book:
                book.set_properties({"created": _CREATED})  # the same table, the same bytes
                for name, table in tables.items():
                    _write_sheet(book, name[:_SHEET_NAME] or None, table)
            made.chmod(0o600)
            made.replace(path)
    except (OSError, xlsxwriter.exceptions.FileCreateError) as error:
        # the package wraps what the system said
        said = error if isinstance(error, OSError) else OSError(*getattr(error.args[0], "args", ()))
        raise disk_failed(f"cannot write {path}", said) from None
    return True


def _write_sheet(book: Any, name: str | None, table: pa.Table) -> None:
    """Texts have the format of texts, so that one that is edited stays one, and a spreadsheet does
    not mark their digits as a slip, with an offer to make rounded numbers of them."""
    from xlsxwriter.utility import xl_range

    heading, text = book.add_format({"bold": True}), book.add_format({"num_format": _AS_TEXT})
    sheet = book.add_worksheet(name)
    sheet.freeze_panes(1, 0)
    for place, column in enumerate(table.column_names):
        sheet.write_string(0, place, column, heading)
    columns = [_plain_cells(table.column(column)).to_pylist() for column in table.column_names]
    for number, row in enumerate(zip(*columns, strict=True), start=1):
        _write_row(sheet, number, row, text)
    if columns:
        every = xl_range(0, 0, table.num_rows, len(columns) - 1)
        sheet.ignore_errors({"number_stored_as_text": every})


def joined_lists(table: pa.Table) -> pa.Table:
    """The table with each list as one text, its parts behind "; "."""
    for place, field in enumerate(table.schema):
        if pa.types.is_list(field.type) or pa.types.is_large_list(field.type):
            column = table.column(place).cast(pa.list_(pa.large_string()))
            table = table.set_column(place, field.name, _joined(column))
    return table


def _plain_cells(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers that a spreadsheet keeps whole, booleans, or text without marks before it."""
    column = canonical_column(column)
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_null(kind) or pa.types.is_floating(kind):
        return pc.round(column, 6) if pa.types.is_floating(kind) else column
    if pa.types.is_integer(kind) and (pc.max(pc.abs(column)).as_py() or 0) < _LONG:
        return column
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        column = _joined(column.cast(pa.list_(pa.large_string())))
    return column.cast(pa.large_string())


def _write_row(sheet: Any, number: int, row: tuple[Any, ...], text: Any) -> None:
    for place, value in enumerate(row):
        if isinstance(value, bool):
            sheet.write_boolean(number, place, value)
        elif isinstance(value, str):
            sheet.write_string(number, place, value[:_CELL], text)
        elif value is not None and value == value:  # noqa: PLR0124
            sheet.write_number(number, place, value)

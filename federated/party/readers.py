"""CSV, Parquet and databases to Arrow: only the columns asked for, keys as text.

CSV goes through `pyarrow.csv` in the file's own encoding; databases through Ibis. No error
holds a cell: Arrow's own messages quote rows, so they are replaced, not wrapped.
"""

from __future__ import annotations

import codecs
import contextlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from psi.protocol.errors import InputError

__all__ = [
    "CsvFormat",
    "arrow_expression",
    "csv_columns",
    "database_table",
    "duckdb_connection",
    "missing_column",
    "parquet_columns",
    "read_csv",
    "read_parquet",
]

_NULLS = ("", "NULL", "null", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "None", "\\N")


@dataclass(frozen=True)
class CsvFormat:
    """How a CSV file is written."""

    encoding: str = "utf-8"
    delimiter: str = ","
    nulls: tuple[str, ...] = ()


def missing_column(where: str, column: str, known: Sequence[str]) -> InputError:
    """The error for a column that a table does not have."""
    if len(known) == 1:
        for mark in (";", "\t", "|", ","):
            if column in (name.strip('" ') for name in known[0].split(mark)):
                shown = "\\t" if mark == "\t" else mark
                hint = f'the fields are divided by another mark: set delimiter = "{shown}"'
                return InputError(f"{where}: no column {column!r}", hint=f"{hint} in tables.toml")
    folded = {name.strip().casefold(): name for name in known}
    close = get_close_matches(column, known, n=1)
    if column.strip().casefold() in folded:
        close = [folded[column.strip().casefold()]]
    hint = f"did you mean {close[0]!r}?" if close else f"columns: {_few(known)}"
    return InputError(f"{where}: no column {column!r}", hint=hint)


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:12])
    return f"{shown} and {len(names) - 12} more" if len(names) > 12 else shown


def _parse_options(form: CsvFormat, **extra: Any) -> pcsv.ParseOptions:
    return pcsv.ParseOptions(delimiter=form.delimiter, newlines_in_values=True, **extra)


def _marked_utf16(path: Path) -> bool:
    """Whether a file begins with the mark of UTF-16."""
    with pa.input_stream(path) as start:
        return start.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _encoding_error(where: str, path: Path, form: CsvFormat) -> InputError:
    """Where the text stops being of its encoding, and which other one the whole file is in."""
    line, others = _first_bad_line(path, form.encoding), []
    for name in ("utf-16",) if _marked_utf16(path) else ("utf-8", "gb18030"):
        same = codecs.lookup(name) == codecs.lookup(form.encoding)
        if not same and not _first_bad_line(path, name):
            others.append('"gbk"' if name == "gb18030" else f'"{name}"')
    hint = f"try encoding = {' or '.join(others)} in tables.toml"
    if not others:
        hint = "it may mix encodings, as files put together from several do: export it again as one"
        western = not _first_bad_line(path, "windows-1252")  # which takes nearly all bytes
        if western and _first_bad_line(path, "ascii") == line:
            it = 'if it is Western European, set encoding = "windows-1252" in tables.toml'
            hint = f"{it}; if not, {hint}"
    place = f" from line {line:,} on" if line > 1 else ""
    return InputError(f"{where}: {path.name} is not {form.encoding} text{place}", hint=hint)


def _first_bad_line(path: Path, encoding: str) -> int:
    """The number of the first line that is not of this encoding; 0 if all are."""
    decoder, line = codecs.getincrementaldecoder(encoding)(), 1
    with pa.input_stream(path) as file:  # compressed files as Arrow reads them
        while part := file.read(1 << 20):
            try:
                line += decoder.decode(part).count("\n")
            except UnicodeDecodeError as error:
                return line + error.object[: error.start].count(b"\n")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return line
    return 0


def csv_columns(where: str, path: Path, form: CsvFormat) -> list[str]:
    """The header of a CSV file.

    Raises:
        InputError: an empty file, another encoding, or a file that is no CSV.
    """
    parse = _parse_options(form, invalid_row_handler=lambda _row: "skip")
    try:
        if _marked_utf16(path) and not codecs.lookup(form.encoding).name.startswith("utf-16"):
            raise _encoding_error(where, path, form)
        reader = pcsv.open_csv(
            path,
            read_options=pcsv.ReadOptions(encoding=form.encoding, block_size=1 << 22),
            parse_options=parse,
        )
        with reader:
            return [name.removeprefix("\ufeff") for name in reader.schema.names]
    except UnicodeError:
        raise _encoding_error(where, path, form) from None
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            raise InputError(f"{where}: {path.name} is empty") from None
        if "UTF8" in str(error):
            raise _encoding_error(where, path, form) from None
        raise InputError(f"{where}: {path.name} cannot be read as csv") from None
    except OSError as error:
        raise _unreadable(where, path, error) from None


def _unreadable(where: str, path: Path, error: OSError) -> InputError:
    reason = error.strerror or "damaged or compressed in another way"
    return InputError(f"{where}: {path.name} cannot be read ({reason.lower()})")


def read_csv(
    where: str, path: Path, form: CsvFormat, columns: Sequence[str], text: Sequence[str]
) -> pa.Table:
    """Columns of a CSV file; those in `text` as strings, the others by what they hold.

    Raises:
        InputError: lines with too many or too few fields (their numbers), another encoding.
    """
    header = csv_columns(where, path, form)
    for column in columns:
        if column not in header:
            raise missing_column(where, column, header)
        if header.count(column) > 1:
            raise InputError(f"{where}: {path.name} has {header.count(column)} columns {column!r}")
    convert = pcsv.ConvertOptions(
        include_columns=list(columns),
        column_types={name: pa.string() for name in text},
        null_values=[*_NULLS, *form.nulls],
        strings_can_be_null=True,
        check_utf8=True,
    )
    options = pcsv.ReadOptions(encoding=form.encoding, column_names=header, skip_rows=1)
    try:
        table = pcsv.read_csv(
            path, read_options=options, parse_options=_parse_options(form), convert_options=convert
        )
    except UnicodeError:
        raise _encoding_error(where, path, form) from None
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return pa.table({name: pa.array([], type=pa.string()) for name in columns})
        if "UTF8" in str(error):
            raise _encoding_error(where, path, form) from None
        raise _ragged(where, path, form, options) from None
    except OSError as error:
        raise _unreadable(where, path, error) from None
    if any(pa.types.is_binary(field.type) for field in table.schema):
        # Arrow falls back to bytes where text is not UTF-8.
        raise _encoding_error(where, path, form)
    return table


def _ragged(where: str, path: Path, form: CsvFormat, options: pcsv.ReadOptions) -> InputError:
    """Read again on one thread to find which lines have the wrong number of fields."""
    found: list[tuple[int, int, int]] = []

    def note(row: pcsv.InvalidRow) -> str:
        found.append((row.number or 0, row.actual_columns, row.expected_columns))
        return "skip"

    options.use_threads = False
    with contextlib.suppress(pa.ArrowInvalid):
        pcsv.read_csv(
            path,
            read_options=options,
            parse_options=_parse_options(form, invalid_row_handler=note),
            convert_options=pcsv.ConvertOptions(check_utf8=False),
        )
    if not found:
        return InputError(f"{where}: {path.name} cannot be read as csv")
    line, fields, expected = found[0]
    more = f"; {len(found)} such lines in all" if len(found) > 1 else ""
    return InputError(
        f"{where}: {path.name} line {line} has {fields} fields, the header {expected}{more}",
        hint=f"check delimiter = {form.delimiter!r} and the quotes around commas",
    )


def parquet_columns(where: str, path: Path) -> list[str]:
    """Column names of a Parquet file or a folder of them."""
    try:
        names = pq.ParquetDataset(path).schema.names
    except (pa.ArrowException, OSError):
        raise InputError(f"{where}: {path.name} cannot be read as parquet") from None
    return [str(name) for name in names]


def read_parquet(where: str, path: Path, columns: Sequence[str]) -> pa.Table:
    """Columns of a Parquet file or a folder of them.

    Raises:
        InputError: a missing column or a damaged file.
    """
    known = parquet_columns(where, path)
    for column in columns:
        if column not in known:
            raise missing_column(where, column, known)
    try:
        return pq.read_table(path, columns=list(columns))
    except (pa.ArrowException, OSError):
        raise InputError(f"{where}: {path.name} cannot be read as parquet") from None


class _ArrowNames:
    """A DuckDB 2 connection under the method names that Ibis 12 calls it by."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        renamed = {
            "fetch_arrow_table": "to_arrow_table",
            "fetch_record_batch": "to_arrow_reader",
        }
        return getattr(self._connection, renamed.get(name, name))

    def execute(self, *args: Any, **kwargs: Any) -> _ArrowNames:
        self._connection.execute(*args, **kwargs)
        return self

    def cursor(self) -> _ArrowNames:
        return _ArrowNames(self._connection.cursor())

    def __enter__(self) -> _ArrowNames:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def duckdb_connection(path: str | Path = ":memory:", *, read_only: bool = False) -> Any:
    """An Ibis connection to DuckDB; every DuckDB connection is made here.

    Extensions are neither installed nor loaded, by themselves or by a query, and no query
    reads or writes another file: DuckDB lets none of these be turned on again. Arrow tables
    come in by `arrow_expression`, files by this module's readers.
    """
    import duckdb
    import ibis

    connection: Any = duckdb.connect(
        str(path),
        read_only=read_only,
        config={
            "enable_external_access": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
        },
    )
    if not hasattr(connection, "fetch_arrow_table"):
        connection = _ArrowNames(connection)
        # About a copy of a few rows of schema, and about an old name of a method.
        for message in ("Arrow output on a DB-API result", r"fetch_arrow_table\(\) is deprecated"):
            warnings.filterwarnings("ignore", message=message)
    return ibis.duckdb.from_connection(connection)


def arrow_expression(connection: Any, name: str, table: pa.Table) -> Any:
    """An Ibis expression over an Arrow table, without a copy, under `name` on a connection."""
    connection.con.register(name, table)
    return connection.table(name)


def _duckdb_path(url: str, base: Path) -> Path:
    """`duckdb:///file.db`: absolute if such a file is there, else beside tables.toml."""
    path = url.removeprefix("duckdb://")
    if path.startswith("/") and Path(path).exists():
        return Path(path)
    return base / path.lstrip("/")


def database_table(where: str, url: str, name: str, base: Path) -> Any:
    """An Ibis table expression for `SCHEMA.TABLE` or `TABLE` behind a connection URL.

    Raises:
        InputError: no such database or table, or no driver for it; never with the URL, which
            may hold a password.
    """
    scheme = urlsplit(url).scheme
    try:
        if scheme == "duckdb":
            path = _duckdb_path(url, base)
            if not path.exists():
                raise InputError(f"{where}: no database file {path}")
            connection = duckdb_connection(path, read_only=True)
        else:
            import ibis

            connection = ibis.connect(url)
    except InputError:
        raise
    except ImportError:
        raise InputError(
            f"{where}: no driver for {scheme}",
            hint=f"pip install 'ibis-framework[{scheme}]'",
        ) from None
    except Exception as error:  # drivers raise types of their own, with the password in the text
        raise InputError(f"{where}: cannot connect to {scheme} ({type(error).__name__})") from None
    schema, _, table = name.rpartition(".")
    try:
        return connection.table(table, database=schema or None)
    except Exception as error:
        raise InputError(f"{where}: cannot open table {name!r} ({type(error).__name__})") from None

"""Readers of tables: CSV, Parquet, folders of parts, SQLite, DuckDB and what else Ibis opens.

Every reader ends in the values as they are written, or in an error with a line or a column: never
in fewer rows, other digits or a vanished value. One suite (`tests/unit/readers`) passes them all.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from federated.readers.base import CsvFormat, Reader, missing_column
from federated.readers.csv_file import CsvReader
from federated.readers.database import DatabaseReader, arrow_expression, duckdb_connection
from federated.readers.folder import FolderReader
from federated.readers.parquet_file import ParquetReader
from federated.readers.sniff import is_parquet, no_file, reading
from federated.readers.sqlite_file import SqliteReader

__all__ = [
    "CsvFormat",
    "Reader",
    "arrow_expression",
    "duckdb_connection",
    "missing_column",
    "of_database",
    "of_path",
    "reading",
]


def of_path(where: str, path: Path, form: CsvFormat) -> Reader:
    """The reader of a file, or of a folder of parts.

    Args:
        where: where the table is bound, "tables.toml: [bank.people]", for messages.
        path: a CSV or Parquet file, or a folder of them.
        form: how a CSV file is written.
    """
    if path.is_dir():
        return FolderReader(where, path, form)
    if not path.is_file():
        raise no_file(where, path)
    return ParquetReader(where, path) if is_parquet(path) else CsvReader(where, path, form)


def of_database(where: str, url: str, table: str, base: Path) -> Reader:
    """The reader of a table in a database; files are found relative to `base`.

    Args:
        where: where the table is bound, "tables.toml: [bank.people]", for messages.
        url: SCHEME://…, with a password perhaps: no message holds it.
        table: "TABLE" or "SCHEMA.TABLE".
    """
    scheme = urlsplit(url).scheme
    reader = SqliteReader if scheme == "sqlite" else DatabaseReader
    return reader(where, url, table, base)

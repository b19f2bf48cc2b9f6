"""Tables of an engine to a file, in chunks: Parquet, or a DuckDB file for questions in SQL."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from federated.store.files import disk_failed
from profiles.duckdb_file import new_duckdb_file
from profiles.flows.engine import Engine
from psi.protocol.errors import MisuseError

__all__ = ["CHUNK", "batches", "write_duckdb", "write_parquet"]

CHUNK = 1 << 17
_PRIVATE = 0o600


def batches(table: Any) -> Iterator[pa.RecordBatch]:
    """An Ibis table's rows, `CHUNK` at a time: never all of them in this process.

    Of Spark Ibis brings a result out whole; its own iterator holds one partition at a time.
    """
    connection = ibis.get_backend(table)
    if connection.name != "pyspark":
        yield from table.to_pyarrow_batches(chunk_size=CHUNK)
        return
    schema, view = table.schema().to_pyarrow(), Engine.fresh("batches")
    connection.create_view(view, table)
    try:
        rows = connection.raw_sql(f"SELECT * FROM {view}").toLocalIterator()  # noqa: S608 our name
        while some := list(islice(rows, CHUNK)):
            columns = zip(*some, strict=True)
            arrays = [pa.array(one, field.type) for one, field in zip(columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
    finally:
        connection.raw_sql(f"DROP VIEW {view}")


def write_parquet(table: Any, path: Path, said: Mapping[str, str] | None = None) -> int:
    """Write an Ibis table, `CHUNK` rows at a time; the number of rows. `said`: kept in the schema.

    The file is the owner's alone to read, and stands under its name when it is whole.

    Raises `EnvironmentFailed`: it cannot be written.
    """
    written, beside = 0, path.with_name(f".{path.name}.part")
    schema = table.schema().to_pyarrow()
    try:
        _reserve(beside)
        with pq.ParquetWriter(beside, schema.with_metadata(said)) as writer:
            for batch in batches(table):
                writer.write_batch(batch.cast(schema) if batch.schema != schema else batch)
                written += batch.num_rows
        beside.replace(path)
    except OSError as error:
        raise disk_failed(f"cannot write {path}", error) from None
    finally:
        beside.unlink(missing_ok=True)
    return written


def write_duckdb(tables: dict[str, Any], path: Path) -> None:
    """Write Ibis tables of any engine into a new DuckDB file, by name.

    Raises:
        MisuseError: the file is there already.
        EnvironmentFailed: it cannot be written.
    """
    if path.exists():
        raise MisuseError(f"{path} is there already", hint="remove it, or name another file")
    with new_duckdb_file(path) as connection:
        for name, table in tables.items():
            connection.create_table(name, schema=table.schema())
            for batch in batches(table):
                connection.con.register("batch", batch)
                # the name is one of this module's callers, never a user's
                connection.raw_sql(f'INSERT INTO "{name}" SELECT * FROM batch')  # noqa: S608


def _reserve(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, _PRIVATE))

"""A run's tables where people work with them: a DuckDB file, a PostgreSQL database, a workbook.

Every table of the run's folder goes over, with the note on each column where there is room for one.
A workbook is in the language of the run's report; a DuckDB file and a database have the texts of
the Parquet files. A DuckDB file or a workbook is whole or not there; a database has all tables of a
run or those that it had before.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from federated.readers.database_errors import reason
from federated.readers.postgres_watch import patient, watch
from profiles.copies import EXPORT, note_copy
from profiles.dictionary import NOTE
from profiles.duckdb_file import new_duckdb_file
from profiles.language import Language
from profiles.said_tables import said_list, said_profiles, spoken_in
from profiles.spreadsheet import joined_lists, write_sheets
from psi.protocol.errors import InputError, MisuseError, not_installed

__all__ = ["export"]

_DATABASES = ("postgresql://", "postgres://")
_ENDINGS = (".duckdb", ".xlsx")
_KINDS = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_integer, "bigint"),
    (pa.types.is_floating, "double precision"),
    (pa.types.is_date, "date"),
)


def export(out: Path, to: str, *, schema: str = "public", overwrite: bool = False) -> list[str]:
    """Copy a run's tables.

    Args:
        out: the folder of a run.
        to: a file that ends in .duckdb or .xlsx, or the address of a database that begins with
            postgresql://.
        schema: of the database; it has to be there.
        overwrite: replace a file, or tables of the same names.

    Returns: the tables' names with their rows.

    Raises:
        InputError: no run, or a database that cannot be used.
        MisuseError: something else to copy to, or what is there already.
        EnvironmentFailed: a package or the disk.
    """
    tables = dict(_tables(out))
    if not tables:
        raise InputError(f"{out}: no table of a run", hint="name the --out of fedprofile run")
    if to.startswith(_DATABASES):
        _to_postgres(tables, to, schema, overwrite)
        note_copy(out, EXPORT, to)
    elif to.endswith(_ENDINGS):
        path = Path(to)
        if path.exists() and not overwrite:
            raise MisuseError(f"{path} exists", hint="name another file, or --overwrite")
        _check_closed(path)
        if path.suffix == ".duckdb":
            _to_duckdb(tables, path)
        else:
            _to_workbook(_in_words(tables, spoken_in(out)), path)
        note_copy(out, EXPORT, path)
    else:
        raise MisuseError(
            f"found neither a file that ends in {' or '.join(_ENDINGS)} nor "
            "postgresql://HOST/DATABASE to copy to"
        )
    return [f"{name}: {table.num_rows:,} rows" for name, table in tables.items()]


def _check_closed(path: Path) -> None:
    """Refuse a file that a spreadsheet has open: whoever saves it there would undo the copy."""
    marks = (f"~${path.name}", f".~lock.{path.name}#")
    if open_by := next((mark for mark in marks if path.with_name(mark).exists()), ""):
        raise MisuseError(
            f"{path} is open in a spreadsheet ({open_by} is beside it)",
            hint="close it there, or name another file; a mark that a crash left can be deleted",
        )


def _tables(out: Path) -> Iterator[tuple[str, pa.Table]]:
    for path in sorted(out.glob("*.parquet")):
        try:
            yield path.stem, pq.read_table(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None


def _in_words(tables: dict[str, pa.Table], t: Language) -> dict[str, pa.Table]:
    """What people read, in the language of the run's report."""
    of_people = {"targets": said_list, "campaign": said_list, "profiles": said_profiles}
    return {
        name: of_people[name](table, t) if name in of_people else table
        for name, table in tables.items()
    }


def _to_duckdb(tables: dict[str, pa.Table], path: Path) -> None:
    with new_duckdb_file(path) as connection:
        for name, table in tables.items():
            connection.con.register("given", table)
            connection.raw_sql(f"CREATE TABLE {_quoted(name)} AS SELECT * FROM given")  # noqa: S608
            for column, note in _notes(table):
                where = f"{_quoted(name)}.{_quoted(column)}"
                connection.raw_sql(f"COMMENT ON COLUMN {where} IS {_text(note)}")
            connection.con.unregister("given")


def _to_workbook(tables: dict[str, pa.Table], path: Path) -> None:
    large = [name for name, table in tables.items() if table.num_rows >= 2**20]
    if large:
        raise MisuseError(
            f"{large[0]} has {tables[large[0]].num_rows:,} rows, a sheet 1,048,575",
            hint="copy to a .duckdb file or a database",
        )
    if not write_sheets(tables, path):
        raise not_installed("a workbook", "XlsxWriter", "fedprofile[spreadsheet]")


def _to_postgres(tables: dict[str, pa.Table], address: str, schema: str, overwrite: bool) -> None:
    try:
        import psycopg
    except ImportError:
        raise not_installed("PostgreSQL", "psycopg", "fedprofile[postgres]") from None
    try:
        given: dict[str, Any] = dict(patient(address))
        with psycopg.connect(address, **given) as connection:
            watch(connection)
            for name, table in tables.items():
                _copied(connection, f"{_quoted(schema)}.{_quoted(name)}", table, overwrite)
    except psycopg.errors.DuplicateTable:
        raise MisuseError(
            f"the database has a table {name!r} in {schema!r}", hint="--overwrite replaces it"
        ) from None
    except psycopg.Error as error:
        # an address may hold a password, and a message a cell
        why, hint = reason(error)
        said = why or f"the database said {type(error).__name__}"
        raise InputError(f"{said}: nothing was written", hint=hint) from None


def _copied(connection: Any, name: str, table: pa.Table, overwrite: bool) -> None:
    columns = [(field.name, _kind(field.type)) for field in table.schema]
    with connection.cursor() as cursor:
        if overwrite:
            cursor.execute(f"DROP TABLE IF EXISTS {name}")
        made = ", ".join(f"{_quoted(column)} {kind}" for column, kind in columns)
        cursor.execute(f"CREATE TABLE {name} ({made})")
        with cursor.copy(f"COPY {name} FROM STDIN WITH (FORMAT csv)") as copy:
            for batch in joined_lists(table).to_batches(max_chunksize=1 << 16):
                sink = pa.BufferOutputStream()
                options = pa_csv.WriteOptions(include_header=False)
                pa_csv.write_csv(pa.Table.from_batches([batch]), sink, options)
                copy.write(sink.getvalue().to_pybytes())
        for column, note in _notes(table):
            cursor.execute(f"COMMENT ON COLUMN {name}.{_quoted(column)} IS {_text(note)}")


def _kind(kind: pa.DataType) -> str:
    return next((name for fits, name in _KINDS if fits(kind)), "text")


def _notes(table: pa.Table) -> Iterator[tuple[str, str]]:
    for field in table.schema:
        note = (field.metadata or {}).get(NOTE, b"").decode()
        if note:
            yield field.name, note


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(note: str) -> str:
    return "'" + note.replace("'", "''") + "'"

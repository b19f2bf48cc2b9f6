"""Rows of a database's table, in one order whatever columns are asked for.

A file's rows have places; a database promises none. So that a row is the same row from one job to
the next, and from a file or from the database that it was loaded into, rows come in the order in
which they are stored:

    DuckDB      keeps the order of insertion by itself
    SQLite      by its row number (sqlite.org/rowidtable.html): `sqlite_file`
    PostgreSQL  by the row's place in its file, `ctid` (documentation, 5.6 System Columns), tables
                of a partitioned one after the other

Where a table has no such place (a view, a table of another database), rows are ordered by all its
columns that can be ordered: not by those asked for, or two questions would see two orders.

PostgreSQL's types that Arrow does not have are `postgres_types`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from federated.readers.postgres_types import decimals, postgres_columns

__all__ = ["read_stored"]

_EXACT = ("duckdb", "postgres")
"""Engines whose whole numbers come as they are; others pass through floats where some are null."""
_HAVE_CTID = ("r", "p", "m")  # tables, partitioned ones, materialised views


def read_stored(expression: Any, columns: Sequence[str], text: Sequence[str]) -> pa.Table:
    """The columns of an Ibis table, whole numbers among those in `text` as text.

    Raises what the driver raises.
    """
    import ibis

    connection = ibis.get_backend(expression)
    if connection.name == "postgres" and hasattr(expression.op(), "namespace"):
        return _from_postgres(connection, expression, columns)
    found = expression.select(*columns)
    if connection.name != "duckdb":
        order = _ordered(expression)
        found = expression.order_by(order).select(*columns) if order else found
    whole = {n: found[n].cast("string") for n in columns if _goes_as_text(connection, found[n])}
    read = found.mutate(**whole).to_pyarrow() if whole else found.to_pyarrow()
    read = read.select(list(columns))
    for name in whole:
        if name not in text:
            at = read.schema.get_field_index(name)
            read = read.set_column(at, name, read.column(name).cast(pa.int64()))
    return read


def _goes_as_text(connection: Any, column: Any) -> bool:
    """Whether digits would be lost on the way: 18 of them, beside a null, do not fit a float."""
    return connection.name not in _EXACT and column.type().is_integer()


def _ordered(expression: Any) -> list[str]:
    return [str(name) for name, kind in expression.schema().items() if _has_order(kind)]


def _has_order(kind: Any) -> bool:
    known = (kind.is_numeric(), kind.is_string(), kind.is_temporal(), kind.is_boolean())
    return any(known)


def _from_postgres(connection: Any, expression: Any, columns: Sequence[str]) -> pa.Table:
    """The columns by the rows' places."""
    import sqlglot as sg

    dialect = connection.dialect
    table = _table(expression)
    wanted = postgres_columns(connection, table.sql(dialect=dialect))
    places = _places(connection, expression)
    named: list[Any] = []
    for name in columns:
        value: Any = sg.column(name, quoted=True)
        for cast in wanted[name].casts:
            value = sg.exp.cast(value, cast, dialect=dialect)
        named.append(value.as_(name, quoted=True))
    named += [sg.parse_one(sql, dialect=dialect).as_(name) for name, sql in places.items()]
    query = sg.select(*named).from_(table).sql(dialect=dialect)
    types = connection.compiler.type_mapper
    schema = {name: types.from_string(wanted[name].comes) for name in columns}
    read = connection.sql(query, schema=schema | dict.fromkeys(places, "int64")).to_pyarrow()
    read = _by_place(read, list(places)).select(list(columns))
    for at, name in enumerate(columns):
        if wanted[name].exact:
            read = read.set_column(at, name, decimals(read.column(name)))
    return read


def _places(connection: Any, expression: Any) -> dict[str, str]:
    """SQL of the columns that say where a row is stored, by names that the table does not use."""
    import sqlglot as sg

    taken = {str(name).lower() for name in expression.columns}
    if _kind_of(connection, expression) in _HAVE_CTID:
        place = "(ctid::text::point)"
        found = ["tableoid::bigint", f"{place}[0]::bigint", f"{place}[1]::bigint"]
    else:
        order = [sg.column(name, quoted=True).sql("postgres") for name in _ordered(expression)]
        found = [f"row_number() over (order by {', '.join(order)})"] if order else []
    names = (name for name in (f"place_{i}" for i in range(1 << 20)) if name not in taken)
    return dict(zip(names, found, strict=False))


def _kind_of(connection: Any, expression: Any) -> str:
    """PostgreSQL's `relkind`."""
    query = "SELECT relkind FROM pg_catalog.pg_class WHERE oid = to_regclass(%s)"
    name = _table(expression).sql(dialect="postgres")
    with connection.con.cursor() as cursor:
        found = cursor.execute(query, (name,)).fetchone()
    return str(found[0]) if found else ""


def _table(expression: Any) -> Any:
    """The table's quoted name, for SQL."""
    from sqlglot import exp

    op = expression.op()
    return exp.table_(op.name, db=op.namespace.database, quoted=True)


def _by_place(table: pa.Table, places: Sequence[str]) -> pa.Table:
    """The rows in the order of these columns; they nearly always are already."""
    keys = [table.column(name).to_numpy() for name in reversed(places)]
    if not keys:
        return table
    order = np.lexsort(keys)
    return table if (np.diff(order) == 1).all() else table.take(pa.array(order))

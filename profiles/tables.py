"""Every party's tables, for jobs run on one machine: a `tables.toml`, or tables at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from federated.readers.stored import read_stored
from federated.tables.about import About
from federated.tables.bindings import TablesFile
from federated.tables.source import FileSource, MemorySource, Source
from psi.protocol import InputError, MisuseError

__all__ = ["GivenTables", "open_tables"]


def open_tables(tables: str | Path | Mapping[str, Any]) -> Source:
    """The source of a job's tables; no row is read yet.

    Args:
        tables: the path of a `tables.toml`, or the tables themselves by logical name
            (`"bank.people"`): see `GivenTables`.

    Raises:
        JobError: the file is wrong.
        MisuseError: something that is no table.

    >>> people = pa.table({"id": ["p1", "p2"], "loans": [0, 3]})
    >>> open_tables({"bureau.people": people}).columns("bureau.people")
    ['id', 'loans']
    """
    if isinstance(tables, Mapping):
        return GivenTables(tables)
    return FileSource(TablesFile.load(Path(tables)))


class GivenTables:
    """Tables at hand by logical name (a `Source`), each of any kind:

    - a pandas DataFrame: a named index is a column, another one is left out;
    - an Arrow table, and whatever else hands out Arrow's C stream (polars, DuckDB relations);
    - an Ibis table: read through its own connection, when a job begins.
    """

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self._tables = dict(tables)
        for name, table in self._tables.items():
            if not (_is_frame(table) or _is_ibis(table) or hasattr(table, "__arrow_c_stream__")):
                raise MisuseError(
                    f"{name}: found {type(table).__name__}, a DataFrame, an Arrow table or an Ibis "
                    "table is needed"
                )

    def __repr__(self) -> str:
        return f"<tables {', '.join(self._tables)}>"

    def load(self, table: str, columns: Sequence[str], *, keys: Sequence[str] = ()) -> pa.Table:
        """The named columns. Raises `InputError`."""
        known, wanted = self.columns(table), list(dict.fromkeys(columns))
        given = self._tables[table]
        there = [name for name in wanted if name in known]
        if not there:
            found = pa.table({})
        elif _is_frame(given):
            found = _of_frame(table, given, there)
        elif _is_ibis(given):
            found = _of_ibis(table, given, there, keys)
        else:
            found = pa.table(given).select(there)
        return MemorySource({table: found}).load(table, wanted, keys=keys)

    def columns(self, table: str) -> list[str]:
        """Names of a table's columns. Raises `InputError` where there is no such table."""
        if table not in self._tables:
            raise InputError(
                f"no table {table!r}", hint=f"there are: {', '.join(self._tables) or 'none'}"
            )
        given = self._tables[table]
        if _is_ibis(given):
            return [str(name) for name in given.columns]
        names = list(_whole(given).columns) if _is_frame(given) else pa.table(given).column_names
        wrong = [name for name in names if not isinstance(name, str) or names.count(name) > 1]
        if wrong:
            raise InputError(f"{table}: column {wrong[0]!r} is there twice, or has no text as name")
        return names

    def permission(self, table: str, column: str) -> str:
        """Nothing is said of columns."""
        del table, column
        return ""

    def keys(self, table: str) -> tuple[str, ...]:
        """Nothing is said of keys."""
        del table
        return ()

    def basis(self, table: str) -> None:
        """Nothing is said of bases."""
        del table

    def about(self, table: str) -> About:
        """Nothing is said of whom it is about."""
        del table
        return About()


def _is_frame(table: Any) -> bool:
    return type(table).__module__.split(".")[0] == "pandas" and hasattr(table, "columns")


def _is_ibis(table: Any) -> bool:
    return type(table).__module__.split(".")[0] == "ibis" and hasattr(table, "columns")


def _whole(frame: Any) -> Any:
    """The frame with its named index as columns."""
    return frame.reset_index() if any(name is not None for name in frame.index.names) else frame


def _of_frame(where: str, frame: Any, columns: Sequence[str]) -> pa.Table:
    whole, found = _whole(frame), {}
    for name in columns:
        try:
            found[name] = pa.chunked_array([pa.array(whole[name], from_pandas=True)])
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError):  # their texts quote cells
            raise InputError(
                f"{where}: column {name!r} holds values of several types",
                hint=f"frame[{name!r}].astype(str), or numbers only",
            ) from None
    return pa.table(found)


def _of_ibis(where: str, table: Any, columns: Sequence[str], keys: Sequence[str]) -> pa.Table:
    try:
        return read_stored(table, columns, [name for name in columns if name in keys])
    except Exception as error:  # drivers raise types of their own, with rows in the text
        raise InputError(f"{where}: it cannot be read ({type(error).__name__})") from None

"""Feature views beside a table: a file that `fedprofile flows views` wrote, joined on by entity.

    [bank.consumers]
    path = "consumers.csv"
    views = { path = "features.parquet", by = "cust_no" }

Its columns are then the table's own: a job names them as others, permissions hold for them. A row
whose entity has no features has missing ones. The file says which views of which version it holds,
and as of which day; one that says nothing of the kind is refused, since nothing would vouch for
when its columns were known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from federated.readers.advice import quoted_name
from federated.tables.spelled import ALIKE, nearly
from psi.protocol.errors import InputError, JobError

__all__ = ["ENTITY", "VIEW_FILE", "ViewFile", "read_views"]

VIEW_FILE = "fedprofile.views"
"""The key under which a file's schema says what it holds."""
ENTITY = "entity"


@dataclass(frozen=True, kw_only=True)
class ViewFile:
    """The file, and the table's column that holds the entities' numbers."""

    where: str
    path: str
    by: str

    def columns(self, location: Path) -> list[str]:
        """The features' names.

        Raises:
            InputError: the file cannot be read, or was not written by `fedprofile flows views`.
        """
        schema = self._schema(location)
        return [name for name in schema.names if name != ENTITY]

    def said(self, location: Path) -> dict[str, Any]:
        """views, kind, cut_off, currency, taxonomy. Raises `InputError`."""
        found: dict[str, Any] = json.loads(self._schema(location).metadata[VIEW_FILE.encode()])
        return found

    def joined(self, table: pa.Table, location: Path, wanted: Sequence[str]) -> pa.Table:
        """`table`, which holds `by` as text, with the wanted features.

        Raises:
            InputError: an entity stands in the file twice; nobody of the table is in it, or most
                would be if both wrote them alike.
        """
        try:
            features = pq.read_table(location, columns=[ENTITY, *wanted])
        except (OSError, pa.ArrowException) as error:
            raise self._unread(location, error) from None
        entities = features[ENTITY].combine_chunks()
        if len(pc.unique(entities)) < len(entities):
            raise InputError(
                f"{self.where} views: {location.name} has an entity twice, once needed"
            )
        names = pc.utf8_trim_whitespace(table[self.by])
        at = pc.index_in(names, value_set=entities)
        self._check_met(names.filter(pc.is_null(at)), entities, len(names), location.name)
        for name in wanted:
            table = table.append_column(name, features[name].take(at))
        return table

    def _check_met(self, lost: pa.ChunkedArray, entities: pa.Array, rows: int, file: str) -> None:
        """Refuse a file of which next to nobody is in the table: all columns would be empty."""
        met = rows - len(lost)
        if 2 * met > rows or not len(entities):
            return
        near = nearly(lost, entities)
        if near > met:
            raise InputError(
                f"{self.where} views: {near:,} of {rows:,} rows have an entity of {file} {ALIKE}, "
                f"{met:,} as it is written",
                hint=f"write {self.by!r} as the table of accounts writes entities: where a file "
                f'still has its zeros, types = {{ {quoted_name(self.by)} = "string" }} keeps them',
            )
        if not met:
            raise InputError(
                f"{self.where} views: none of {rows:,} rows has an entity of {file} in {self.by!r}",
                hint="by is the column that the flow's table of accounts calls entity; --kind says "
                "whose views the file has",
            )

    def _schema(self, location: Path) -> pa.Schema:
        try:
            schema = pq.read_schema(location)
        except (OSError, pa.ArrowException) as error:
            raise self._unread(location, error) from None
        if VIEW_FILE.encode() not in (schema.metadata or {}):
            raise InputError(
                f"{self.where} views: {location.name} does not say which views it holds",
                hint="write it by fedprofile flows views --out",
            )
        return schema

    def _unread(self, location: Path, error: Exception) -> InputError:
        found = f"{location.name} cannot be read as Parquet ({type(error).__name__})"
        return InputError(f"{self.where} views: {found}")


def read_views(where: str, given: object) -> ViewFile | None:
    """The `views` of a section; None where it has none. Raises `JobError`."""
    if given is None:
        return None
    keys = ("path", "by")
    if not isinstance(given, Mapping) or set(given) != set(keys):
        raise JobError(f'{where} views: {{ path = "FEATURES.parquet", by = "COLUMN" }} allowed')
    if not all(isinstance(given[key], str) and given[key] for key in keys):
        raise JobError(f"{where} views: path and by are texts")
    return ViewFile(where=where, path=given["path"], by=given["by"])

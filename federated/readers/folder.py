"""A folder of parts, as Spark, Hive and pandas leave it, read as one table.

Parts are Parquet or CSV, in the order of their names; files and folders whose name begins with `_`
or `.` are no parts, nor is what desktops leave there. A folder `region=01` gives its parts a column
`region`, as text. Parts may
differ in width and order of columns; types that do not go together are named by part and column.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Sequence
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.readers.advice import quoted_name
from federated.readers.base import CsvFormat, Reader, missing_column
from federated.readers.canonical import is_text
from federated.readers.csv_file import CsvReader
from federated.readers.parquet_file import ParquetReader
from federated.readers.sniff import is_parquet, no_file
from federated.readers.unchanged import stamp_of
from psi.identifiers.columns import as_text
from psi.protocol.errors import FedprofileError, InputError

__all__ = ["FolderReader"]

_NOTHING = "__HIVE_DEFAULT_PARTITION__"
_WRITTEN = "_SUCCESS"
_EXACT = 2**53


class FolderReader(Reader):
    """All parts below a folder."""

    def __init__(self, where: str, folder: Path, form: CsvFormat) -> None:
        super().__init__(where)
        self._folder = folder
        self._parts = _parts(where, folder)
        self._begun = [stamp_of(path) for path in self._parts]
        if not self._parts:
            raise InputError(f"{where}: {folder} has no parts: it is empty")
        kinds = [is_parquet(path) for path in self._parts]
        if len(set(kinds)) > 1:
            other = self._name(self._parts[kinds.index(not kinds[0])])
            raise InputError(
                f"{where}: {self._name(self._parts[0])} and {other} are of different formats",
                hint="keep one format in the folder; names that begin with _ are not read",
            )
        self.textual = not kinds[0]
        self._readers: list[Reader] = [
            ParquetReader(where, path) if kinds[0] else CsvReader(where, path, form)
            for path in self._parts
        ]
        self._keys = [_keys(path.relative_to(folder)) for path in self._parts]
        if len({tuple(keys) for keys in self._keys}) > 1:
            raise InputError(
                f"{where}: parts of {folder.name} lie below different folders NAME=VALUE",
                hint="every part needs the same names above it",
            )

    def columns(self) -> list[str]:
        """Columns of all parts in order of first appearance, then those of the folders' names."""
        found = [name for reader in self._readers for name in self._told(reader)]
        keys = list(self._keys[0])
        return [*(name for name in dict.fromkeys(found) if name not in keys), *keys]

    def read(self, columns: Sequence[str], text: Collection[str] = ()) -> pa.Table:
        """Raises `InputError`: no such column, or types of two parts that do not go together."""
        known = self.columns()
        for column in columns:
            if column not in known:
                raise missing_column(self.where, column, known)
        keys = list(self._keys[0])
        stored = [name for name in columns if name not in keys]
        parts = [self._part(place, stored, columns) for place in range(len(self._parts))]
        self._check_same()
        done = [self._joined(name, parts, name in text) for name in columns]
        return pa.table(dict(zip(columns, done, strict=True)))

    def _check_same(self) -> None:
        """Refuse a folder in which parts came, went or were replaced while others were read."""
        now = _parts(self.where, self._folder)
        if now != self._parts or [stamp_of(path) for path in now] != self._begun:
            raise InputError(
                f"{self.where}: {self._folder.name} has changed while it was read",
                hint="wait until it is written, or bind a copy of it",
            )

    def _part(self, place: int, stored: list[str], columns: Sequence[str]) -> pa.Table:
        reader = self._readers[place]
        there = self._told(reader)
        if self.textual:
            for name in stored:
                if name not in there:
                    raise InputError(
                        f"{self.where}: {self._name(self._parts[place])} has no column {name!r}, "
                        "other parts do",
                        hint="every part needs the same header line; what is no part of the "
                        "table goes elsewhere, or gets a name that begins with _",
                    )
        held = [name for name in stored if name in there]
        try:
            table = reader.read(held or there[:1])
        except FedprofileError as error:
            error.message = self._named(error.message, place)
            raise
        rows = table.num_rows
        found = {name: table.column(name) for name in held}
        for name in columns:
            if name in self._keys[place]:
                if name in there:
                    self._check_key(place, name)
                value = pa.scalar(self._keys[place][name], pa.large_string())
                found[name] = pa.chunked_array([pa.repeat(value, rows)])
            elif name not in found:
                found[name] = pa.chunked_array([pa.nulls(rows)])
        return pa.table(found)

    def _check_key(self, place: int, name: str) -> None:
        """Refuse a part whose own column has other values than the folder that it lies in."""
        given = self._keys[place][name]
        held, _ = as_text(self._readers[place].read([name], [name]).column(name))
        own = pc.unique(held).drop_null().to_pylist()
        if any(_whole(value) != _whole(given or "") for value in own):
            raise InputError(
                f"{self.where}: {self._name(self._parts[place])} has a column {name!r} with other "
                "values than its folder's name",
                hint="leave one of the two out, or give the column another name",
            )

    def _told(self, reader: Reader) -> list[str]:
        try:
            return reader.columns()
        except FedprofileError as error:
            error.message = self._named(error.message, self._readers.index(reader))
            raise

    def _named(self, message: str, place: int) -> str:
        """With the part's folders before its name."""
        path = self._parts[place]
        return message.replace(path.name, self._name(path), 1)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

    def _joined(self, name: str, parts: list[pa.Table], text: bool) -> pa.ChunkedArray:
        """One column of all parts, in a type that holds every value of each."""
        columns = [part.column(name) for part in parts]
        if text and len({c.type for c in columns if not pa.types.is_null(c.type)}) > 1:
            columns = [pa.chunked_array([as_text(column)[0]]) for column in columns]
        wanted, done = columns[0].type, [columns[0]]
        for place, column in enumerate(columns[1:], start=1):
            both = _both(wanted, column.type)
            exact = both is not None and all(_fits(c, both) for c in (*done, column))
            if both is None or not exact:
                first = next(i for i, c in enumerate(columns) if not pa.types.is_null(c.type))
                raise InputError(
                    f"{self.where}: column {name!r} is {_shown(columns[first].type)} in "
                    f"{self._name(self._parts[first])} and {_shown(column.type)} in "
                    f"{self._name(self._parts[place])}",
                    hint=f'types = {{ {quoted_name(name)} = "string" }} in tables.toml reads '
                    "both as text",
                )
            wanted = both
            done.append(column)
        chunks = [chunk for column in done for chunk in column.cast(wanted).chunks]
        return pa.chunked_array(chunks, wanted)


def _parts(where: str, folder: Path) -> list[Path]:
    """All parts: what is there and cannot be seen is an error, not fewer rows.

    A part of 0 bytes has no rows where `_SUCCESS` says that all are written, as Spark's and Hive's
    may be; else it is a part that is not there yet, or was lost on a full disk.

    Raises:
        OSError: a folder that may not be listed, a link to nothing.
        InputError: a link back to a folder above it; a pipe or the like; a part of 0 bytes.
    """
    found: list[Path] = []
    for above, folders, names in os.walk(folder, onerror=_raised, followlinks=True):
        here = Path(above)
        folders[:] = [n for n in folders if not _hidden((here / n).relative_to(folder))]
        for link in (here / name for name in folders):
            if link.is_symlink() and here.resolve().is_relative_to(link.resolve()):
                shown = f"{folder.name}/{link.relative_to(folder).as_posix()}"
                raise InputError(f"{where}: {shown} is a link to a folder above it")
        for path in (here / name for name in names):
            if _hidden(path.relative_to(folder)):
                continue
            held = path.stat()
            if not stat.S_ISREG(held.st_mode):
                raise no_file(where, path)
            if held.st_size:
                found.append(path)
            elif not any((at / _WRITTEN).exists() for at in (folder, here)):
                shown = path.relative_to(folder).as_posix()
                raise InputError(
                    f"{where}: {shown} in {folder.name} has 0 bytes",
                    hint="it was cut off, or is not written yet: export it again, or delete it "
                    f"where it has no rows; a file {_WRITTEN} in the folder says that all is there",
                )
    return sorted(found)


def _raised(error: OSError) -> None:
    raise error


def _hidden(path: Path) -> bool:
    """Markers, checksums and unfinished parts: `_SUCCESS`, `.part.crc`, `_temporary/...`.

    And what desktops and spreadsheets leave: `Thumbs.db`, `~$open.xlsx`.
    """
    if path.name.lower() in ("thumbs.db", "desktop.ini") or path.name[0] == "~":
        return True
    return any(part[0] == "." or (part[0] == "_" and "=" not in part) for part in path.parts)


def _keys(path: Path) -> dict[str, str | None]:
    """Columns that the folders above a part give it."""
    found: dict[str, str | None] = {}
    for part in path.parts[:-1]:
        name, equals, value = part.partition("=")
        if equals and name:
            found[unquote(name)] = None if value == _NOTHING else unquote(value)
    return found


def _whole(value: str) -> str:
    """A text, a whole number without leading zeros: `01` in a name is 1 in a file."""
    return str(int(value)) if value.isdecimal() else value


def _shown(kind: pa.DataType) -> str:
    return "text" if is_text(kind) else str(kind)


def _both(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """A type that holds the values of two; None where there is none."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    whole = [pa.types.is_integer(kind) for kind in (one, other)]
    number = [w or pa.types.is_floating(kind) for w, kind in zip(whole, (one, other), strict=True)]
    if all(whole):
        if pa.types.is_unsigned_integer(one) and pa.types.is_unsigned_integer(other):
            return pa.uint64()
        return pa.int64()
    if all(number):
        return pa.float64()
    decimals = [pa.types.is_decimal(kind) for kind in (one, other)]
    if all(decimals) or (any(decimals) and any(whole)):
        scale = max(k.scale if pa.types.is_decimal(k) else 0 for k in (one, other))
        before = max(k.precision - k.scale if pa.types.is_decimal(k) else 20 for k in (one, other))
        return pa.decimal256(scale + before, scale) if scale + before <= 76 else None
    if pa.types.is_timestamp(one) and pa.types.is_timestamp(other) and one.tz == other.tz:
        return max(one, other, key=lambda kind: ("s", "ms", "us", "ns").index(kind.unit))
    if pa.types.is_list(one) and pa.types.is_list(other):
        inside = _both(one.value_type, other.value_type)
        return None if inside is None else pa.list_(inside)
    return None


def _fits(column: pa.ChunkedArray, kind: pa.DataType) -> bool:
    """Whether every value is the same in this type."""
    if pa.types.is_floating(kind) and pa.types.is_integer(column.type):
        found = np.asarray(pc.fill_null(column, 0).to_numpy())
        return bool((np.abs(found.astype(np.float64)) <= _EXACT).all())
    try:
        column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True

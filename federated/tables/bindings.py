"""`tables.toml`: a party's logical tables bound to its files and databases.

    [bank.consumers]
    path = "bank_consumers.csv"        # csv or parquet, relative to this file; $VARS allowed
    # or: connection = "duckdb:///file.db" and table = "consumers"
    encoding = "gbk"
    keys = ["id_no", "mobile"]
    kinds = { id_no = "identity_number", mobile = "phone" }
    permissions = { income = "never", overdue = "aggregate", open_loans = "feature" }

Paths and credentials stay here: a job names `bank.consumers` only. A password is never
written down, only named: `postgres://ann:${BANK_DB_PASSWORD}@host/db`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from federated import readers
from federated.readers import CsvFormat, Reader, missing_column
from federated.readers.settle import Declared, settle
from federated.tables.about import ABOUT_KEYS, EVERY, About, read_about
from federated.tables.basis import Basis, read_basis
from federated.tables.declared import FORM_KEYS, TYPES, csv_format, read_declared
from federated.tables.matrix import categorical, null_counts, numeric_matrix
from federated.tables.snapshot import snapshot_hash
from federated.tables.view_file import ViewFile, read_views
from federated.toml_sections import slip_of
from psi.identifiers import check_kind
from psi.protocol.errors import InputError, JobError, MisuseError

__all__ = [
    "PERMISSIONS",
    "TYPES",
    "Table",
    "TablesFile",
    "categorical",
    "null_counts",
    "numeric_matrix",
    "snapshot_hash",
    "table_of",
]

PERMISSIONS = ("never", "aggregate", "feature", "label")
"""What a column may be used for at most."""

_TEXT_KEYS = ("path", "connection", "table", "encoding", "delimiter", "row_number")
_MAP_KEYS = ("kinds", "permissions")
_KNOWN_KEYS = (
    *_TEXT_KEYS,
    "keys",
    "basis",
    *ABOUT_KEYS,
    "views",
    *_MAP_KEYS,
    *FORM_KEYS,
)
_ENV_ONLY = re.compile(r"(?:\$\{\w+\})+")
_SECRET_WORDS = re.compile(r"(?i)(?:pass|pwd|token|secret|key|credential)\w*=([^&;\s]*)")


@dataclass(frozen=True, kw_only=True)
class Table:
    """One logical table: where it is, how it is read, what its columns are."""

    name: str
    path: str = ""
    connection: str = field(default="", repr=False)
    table: str = ""
    csv: CsvFormat = field(default_factory=CsvFormat)
    declared: Declared = field(default_factory=Declared)
    kinds: Mapping[str, str] = field(default_factory=dict)
    permissions: Mapping[str, str] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    row_number: str = ""
    basis: Basis | None = None
    about: About = field(default_factory=About)
    views: ViewFile | None = None
    file: Path = Path("tables.toml")

    @property
    def where(self) -> str:
        """For errors: the tables file and the section."""
        return f"{self.file.name}: [{self.name}]"

    def location(self) -> Path:
        """The data file's path.

        Raises:
            JobError: the path names an environment variable that is not set.
            InputError: no such file.
        """
        return self._beside(self.path, "path")

    def _beside(self, name: str, key: str) -> Path:
        path = self.file.parent / _substitute(name, self.where, key, bare=True)
        if not path.exists():
            raise InputError(f"{self.where}: no file {path}", hint=_path_hint(name))
        return path

    def columns(self) -> list[str]:
        """Names of the columns, without reading the rows."""
        with self._reading():
            stored = self._named(self._reader().columns())
            return [*stored, *self._features(stored)]

    def _reading(self) -> AbstractContextManager[None]:
        return readers.reading(self.where, Path(self.path or self.table))

    def _features(self, stored: list[str]) -> list[str]:
        """Names of the feature views' columns; none of them is one of the table's."""
        if self.views is None:
            return []
        if self.views.by not in stored:
            raise missing_column(f"{self.where} views.by", self.views.by, stored)
        found = self.views.columns(self._beside(self.views.path, "views.path"))
        if both := sorted(set(found) & set(stored)):
            raise InputError(f"{self.where} views: column {both[0]!r} is the table's own too")
        return found

    def _named(self, stored: list[str]) -> list[str]:
        return [*([self.row_number] if self.row_number else []), *stored]

    def load(self, columns: Sequence[str] | None = None, *, keys: Sequence[str] = ()) -> pa.Table:
        """Read the named columns (all if None), in that order, as `settle` takes them.

        Columns in `keys`, in `kinds` and of type "string" are read as text, so that leading
        zeros survive.

        Raises:
            InputError: no file, no such column, no rows, a file that cannot be read.
        """
        with self._reading():
            return self._load(columns, keys)

    def _load(self, columns: Sequence[str] | None, keys: Sequence[str]) -> pa.Table:
        reader = self._reader()
        known = reader.columns()
        if self.row_number and self.row_number in known:
            found = f"{self.row_number!r} found, a column of the table"
            raise JobError(f"{self.where} row_number: {found}", hint="give it a name of its own")
        features = self._features(self._named(known))
        every = [*self._named(known), *features]
        there = set(every)
        for column in self._said():  # a slip in `permissions` would protect nothing
            if column not in there:
                raise missing_column(self.where, column, every)
        wanted = list(dict.fromkeys(every if columns is None else columns))
        asked = [name for name in wanted if name in features]
        stored = [name for name in wanted if name not in (*asked, self.row_number or None)]
        text = {n for n in stored if n in keys or n in self.kinds}
        if self.views and asked:
            stored = list(dict.fromkeys([*stored, self.views.by]))
            text.add(self.views.by)
        strings = {n for n in stored if self.declared.types.get(n) == "string"}
        table = reader.read(stored or known[:1], text | strings)
        if table.num_rows == 0:
            raise InputError(
                f"{self.where}: the table is empty",
                hint="it has columns and no row: see whether the export ended well",
            )
        textual = reader.textual
        table = settle(table, self.declared, textual=textual, text=text, where=self.where)
        if self.row_number and self.row_number in wanted:
            numbers = pa.array(range(1, table.num_rows + 1), type=pa.int64())
            table = table.append_column(self.row_number, numbers)
        if self.views and asked:
            location = self._beside(self.views.path, "views.path")
            table = self.views.joined(table, location, asked)
        return table.select(wanted)

    def _said(self) -> list[str]:
        """Columns of which the section says anything."""
        named = (*self.declared.named(), *self.kinds, *self.permissions, *self.keys)
        return sorted({*named, *self.about.classes} - {self.row_number, EVERY})

    def _reader(self) -> Reader:
        if not self.connection:
            return readers.of_path(self.where, self.location(), self.csv)
        url = _substitute(self.connection, self.where, "connection", bare=False)
        return readers.of_database(self.where, url, self.table, self.file.parent)


@dataclass(frozen=True)
class TablesFile:
    """The tables of one `tables.toml`, by logical name."""

    file: Path
    tables: Mapping[str, Table]

    @classmethod
    def load(cls, path: str | Path) -> TablesFile:
        """Parse and validate; no data file is opened.

        Raises:
            JobError: names the file, the key, what was found and what is allowed.
        """
        file = Path(path)
        try:
            text = file.read_text(encoding="utf-8-sig")
            data = tomllib.loads(text)
        except FileNotFoundError:
            raise JobError(f"no tables file {file}") from None
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or "it is no UTF-8"
            raise JobError(f"{file}: cannot be read ({why.lower()})") from None
        except tomllib.TOMLDecodeError as error:
            place = re.search(r"\(at .*\)", str(error))
            raise JobError(
                f"{file.name}: not valid toml {place.group() if place else ''}".rstrip(),
                hint=slip_of(text, error),
            ) from None
        data.pop("flows", None)  # what binds a bank's own transactions is for `fedprofile flows`
        tables: dict[str, Table] = {}
        for party, entries in data.items():
            if not isinstance(entries, dict) or not all(
                isinstance(entry, dict) for entry in entries.values()
            ):
                bare = "." in party and isinstance(entries, dict)
                raise JobError(
                    f"{file.name}: found [{party}], allowed: [party.table] sections",
                    hint=f"write [{party}] without quotes" if bare else f"write [{party}.NAME]",
                )
            for table, entry in entries.items():
                name = f"{party}.{table}"
                tables[name] = _parse(name, entry, file)
        if not tables:
            raise JobError(f"{file.name}: no tables", hint="write a [party.table] section")
        for name, one in tables.items():
            if one.basis is not None and one.basis.table not in tables:
                raise JobError(
                    f"{file.name}: [{name}] basis: no table {one.basis.table!r} is bound",
                    hint="bind the table that says who may be in jobs, or take the basis out",
                )
        return cls(file, tables)

    def __getitem__(self, name: str) -> Table:
        """The table of a logical name.

        Raises:
            JobError: no such table.
        """
        try:
            return self.tables[name]
        except KeyError:
            close = get_close_matches(name, self.tables, n=1)
            hint = f"did you mean {close[0]}?" if close else f"tables: {', '.join(self.tables)}"
            raise JobError(f"{self.file.name}: no table {name!r}", hint=hint) from None

    def __contains__(self, name: object) -> bool:
        return name in self.tables

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)


def table_of(name: str, entry: Mapping[str, Any], file: Path) -> Table:
    """The table of one section of a tables file that may not be written yet.

    Raises:
        JobError: names the file, the key, what was found and what is allowed.
    """
    return _parse(name, entry, file)


def _parse(name: str, entry: Mapping[str, Any], file: Path) -> Table:
    where = f"{file.name}: [{name}]"
    for key in entry:
        if key not in _KNOWN_KEYS:
            close = get_close_matches(key, _KNOWN_KEYS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"keys: {', '.join(_KNOWN_KEYS)}"
            raise JobError(f"{where} {key}: unknown key", hint=hint)
    text = {key: _string(where, key, entry.get(key, "")) for key in _TEXT_KEYS}
    maps = {key: _mapping(where, key, entry.get(key, {})) for key in _MAP_KEYS}
    for column, kind in maps["kinds"].items():
        try:
            check_kind(kind)
        except MisuseError as error:
            raise JobError(f"{where} kinds.{column}: {error.message}", hint=error.hint) from None
    _allowed(where, "permissions", maps["permissions"], PERMISSIONS)
    if bool(text["path"]) == bool(text["connection"]):
        raise JobError(f"{where}: exactly one of path and connection is needed")
    if text["connection"]:
        if not text["table"]:
            raise JobError(f"{where} table: missing, the name of a table in the database is needed")
        _no_password(where, text["connection"])
    return Table(
        name=name,
        path=text["path"],
        connection=text["connection"],
        table=text["table"],
        csv=csv_format(where, entry),
        declared=read_declared(where, entry),
        kinds=maps["kinds"],
        permissions=maps["permissions"],
        keys=_strings(where, "keys", entry.get("keys", [])),
        row_number=text["row_number"],
        basis=read_basis(where, entry.get("basis")),
        about=read_about(where, *(entry.get(key) for key in ABOUT_KEYS)),
        views=read_views(where, entry.get("views")),
        file=file,
    )


def _path_hint(name: str) -> str:
    """What to do where a path leads nowhere."""
    if "://" in name:
        return "path is a file or a folder here; a database is bound by connection"
    if "*" in name or "?" in name:
        return "name the folder: all files in it are one table"
    return "write $HOME in place of ~" if name[:1] == "~" else "paths are relative to the file"


def _string(where: str, key: str, value: object) -> str:
    if not isinstance(value, str):
        raise JobError(f"{where} {key}: found {type(value).__name__}, a string is needed")
    return value


def _strings(where: str, key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise JobError(f"{where} {key}: a list of strings is needed")
    return tuple(value)


def _mapping(where: str, key: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise JobError(f"{where} {key}: a table of column = string is needed")
    return dict(value)


def _allowed(where: str, key: str, found: Mapping[str, str], allowed: Sequence[str]) -> None:
    for column, value in found.items():
        if value not in allowed:
            close = get_close_matches(value, allowed, n=1)
            raise JobError(
                f"{where} {key}.{column}: found {value!r}, allowed: {', '.join(allowed)}",
                hint=f"did you mean {close[0]}?" if close else "",
            )


def _no_password(where: str, url: str) -> None:
    """Refuse a credential that is written out instead of named."""
    # To the last @, whatever lies between: a password may hold any character.
    authority = re.match(r"[\w+]+://[^:/?#@]*:(.*)@", url)
    secrets = [authority.group(1)] if authority else []
    secrets += _SECRET_WORDS.findall(url)
    if any(secret and not _ENV_ONLY.fullmatch(secret) for secret in secrets):
        raise JobError(
            f"{where} connection: holds a password",
            hint="put it in the environment and write ${NAME} in its place",
        )


def _substitute(text: str, where: str, key: str, *, bare: bool) -> str:
    """`${NAME}` (and `$NAME` if bare) from the environment; URLs get it percent-encoded.

    Where it is bare, `$$` is a dollar sign, and so is one before what begins no name (`$2026`).
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2)
        if not name:
            return "$"
        if name not in os.environ:
            raise JobError(
                f"{where} {key}: the environment variable {name} is not set",
                hint=f"export {name}=..." + "; a dollar sign itself is $$" * bare,
            )
        return os.environ[name] if bare else quote(os.environ[name], safe="")

    pattern = r"\$\{(\w+)\}|\$([A-Za-z_]\w*)|\$\$" if bare else r"\$\{(\w+)\}()"
    return re.sub(pattern, value, text)

"""What columns were taken for in the last job is held fast: a change stops the next one.

An export that writes 1,234.50 this month, or fills a column with blanks, turns numbers into
categories or into nothing. The job would run, and the score be another one. So what each column of
a contract was taken for is kept in a file of its owner's, once a job has ended well, and looked at
before the next one tells anything. The file has names and kinds, no value, and a hash of both.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from federated.readers.canonical import is_text
from federated.store.files import write_atomic
from federated.tables.column_roles import kind_of
from federated.tables.inferred import taken_for
from psi.protocol import EnvironmentFailed, InputError

__all__ = ["FrozenColumns", "kinds_of"]

_Tables = dict[str, dict[str, Any]]
_SHOWN = 6


def kinds_of(table: pa.Table, columns: Iterable[str], features: Iterable[str]) -> dict[str, str]:
    """What each column is taken for: `numbers`, `categories` (of features), `text`, `date` …

    A feature has an entry of its own, for text that spells numbers is numbers there.
    """
    trained = set(features)
    found = {}
    for name in dict.fromkeys([*columns, *trained]):
        values = table.column(name)
        kind = kind_of(values.type)
        if values.null_count == len(values):
            kind = "empty"
        elif pa.types.is_timestamp(values.type) and values.type.tz:
            kind = f"{kind}, zone {values.type.tz}"
        elif name in trained and is_text(values.type):
            kind = {"number": "numbers", "category": "categories"}.get(
                taken_for(table, name).kind, "text"
            )
        found[name] = "numbers" if kind == "number" else kind
    return found


class FrozenColumns:
    """The file, and what this job has seen of the tables; safe to use from several threads.

    `accept`: what is there now is right, whatever it was.
    """

    def __init__(
        self, path: Path, clock: Callable[[], float], *, accept: bool = False, how: str = ""
    ) -> None:
        """`how` says what a person does to accept a change."""
        self._path, self._clock, self._accept, self._how = path, clock, accept, how
        self._seen: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<columns of {self._path.name}>"

    def check(self, name: str, table: pa.Table, features: Iterable[str] = ()) -> None:
        """Look at the columns of one table as they are read for a job.

        Args:
            name: the logical table.
            table: the columns that the job uses.
            features: those that are trained on.

        Raises:
            InputError: a column is taken for something else than before, or the file was altered.
        """
        with self._lock:
            found = kinds_of(table, table.column_names, features)
            mine = self._seen.setdefault(name, {})
            mine.update({key: kind for key, kind in found.items() if key not in mine})
            if self._accept:
                return
            before = _read(self._path, self._how).get(name, {})
            # on one day people still mend their tables: the day's last job that ends well holds
            was = {} if before.get("since") == self._today() else before.get("columns", {})
            changed = [
                f"{column!r} was {was[column]}, is {kind}"
                for column, kind in found.items()
                if was.get(column, kind) != kind
            ]
        if changed:
            more = f"; and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
            raise InputError(
                f"{name}: taken for something else than in the job of {before.get('since', '?')}: "
                f"{'; '.join(changed[:_SHOWN])}{more}",
                hint="see what changed in the export, or say in tables.toml what it is; "
                f"{self._how}",
            )

    def note(self) -> bool:
        """The job has ended well: what was seen holds from now on. False: it cannot be written."""
        with self._lock:
            if not self._seen:
                return True
            try:
                write_atomic(self._path, _text(self._with_seen()))
            except (
                OSError,
                EnvironmentFailed,
            ):  # a job file may lie where nobody writes: its outputs are there
                return False
            return True

    def _today(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%d")

    def _with_seen(self) -> _Tables:
        tables: _Tables = {}
        with contextlib.suppress(*([InputError] * self._accept)):  # altered, and accepted anew
            tables = _read(self._path, self._how)
        since = self._today()
        for name, seen in self._seen.items():
            known = tables.get(name, {}).get("columns", {})
            tables[name] = {"since": since, "columns": {**known, **seen}}
        return tables

    def forget(self, name: str) -> bool:
        """Drop what one table's columns were taken for; False if nothing was known.

        A file that was altered says nothing of any table: it is dropped whole.
        """
        with self._lock:
            tables: _Tables = {}
            try:
                tables = _read(self._path, self._how)
                known = tables.pop(name, None) is not None
            except InputError:
                known = True
            if known:
                write_atomic(self._path, _text(tables))
            return known


def _digest(tables: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()


def _text(tables: _Tables) -> str:
    whole = {"sha256": _digest(tables), "tables": tables}
    return json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _read(path: Path, how: str) -> _Tables:
    try:
        whole = json.loads(path.read_text("utf-8"))
        if whole["sha256"] == _digest(whole["tables"]):
            return dict(whole["tables"])
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise EnvironmentFailed(f"cannot read {path.name}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        pass
    raise InputError(f"{path.name} was altered", hint=f"restore it; or {how}")

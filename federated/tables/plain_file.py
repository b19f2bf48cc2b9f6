"""A file that a command is given by its path: no tables.toml says how to read it.

What readers advise is a key of tables.toml most often, which such a command does not take: here it
says what to write into the file in place of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from federated.tables.bindings import Table, table_of
from psi.protocol.errors import InputError

__all__ = ["plain_file", "without_tables_file"]

_HINT = (
    "no tables.toml is read here, so the file itself has to be plain: UTF-8, columns parted by "
    "commas, numbers as 1234.5, days as 2026-07-31, nothing where there is nothing"
)


def plain_file(path: Path) -> Table:
    """The file as a table. Raises `InputError` where there is none."""
    if not path.exists():
        raise InputError(f"{path}: no such file")
    return table_of(path.name, {"path": str(path.resolve())}, path)


@contextmanager
def without_tables_file() -> Iterator[None]:
    """What an error inside advises to write into tables.toml is to be written into the file."""
    try:
        yield
    except InputError as error:
        if "tables.toml" in error.hint:
            raise InputError(error.message, hint=_HINT) from None
        raise

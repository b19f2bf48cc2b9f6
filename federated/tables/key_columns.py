"""One key column of a table, cleaned; an error names the column."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from psi.identifiers import Cleaned, clean
from psi.protocol import InputError, MisuseError, Share

__all__ = ["check_key", "cleaned_key"]


def cleaned_key(
    table: pa.Table, column: str, kind: str, progress: Callable[[Share], None] | None = None
) -> Cleaned:
    """The column as identifiers of this kind; `progress` is told of kinds that take long.

    Raises:
        InputError: a type that holds no identifiers, or text that is not valid UTF-8.
        MisuseError: an unknown kind.
    """
    try:
        return clean(table.column(column), kind, progress=progress)
    except InputError as error:
        message = f"key column {column!r} as {kind}: {error.message}"
        raise InputError(message, hint=error.hint) from None
    except MisuseError as error:
        message = f"key column {column!r} as {kind}: {error.message}"
        raise MisuseError(message, hint=error.hint) from None


def check_key(table: pa.Table, column: str, kind: str) -> None:
    """Raise what cleaning the column would raise for its type or kind, without its rows."""
    cleaned_key(table.slice(0, 0), column, kind)

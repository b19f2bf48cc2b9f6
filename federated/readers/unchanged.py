"""A file that is another one by the time it has been read: its parts do not belong together."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from psi.protocol.errors import InputError

__all__ = ["Stamp", "stamp_of", "unchanged"]

Stamp = tuple[int, int, int]


def stamp_of(path: Path) -> Stamp:
    """Changes whenever a file is replaced or written to. Raises `OSError`."""
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size, found.st_ino


@contextlib.contextmanager
def unchanged(where: str, path: Path) -> Iterator[None]:
    """What is read of a file in here is all of one file; whatever goes wrong is told as that first.

    Args:
        where: where the table is bound, "tables.toml: [bank.people]", for messages.

    Raises:
        InputError: another took its place meanwhile, or it was written to.
    """
    begun = stamp_of(path)
    try:
        yield
    except InputError:
        _check_same(where, path, begun)
        raise
    _check_same(where, path, begun)


def _check_same(where: str, path: Path, begun: Stamp) -> None:
    if not path.exists() or stamp_of(path) != begun:
        raise InputError(
            f"{where}: {path.name} has changed while it was read",
            hint="wait until it is written, or bind a copy of it",
        ) from None

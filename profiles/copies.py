"""Where rows that name people were copied to.

    copies.json     in a run's folder: what was exported from it, which history has its leads;
                    beside tables.toml: what `fedprofile flows` wrote of its tables

`taken_out` takes one person out of them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from federated.store.files import write_atomic
from profiles.folder_names import hash_of
from psi.protocol.errors import FedprofileError, InputError

__all__ = ["EXPORT", "MAP", "REPLACED", "ROWS", "Copy", "carry_copies", "copies_in", "note_copy"]

FILE = "copies.json"
EXPORT, ROWS, MAP = "export", "rows", "map"
"""A copy of all tables of a run; a Parquet file whose column `entity` names people; a map of flows
with its rows in a DuckDB file, which is made again and not mended."""
REPLACED = "replaced"
"""An export whose run is gone, since another wrote into its folder: it cannot be made anew."""


@dataclass(frozen=True)
class Copy:
    """One copy: `to` is a path, or the address of a database without what opens it; `sha256` that
    of an exported file as it was written."""

    kind: str
    to: str
    sha256: str = ""


def note_copy(folder: Path, kind: str, to: Path | str) -> None:
    """Remember a copy in a folder; a file that cannot be written there is no reason to fail."""
    if isinstance(to, str):
        where = urlsplit(to)
        made = Copy(kind, f"{where.scheme}://{where.hostname or ''}{where.path}")
    else:
        made = Copy(kind, str(to.absolute()), hash_of(to) if kind == EXPORT else "")
    kept = [copy for copy in copies_in(folder) if copy.to != made.to]
    try:
        write_atomic(folder / FILE, json.dumps([asdict(copy) for copy in (*kept, made)], indent=1))
    except FedprofileError:
        return


def copies_in(folder: Path) -> list[Copy]:
    """The copies that a folder remembers. Raises `InputError` where its list was altered."""
    try:
        return [Copy(**found) for found in json.loads((folder / FILE).read_text("utf-8"))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError):
        raise InputError(
            f"{folder / FILE}: malformed",
            hint="remove it, and look for copies of this folder's tables by hand",
        ) from None


def carry_copies(old: Path, new: Path) -> None:
    """Where outputs in `old` were copied to is remembered in `new`, which takes their place.

    A list that was altered goes over as it is: whoever forgets a person is told of it then.
    """
    if not (old / FILE).exists():
        return
    try:
        kept = [
            replace(copy, kind=REPLACED if copy.kind == EXPORT else copy.kind)
            for copy in copies_in(old)
        ]
        text = json.dumps([asdict(copy) for copy in kept], indent=1)
    except InputError:
        text = (old / FILE).read_text("utf-8", "replace")
    write_atomic(new / FILE, text)

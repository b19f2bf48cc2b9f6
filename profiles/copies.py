"""Where rows that name people were copied to, and one person out of those copies.

    copies.json     in a run's folder: what was exported from it, which history has its leads;
                    beside tables.toml: what `fedprofile flows` wrote of its tables

A file that is known here is written anew without the person: a Parquet file row by row, an export
from the run's own tables. What somebody has changed since, a database, and whatever was copied by
other means, is out of reach: it is named, for people.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from federated.store.files import private_file, write_atomic
from profiles.folder_names import hash_of
from psi.protocol.errors import FedprofileError, InputError

__all__ = ["EXPORT", "MAP", "ROWS", "Copy"]
__all__ += ["carry_copies", "copies_in", "note_copy", "take_out_of_copies"]

FILE = "copies.json"
ENTITY = "entity"
EXPORT, ROWS, MAP = "export", "rows", "map"
"""A copy of all tables of a run; a Parquet file whose column `entity` names people; a map of flows
with its rows in a DuckDB file, which is made again and not mended."""
_REPLACED = "replaced"
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
            replace(copy, kind=_REPLACED if copy.kind == EXPORT else copy.kind)
            for copy in copies_in(old)
        ]
        text = json.dumps([asdict(copy) for copy in kept], indent=1)
    except InputError:
        text = (old / FILE).read_text("utf-8", "replace")
    write_atomic(new / FILE, text)


def take_out_of_copies(
    folder: Path, names: Collection[str], *, changed: bool = False, dry: bool = False
) -> tuple[dict[str, str], list[str]]:
    """Take who is called by one of `names` out of the copies that a folder remembers.

    A run's own tables have to be without the person already: exports are made of them anew, where
    the tables were `changed` just now or are newer than an export.

    Returns: files with the SHA-256 of what they are now ("" where nothing is written), and what is
    out of reach, with the reason.
    """
    done: dict[str, str] = {}
    beyond: list[str] = []
    for copy in copies_in(folder):
        path = Path(copy.to)
        if "://" in copy.to:
            beyond.append(
                f"{copy.to}: a database; its rows with this entity are to be deleted there"
            )
        elif not path.exists():
            continue  # moved or removed since
        elif copy.kind == _REPLACED:
            beyond.append(f"{copy.to}: of outputs that a later run has replaced; remove it")
        elif copy.kind == MAP:
            beyond.append(f"{copy.to}: remove it, and run fedprofile flows map again")
        elif copy.kind == ROWS:
            if _named_in(path, names):
                done[copy.to] = "" if dry else _without(path, names)
        elif not changed and not _older(path, folder):
            continue
        elif hash_of(path) != copy.sha256:
            beyond.append(
                f"{copy.to}: changed since it was exported; export again, or delete there"
            )
        else:
            done[copy.to] = "" if dry else _exported(folder, path)
    return done, beyond


def _older(path: Path, folder: Path) -> bool:
    """Whether a table of the run is newer: a command that took the person out was killed."""
    made = path.stat().st_mtime_ns
    return any(table.stat().st_mtime_ns > made for table in folder.glob("*.parquet"))


def _named_in(path: Path, names: Collection[str]) -> bool:
    wanted = pa.array(sorted(names), pa.large_string())
    with pq.ParquetFile(path) as file:
        if ENTITY not in file.schema_arrow.names:
            return False
        return any(
            pc.any(_is_one(batch.column(ENTITY), wanted)).as_py()
            for batch in file.iter_batches(columns=[ENTITY])
        )


def _without(path: Path, names: Collection[str]) -> str:
    """Write a Parquet file anew, in batches, without the rows of `names`; its SHA-256."""
    wanted, beside = (
        pa.array(sorted(names), pa.large_string()),
        path.with_name(f".{path.name}.part"),
    )
    try:
        beside.unlink(missing_ok=True)
        with (
            pq.ParquetFile(path) as file,
            private_file(beside, "wb") as sink,
            pq.ParquetWriter(sink, file.schema_arrow) as writer,
        ):
            for batch in file.iter_batches():
                writer.write_batch(batch.filter(pc.invert(_is_one(batch.column(ENTITY), wanted))))
        beside.chmod(path.stat().st_mode & 0o777)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return hash_of(path)


def _is_one(entity: pa.Array, wanted: pa.Array) -> pa.Array:
    return pc.is_in(entity.cast(pa.large_string()), value_set=wanted)


def _exported(folder: Path, path: Path) -> str:
    from profiles.export import export  # which notes what it has written

    export(folder, str(path), overwrite=True)
    return hash_of(path)

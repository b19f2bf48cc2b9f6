"""One person out of the copies of rows that name people.

A file that `copies` knows is written anew without the person: a Parquet file row by row, an export
from the run's own tables. What somebody has changed since, a database, and whatever was copied by
other means, is out of reach: it is named, for people.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from federated.store.files import private_file
from profiles.copies import MAP, REPLACED, ROWS, copies_in
from profiles.export import export
from profiles.folder_names import hash_of

__all__ = ["take_out_of_copies"]

ENTITY = "entity"


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
        elif copy.kind == REPLACED:
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
    export(folder, str(path), overwrite=True)  # which notes what it has written
    return hash_of(path)

"""One profile an entity: facts, features, scores, segment, reasons, and how it was matched."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from federated.store.files import disk_failed, make_folder
from federated.text import slug
from profiles.segments import Segments, segments
from psi.protocol.errors import MisuseError

__all__ = [
    "build_profiles",
    "listed_column",
    "points_column",
    "reasons_column",
    "score_column",
    "segments",
    "spread",
    "write_parquet_atomic",
]

Array = np.ndarray[Any, Any]


def score_column(task: str) -> str:
    """The profiles' column that holds a task's score."""
    return f"score_{slug(task)}"


def points_column(task: str) -> str:
    """The profiles' column that holds the points of a scorecard."""
    return f"points_{slug(task)}"


def reasons_column(task: str) -> str:
    """The profiles' column that holds the reasons of a task's score."""
    return f"reasons_{slug(task)}"


def listed_column(task: str) -> str:
    """The profiles' column that says who is on the list of a task whose scores are not told."""
    return f"listed_{slug(task)}"


def build_profiles(
    facts: pa.Table,
    features: pa.Table | None = None,
    scores: Mapping[str, Array] | None = None,
    segment: Segments | None = None,
    reasons: Mapping[str, pa.Array] | None = None,
    matched: Array | None = None,
    *,
    points: Mapping[str, Array] | None = None,
    entity: str = "",
    told: Mapping[str, pa.Array] | None = None,
    stage: pa.Array | None = None,
    channels: pa.Array | None = None,
    as_of: date | None = None,
) -> pa.Table:
    """One row an entity of the receiver, in the order of `facts`.

    Args:
        facts: [rows], carried as they are; one column identifies the entity.
        features: [rows], carried after the facts; columns that the facts hold are not repeated.
        scores: task to float[rows]; NaN: not scored. See `spread`.
        segment: of all rows.
        reasons: task to list<string>[rows].
        matched: integer[rows]: the key level that found the entity at the partners, from 0;
            -1: not matched.
        points: task to float[rows], points of a scorecard; NaN: none.
        entity: the identifying column of `facts`; its first one by default.
        told: task to bool[rows], who is on a list that was told by a bit a row.
        stage: string[rows], of the life cycle.
        channels: list<string>[rows], by which a lawful basis lets the entity be reached.
        as_of: the day on which the rows were read.

    Columns: `entity`, the facts, the features, `score_TASK`, `points_TASK` of scorecards,
    `listed_TASK` where who is on a list was told and no score,
    `reasons_TASK`, `stage`, `segment` (from 1), `segment_name`, `matched`, `match_grade` (from 1,
    null where not matched), `channels`, `as_of`. A fact or feature of such a name becomes
    `fact_NAME`.

    Raises:
        MisuseError: lengths that differ, a column that is not there, two tasks of one name.
    """
    rows = facts.num_rows
    entity = entity or (facts.column_names[0] if facts.num_columns else "")
    if entity not in facts.column_names:
        raise MisuseError(f"the facts have no column {entity!r}", hint="name the entity's column")
    computed = _computed(
        rows, scores or {}, points or {}, reasons or {}, segment, matched, told or {}, stage
    )
    if channels is not None:
        computed["channels"] = channels
    if as_of is not None:
        computed["as_of"] = pa.array(np.full(rows, as_of, "datetime64[D]"))
    columns: dict[str, Any] = {"entity": facts.column(entity)}
    for table in (facts, features):
        if table is None:
            continue
        if table.num_rows != rows:
            raise MisuseError(f"found {table.num_rows} rows of features, allowed: {rows}")
        for name in table.column_names:
            if name == entity or (table is features and name in facts.column_names):
                continue
            kept = name
            while kept in computed or kept in columns:
                kept = f"fact_{kept}"
            columns[kept] = table.column(name)
    return pa.table({**columns, **computed})


def spread(values: Array, rows: Array, total: int) -> Array:
    """float64[total] with `values` at `rows` and NaN elsewhere: aligned rows to all rows.

    A row in several pairs gets their mean.
    """
    found = np.full(total, np.nan)
    pairs = np.bincount(rows, minlength=total)
    there = pairs > 0
    found[there] = np.bincount(rows, values, minlength=total)[there] / pairs[there]
    return found


def write_parquet_atomic(table: pa.Table, path: Path) -> None:
    """Write beside `path`, sync, rename: a kill leaves the old file or the new, never half.

    Raises:
        EnvironmentFailed: the folder cannot be written to, or the disk is full.
    """
    temporary = ""
    try:
        make_folder(path.parent)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fchmod(file.fileno(), 0o600)  # it is about people
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        temporary = ""
    except OSError as error:
        raise disk_failed(f"cannot write {path}", error, "nothing was replaced") from None
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def _computed(
    rows: int,
    scores: Mapping[str, Array],
    points: Mapping[str, Array],
    reasons: Mapping[str, pa.Array],
    segment: Segments | None,
    matched: Array | None,
    told: Mapping[str, pa.Array],
    stage: pa.Array | None,
) -> dict[str, pa.Array]:
    """The columns that a job adds."""
    columns: dict[str, pa.Array] = {}

    def add(name: str, values: pa.Array) -> None:
        if name in columns or len(values) != rows:
            raise MisuseError(f"{name}: found {len(values)} values or a repeat, allowed: {rows}")
        columns[name] = values

    for task, values in scores.items():
        score = np.asarray(values, np.float64)
        add(score_column(task), pa.array(score, mask=~np.isfinite(score)))
    for task, values in points.items():
        known = np.isfinite(values)
        whole = np.rint(np.where(known, values, 0)).astype(np.int32)
        add(points_column(task), pa.array(whole, mask=~known))
    for task, listed in told.items():
        add(listed_column(task), listed)
    for task, why in reasons.items():
        add(reasons_column(task), why)
    if stage is not None:
        add("stage", stage)
    if segment is not None:
        add("segment", pa.array(segment.number, pa.int32()))
        names = pa.array(segment.descriptions, pa.string())
        add("segment_name", names.take(pa.array(segment.place)))
    if matched is not None:
        grade = np.asarray(matched).astype(np.int64)
        add("matched", pa.array(grade >= 0))
        add("match_grade", pa.array((grade + 1).astype(np.int16), mask=grade < 0))
    return columns

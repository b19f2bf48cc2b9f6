"""Profiles of two dates: who came, went and moved, and which columns drifted.

A column's drift is the population stability index of those who are in both: the sum over bins of
(after - before) x ln(after / before), bins being tenths of the earlier values, or a text's values.
Below 0.1 little has changed, above 0.25 much (Siddiqi, "Credit Risk Scorecards", Wiley 2006). Where
nothing changes it is about (bins - 1) x 2 / rows: below that nothing can be told. Of scores it is
taken over those who have one at both dates: a training gives rows that are not shared one of the
own columns, a scoring does not, and that is no drift. Of other columns a missing value is a bin.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from federated.binning.evidence import stability
from federated.tables.column_roles import kind_of
from federated.tables.spelled import ALIKE, nearly
from profiles.routing import compared
from psi.protocol.errors import InputError

__all__ = ["LITTLE", "MUCH", "SCORES", "Difference", "Drift", "difference"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

LITTLE, MUCH = 0.1, 0.25
SCORES = ("score_", "points_")
"""How columns of scores begin."""
_BINS = 10
_VALUES = 50
"""A text of more values names things: it has no bins."""
_ENTITY = "entity"


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One column of those who are in both: its index, and its mean before and after.

    `moved` of them have another value than before; `lost` have none any more, `gained` have one now
    only: of a score neither is in index and means. The means are NaN of a text.
    """

    column: str
    index: float
    before: float
    after: float
    moved: int
    lost: int = 0
    gained: int = 0


@dataclass(frozen=True, kw_only=True)
class Difference:
    """`came`, `went` and `stayed` count entities.

    `moves` are (segment before, after, entities), the most first; `drifts` by falling index;
    `left_out` columns that are in one of the two only, or hold other types.
    """

    came: int
    went: int
    stayed: int
    moves: tuple[tuple[str, str, int], ...]
    drifts: tuple[Drift, ...]
    left_out: tuple[str, ...]


def difference(before: Path, after: Path) -> Difference:
    """Two runs' profiles.

    Args:
        before: profiles.parquet of the earlier run, or its folder.
        after: of the later one.

    Raises:
        InputError: a file that is no profiles, an entity that is there twice, nobody in both.
    """
    old, new = _read(before), _read(after)
    place = pc.index_in(_names(new), value_set=_names(old))
    both = pc.is_valid(place)
    stayed = int(pc.sum(both).as_py() or 0)
    _check_alike(_names(new).filter(pc.invert(both)), _names(old), stayed, before, after)
    counts = {"came": new.num_rows - stayed, "went": old.num_rows - stayed, "stayed": stayed}
    old, new = old.take(place.drop_null()), new.filter(both)
    drifts, left_out = [], sorted(set(old.column_names) ^ set(new.column_names))
    for name in (name for name in new.column_names if name in old.column_names):
        found = _drift(name, old.column(name), new.column(name))
        if found is not None:
            drifts.append(found)
        elif kind_of(old.column(name).type) != kind_of(new.column(name).type):
            left_out.append(name)
    drifts.sort(key=lambda drift: -drift.index)
    return Difference(
        **counts, moves=_moves(old, new), drifts=tuple(drifts), left_out=tuple(left_out)
    )


def _check_alike(lost: pa.Array, known: pa.Array, stayed: int, before: Path, after: Path) -> None:
    """Refuse profiles that name people in two ways: everybody would have gone, and others come."""
    if 2 * stayed > len(known):
        return
    near = nearly(lost, known)
    if near > stayed:
        raise InputError(
            f"{near:,} entities of {after} are in {before} {ALIKE}, {stayed:,} as they are written",
            hint="a table's export lost them: where a file still has its leading zeros, types = "
            '{ "COLUMN" = "string" } in tables.toml keeps them; then run again',
        )
    if not stayed:
        raise InputError(
            f"nobody of {after} is in {before}", hint="are both of one table, by one entity column?"
        )


def _read(path: Path) -> pa.Table:
    file = path / "profiles.parquet" if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    try:
        found = pq.read_table(file)
    except (OSError, pa.ArrowInvalid):
        raise InputError(f"{file}: no Parquet file, or not to be read") from None
    if _ENTITY not in found.column_names:
        raise InputError(f"{file}: no column {_ENTITY!r}", hint="profiles.parquet of a run")
    names = _names(found)
    twice = len(names) - names.null_count - len(pc.unique(names.drop_null()))
    if twice or names.null_count:
        found_text = (
            f"{twice:,} of {len(names):,} rows repeat an entity, {names.null_count:,} have none"
        )
        raise InputError(f"{file}: {found_text}", hint="one row an entity")
    return found


def _names(table: pa.Table) -> pa.Array:
    return compared(table.column(_ENTITY))


def _drift(name: str, old: Any, new: Any) -> Drift | None:
    kinds = {kind_of(old.type), kind_of(new.type)} - {"nothing"}
    if name == _ENTITY or len(kinds) != 1:
        return None
    (kind,) = kinds
    if kind == "number" and name != "segment":
        a, b = (column.cast(pa.float64(), safe=False).to_numpy() for column in (old, new))
        there = ~np.isnan(a), ~np.isnan(b)
        lost, gained = (int(np.count_nonzero(x & ~y)) for x, y in (there, there[::-1]))
        if name.startswith(SCORES):
            a, b = (values[there[0] & there[1]] for values in (a, b))
        moved = int(np.count_nonzero((a != b) & ~(np.isnan(a) & np.isnan(b))))
        with np.errstate(invalid="ignore"):
            first, last = (float(np.nanmean(v)) if np.isfinite(v).any() else np.nan for v in (a, b))
        index = stability(*_binned(a, b)) if len(a) else 0.0
        return Drift(
            column=name,
            index=index,
            before=first,
            after=last,
            moved=moved,
            lost=lost,
            gained=gained,
        )
    if kind not in ("text", "boolean"):
        return None
    a, b = (compared(column) for column in (old, new))
    values = pc.unique(pa.concat_arrays([a, b]).drop_null())
    if not len(values) or len(values) > _VALUES:
        return None
    codes = [pc.index_in(v, value_set=values).fill_null(len(values)).to_numpy() for v in (a, b)]
    counts = [np.bincount(code, minlength=len(values) + 1).astype(float) for code in codes]
    there = (counts[0] + counts[1]) > 0
    moved = int(np.count_nonzero(codes[0] != codes[1]))
    lost, gained = (
        int(np.count_nonzero((x < len(values)) & (y == len(values))))
        for x, y in (codes, codes[::-1])
    )
    index = stability(counts[0][there], counts[1][there])
    return Drift(
        column=name,
        index=index,
        before=np.nan,
        after=np.nan,
        moved=moved,
        lost=lost,
        gained=gained,
    )


def _binned(old: Floats, new: Floats) -> tuple[Floats, Floats]:
    """Counts in tenths of the earlier values; missing ones are a bin where there are any."""
    known = old[np.isfinite(old)]
    inner = np.linspace(0, 1, _BINS + 1)[1:-1]
    edges = np.unique(np.quantile(known, inner)) if len(known) else np.zeros(0)
    places = [
        np.where(np.isfinite(v), np.searchsorted(edges, v, side="right"), len(edges) + 1)
        for v in (old, new)
    ]
    counts = [np.bincount(place, minlength=len(edges) + 2).astype(float) for place in places]
    there = (counts[0] + counts[1]) > 0
    return counts[0][there], counts[1][there]


def _moves(old: pa.Table, new: pa.Table) -> tuple[tuple[str, str, int], ...]:
    """Who is in a segment of another description: numbers may mean another one in another run."""
    name = "segment_name"
    if name not in old.column_names or name not in new.column_names:
        return ()
    pairs = pa.table({"a": compared(old.column(name)), "b": compared(new.column(name))})
    moved = pairs.filter(pc.not_equal(pairs.column("a"), pairs.column("b")))
    rows = moved.group_by(["a", "b"], use_threads=False).aggregate([([], "count_all")]).to_pylist()
    found = [(str(row["a"]), str(row["b"]), int(row["count_all"])) for row in rows]
    return tuple(sorted(found, key=lambda move: (-move[2], move)))

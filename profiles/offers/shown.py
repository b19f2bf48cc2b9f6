"""What being listed has changed, by group, as `fedprofile uplift --out` wrote it: whom it moves.

The effect of a small group is mostly chance. So each group's is drawn towards that of all, as far
as chance alone explains that groups differ (DerSimonian and Laird, Controlled Clinical Trials 7,
1986): where all of it is chance, everybody has the same.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.tables.column_roles import check_role
from federated.tables.matrix import numeric_matrix
from profiles.routing import compared
from psi.protocol.errors import InputError

__all__ = ["COLUMNS", "read_effects", "shown_effects", "strange_groups"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

COLUMNS = ("outcome", "arm", "group", "mean_listed", "effect", "low", "high")
"""Of the table that are read."""
_WIDE = 2 * 1.959964
"""Standard errors in an interval of 95%."""


def strange_groups(effects: pa.Table, people: pa.Table, where: str) -> tuple[list[str], int]:
    """The groups that none of `people` is in, and how many groups there are.

    Arguments and errors are those of `shown_effects`.
    """
    groups = read_effects(effects, where)[1]
    column = _column(groups, people, where) if groups else ""
    there = (
        {f"{column} {value}" for value in pc.unique(compared(people.column(column))).to_pylist()}
        if column
        else set()
    )
    return sorted(set(groups) - there), len(groups)


def shown_effects(effects: pa.Table, people: pa.Table, where: str) -> Floats:
    """`float64[rows]`: what being listed changes for each of `people`, a share.

    Args:
        effects: a row an effect, `COLUMNS`; `group` is empty for everybody, else "COLUMN value".
        people: the columns that groups may be of.
        where: names the table in errors.

    Raises:
        InputError: as `read_effects`; groups of a column that is not there.
    """
    whole, groups = read_effects(effects, where)
    found = np.full(people.num_rows, whole)
    if not groups:
        return found
    column = _column(groups, people, where)
    drawn = _drawn(whole, groups)
    texts = pa.array([name[len(column) + 1 :] for name in drawn], pa.string())
    values = compared(people.column(column))
    place = pc.index_in(values, value_set=texts, skip_nulls=True).fill_null(len(texts))
    each = np.append(np.array(list(drawn.values())), whole)
    return np.asarray(each[place.to_numpy(zero_copy_only=False)], np.float64)


def _column(groups: Collection[str], people: pa.Table, where: str) -> str:
    """Whose values the groups are."""
    of = [c for c in people.column_names if all(name.startswith(f"{c} ") for name in groups)]
    if not of:
        raise InputError(
            f"{where}: groups of no column of the profiles, or of several, found: "
            f"{min(groups)[:60]!r}",
            hint="fedprofile uplift with one --by, a column that profiles have: whoever is in two "
            "groups has no effect of both",
        )
    return str(max(of, key=len))


def read_effects(effects: pa.Table, where: str) -> tuple[float, dict[str, tuple[float, float]]]:
    """The effect of everybody, and each group's with its standard error.

    Raises:
        InputError: not one outcome and one arm, no effect of everybody, an outcome that is no
            share, or a column of another type.
    """
    for column in ("outcome", "arm", "group"):
        check_role(effects, column, "segment", where=where)
    for column in ("outcome", "arm"):
        if (found := pc.count_distinct(effects.column(column)).as_py()) != 1:
            raise InputError(
                f"{where}: {found} values of {column!r} found, one needed",
                hint="fedprofile uplift CAMPAIGN --outcome bought --by segment_name --out FILE",
            )
    numbers = numeric_matrix(effects, ("mean_listed", "effect", "low", "high"), where=where)
    if ((numbers[:, 0] < 0) | (numbers[:, 0] > 1)).any():
        raise InputError(f"{where}: the outcome is no share: 0 and 1 for each person are needed")
    names = compared(effects.column("group")).fill_null("")
    of = zip(
        numbers[:, 1].tolist(), ((numbers[:, 3] - numbers[:, 2]) / _WIDE).tolist(), strict=True
    )
    groups = dict(zip(names.to_pylist(), of, strict=True))
    if "" not in groups or not np.isfinite(groups[""]).all():
        raise InputError(f"{where}: no effect of everybody found")
    return float(groups.pop("")[0]), groups


def _drawn(whole: float, groups: dict[str, tuple[float, float]]) -> dict[str, float]:
    """Each group's effect, drawn towards that of all; one without an error has that of all."""
    known = {n: found for n, found in groups.items() if np.isfinite(found).all() and found[1] > 0}
    if not known:
        return dict.fromkeys(groups, whole)
    effect, error = np.array(list(known.values())).T
    weight = 1 / error**2
    mean = float((weight * effect).sum() / weight.sum())
    spare = weight.sum() - (weight**2).sum() / weight.sum()
    beyond = (weight * (effect - mean) ** 2).sum() - (len(effect) - 1)
    between = max(0.0, float(beyond / spare)) if spare > 0 else 0.0
    kept = between / (between + error**2)
    drawn = dict(zip(known, (whole + kept * (effect - whole)).tolist(), strict=True))
    return {name: drawn.get(name, whole) for name in groups}

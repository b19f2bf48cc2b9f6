"""Target lists: whom to approach about a product, why, and which customer manager does it.

A lead goes to the manager who knows the entity; else to one of its branch; else to whoever
has room. Within each of these steps better leads choose first, and managers fill up evenly
in proportion to their capacity. Everything is decided by the input, nothing by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from federated.readers.canonical import canonical_column
from federated.store.files import write_atomic
from federated.tables.column_roles import check_role
from federated.text import csv_safe, csv_safe_column
from profiles.profile import reasons_column, score_column
from psi.protocol.errors import InputError, MisuseError

__all__ = [
    "NO_CAPACITY",
    "NO_MANAGERS",
    "RESERVED",
    "assigned_share",
    "check_managers",
    "csv_bytes",
    "target_list",
    "write_csv",
]

Ints = np.ndarray[Any, np.dtype[np.int64]]

NO_MANAGERS = "no managers are named"
NO_CAPACITY = "all managers are at capacity"
RESERVED = (
    *("product", "rank", "entity", "name", "task", "score", "matched"),
    *("segment", "segment_name", "reasons"),
    *("manager", "assigned_by", "unassigned"),
)
"""The columns of every list."""
_HOW = ("relationship", "branch", "capacity")
_DIGITS = 15  # that a spreadsheet keeps
_LONG = 10**_DIGITS
_SLACK = 1.25  # without capacities: a manager takes up to a quarter more than an even share


def target_list(
    profiles: pa.Table,
    product: str,
    score: str,
    top: int,
    managers: pa.Table | None = None,
    *,
    eligible: np.ndarray | None = None,
    name: str = "",
    columns: Sequence[str] = (),
    branch: str = "branch",
    relationship: str = "manager",
) -> pa.Table:
    """The `top` entities by score, best first, with reasons and managers.

    Args:
        profiles: from `profiles.profile.build_profiles`.
        product: names the list.
        score: the task whose score ranks; entities without one are left out.
        top: the most entities.
        managers: `manager`, and optionally `branch` and `capacity` (leads in all); None
            assigns nobody. Without a capacity each manager takes up to a quarter more than an
            even share.
        eligible: bool[rows], who may be on the list; all by default.
        name: a profiles' column to show beside the entity.
        columns: more of them, under their own names: what a manager needs to reach the entity.
        branch: the profiles' column with the entity's branch, used if it is there.
        relationship: the profiles' column with the manager who knows the entity, used if it
            is there.

    Returns: `product`, `rank` from 1, `entity`, `name`, then `columns`, `task`, `score`, `matched`
        (false: by the receiver's own model, as nothing is known of the entity elsewhere),
        `segment`, `segment_name`, `reasons`, `manager`, `assigned_by` ("relationship", "branch",
        "capacity"), `unassigned` (why).
        Ties in score are ordered by the entity's text.

    Raises:
        InputError: managers without a name, named twice, or with a negative capacity.
        MisuseError: no such score, or a mask that does not fit.
    """
    if score_column(score) not in profiles.column_names:
        raise MisuseError(f"the profiles have no score of {score!r}")
    chosen = profiles.take(pa.array(_ranked(profiles, score_column(score), top, eligible)))
    rows = chosen.num_rows
    found: dict[str, Any] = {
        "product": pa.array([product]).take(pa.array(np.zeros(rows, np.int64))),
        "rank": pa.array(np.arange(1, rows + 1)),
        "entity": chosen.column("entity"),
        "name": _column(chosen, name, pa.string()) if name else pa.nulls(rows, pa.string()),
        **{column: chosen.column(column) for column in columns},
        "task": pa.array([score]).take(pa.array(np.zeros(rows, np.int64))),
        "score": chosen.column(score_column(score)),
        "matched": _column(chosen, "matched", pa.bool_()),
        "segment": _column(chosen, "segment", pa.int32()),
        "segment_name": _column(chosen, "segment_name", pa.string()),
        "reasons": _column(chosen, reasons_column(score), pa.list_(pa.string())),
    }
    return pa.table({**found, **_assigned(chosen, managers, branch, relationship)})


def assigned_share(targets: pa.Table) -> float:
    """The share of a target list that has a manager; 0 for an empty one."""
    held = targets.num_rows - targets.column("manager").null_count
    return float(held / targets.num_rows) if targets.num_rows else 0.0


def csv_bytes(table: pa.Table) -> bytes:
    """A table as CSV that a spreadsheet may open: no cell is read as a formula or loses digits.

    UTF-8 with a byte-order mark, so that spreadsheets take it for UTF-8; lists are joined by
    "; ". Numbers stay numbers, those with a fraction to six places; from 16 digits on, and text of
    digits that begins with 0, they stand as text behind an apostrophe.
    """
    columns = {csv_safe(name): _cells(table.column(name)) for name in table.column_names}
    sink = pa.BufferOutputStream()
    pa_csv.write_csv(pa.table(columns), sink, pa_csv.WriteOptions(quoting_style="needed"))
    return b"\xef\xbb\xbf" + bytes(sink.getvalue())


def _cells(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as a spreadsheet may have it: short numbers as numbers, all else as safe text."""
    column = canonical_column(column)
    kind = column.type
    if pa.types.is_decimal(kind) and kind.precision <= _DIGITS:
        column = column.cast(pa.float64())
    if pa.types.is_floating(column.type):
        return pc.round(column, 6)
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return column
    if pa.types.is_integer(kind) and (pc.max(column).as_py() or 0) < _LONG:
        return column
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        column = _joined(column.cast(pa.list_(pa.large_string())))
    return csv_safe_column(column.cast(pa.large_string()))


def _joined(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Each list's texts behind one another; a missing one leaves its place empty."""
    if pc.list_flatten(column).null_count:
        rows = [
            row and ["" if text is None else text for text in row] for row in column.to_pylist()
        ]
        column = pa.chunked_array([pa.array(rows, column.type)])
    return pc.binary_join(column, pa.scalar("; ", pa.large_string()))


def write_csv(table: pa.Table, path: Path) -> None:
    """`csv_bytes` into a file of mode 0600, old or new after a kill, never half."""
    write_atomic(path, csv_bytes(table), private=True)


def _ranked(profiles: pa.Table, column: str, top: int, eligible: np.ndarray | None) -> Ints:
    """Row numbers of the best, highest score first, ties by the entity's text."""
    if top < 1 or (eligible is not None and eligible.shape != (profiles.num_rows,)):
        raise MisuseError(f"found top = {top} or a mask that does not fit the profiles")
    score = profiles.column(column).to_numpy().astype(np.float64)
    held = np.isfinite(score) if eligible is None else np.isfinite(score) & eligible
    rows = np.flatnonzero(held)
    if len(rows) > top:
        # only rows that can be among the best need an order; ties at the edge stay in
        edge = np.partition(score[rows], len(rows) - top)[len(rows) - top]
        rows = rows[score[rows] >= edge]
    subset = pa.table(
        {
            "score": pa.array(score[rows]),
            "entity": profiles.column("entity").take(pa.array(rows)).cast(pa.string()),
            "row": pa.array(rows),
        }
    )
    order = [("score", "descending"), ("entity", "ascending"), ("row", "ascending")]
    best = pc.sort_indices(subset, sort_keys=order)[:top]
    return np.asarray(rows[best.to_numpy()], np.int64)


def _column(table: pa.Table, name: str, kind: pa.DataType) -> Any:
    """A column, or nulls where there is none."""
    if name in table.column_names:
        column = table.column(name)
        return column.cast(kind) if pa.types.is_string(kind) else column
    return pa.nulls(table.num_rows, kind)


def _assigned(
    leads: pa.Table, managers: pa.Table | None, branch: str, relationship: str
) -> dict[str, pa.Array]:
    """`manager`, `assigned_by` and `unassigned` of each lead, leads in their order."""
    rows = leads.num_rows
    if managers is None or not managers.num_rows:
        return {
            "manager": pa.nulls(rows, pa.string()),
            "assigned_by": pa.nulls(rows, pa.string()),
            "unassigned": pa.array([NO_MANAGERS]).take(pa.array(np.zeros(rows, np.int64))),
        }
    names, branches, capacity = _managers(managers, rows)
    chosen = _code(_column(leads, relationship, pa.string()), names)
    chosen[_place(chosen) >= np.append(capacity, 0)[chosen]] = -1
    how = np.where(chosen >= 0, 0, -1)
    ids = pc.unique(branches.drop_null())
    manager_branch = _code(branches, ids)
    lead_branch = _code(_column(leads, branch, pa.string()), ids)
    everyone = np.zeros_like(manager_branch)
    rounds = ((lead_branch, manager_branch), (np.zeros(rows, np.int64), everyone))
    for step, (mine, theirs) in enumerate(rounds, start=1):
        waiting = np.flatnonzero((chosen < 0) & (mine >= 0))
        found = _fill(mine[waiting], theirs, capacity, chosen)
        chosen[waiting], how[waiting[found >= 0]] = found, step
    return {
        "manager": names.take(pa.array(chosen, mask=chosen < 0)),
        "assigned_by": pa.array(_HOW).take(pa.array(how, mask=how < 0)),
        "unassigned": pa.array([NO_CAPACITY]).take(
            pa.array(np.zeros(rows, np.int64), mask=chosen >= 0)
        ),
    }


def check_managers(managers: pa.Table, *, where: str = "the managers' table") -> None:
    """Raises `InputError` where a table of managers cannot be used, naming it as `where`."""
    if "manager" not in managers.column_names:
        raise InputError(
            f"{where} has no column 'manager'",
            hint="manager, and optionally branch and capacity, are read",
        )
    for column, role in (("manager", "name"), ("branch", "segment"), ("capacity", "measure")):
        if column in managers.column_names:
            check_role(managers, column, role, where=where)
    names = _column(managers, "manager", pa.string())
    missing, different = names.null_count, len(pc.unique(names.drop_null()))
    if missing or different + missing < len(names):
        raise InputError(
            f"{where}: {missing} of {len(names)} rows have no name in 'manager', "
            f"{len(names) - missing - different} repeat one",
            hint="one row a manager",
        )
    if "capacity" in managers.column_names:
        negative = int((_capacity(managers, where) < 0).sum())
        if negative:
            raise InputError(f"{where}: {negative} of {len(names)} capacities are negative")


def _capacity(managers: pa.Table, where: str) -> np.ndarray:
    try:
        found = managers.column("capacity").cast(pa.float64())
    except pa.ArrowInvalid:
        raise InputError(f"{where}: 'capacity' holds texts, a number of leads needed") from None
    return np.asarray(found.to_numpy(), np.float64)


def _managers(managers: pa.Table, leads: int) -> tuple[pa.Array, pa.Array, Ints]:
    """Names, branches and capacities, checked, in the order of names."""
    check_managers(managers)
    managers = managers.sort_by("manager")
    names = _column(managers, "manager", pa.string()).combine_chunks()
    even = np.full(len(names), int(np.ceil(_SLACK * leads / len(names))))
    if "capacity" in managers.column_names:
        given = _capacity(managers, "")
        even = np.where(np.isnan(given), even, np.floor(np.minimum(np.nan_to_num(given), leads)))
    branches = _column(managers, "branch", pa.string())
    if isinstance(branches, pa.ChunkedArray):
        branches = branches.combine_chunks()
    return names, branches, even.astype(np.int64)


def _code(column: Any, ids: pa.Array) -> Ints:
    """The place of each value in `ids`, -1 for a null or another."""
    found = pc.index_in(column, value_set=ids, skip_nulls=True).fill_null(-1)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)


def _place(group: Ints) -> Ints:
    """How many earlier entries have the same group."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if len(group) else order
    place = np.empty(len(group), np.int64)
    start = np.repeat(first, np.diff(np.append(first, len(group))))
    place[order] = np.arange(len(group)) - start
    return place


def _fill(group: Ints, managers: Ints, capacity: Ints, chosen: Ints) -> Ints:
    """For each waiting lead a manager of its group, or -1: the i-th of a group takes its i-th slot.

    A manager with room for c leads, u of them taken, has slots at (u + ½)/c, (u + 1½)/c, …;
    taken in this order they fill all managers to about the same share.
    """
    used = np.bincount(chosen[chosen >= 0], minlength=len(capacity))
    room = np.where(managers >= 0, capacity - used, 0)
    owner = np.repeat(np.arange(len(capacity)), room)
    share = (used[owner] + _place(owner) + 0.5) / capacity[owner]
    order = np.lexsort((owner, share, managers[owner]))
    owner = owner[order]
    groups = max(int(managers.max(initial=-1)), int(group.max(initial=-1))) + 1
    slots = np.bincount(managers[owner], minlength=groups)
    first = np.concatenate([[0], np.cumsum(slots)])
    place = _place(group)
    fits = place < slots[group]
    found = np.full(len(group), -1, np.int64)
    found[fits] = owner[first[group[fits]] + place[fits]]
    return found

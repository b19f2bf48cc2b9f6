"""Which customer manager takes which lead.

A lead goes to the manager who knows the entity; else to one who shares its branch, and whatever
else the job names; else to whoever has room. Within each of these steps better leads choose first,
and managers fill up evenly in proportion to their capacity: by the input alone, not by chance.

Where earlier leads say who does well with whom, each step after the first gives out its leads so
that the expected outcome of all is the largest. For a share of leads, drawn at random, managers are
taken as they may be and not as they most likely are: without it nothing would be learned of others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random, SystemRandom
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.tables.column_roles import check_role
from profiles.assignment.learned import Learned
from profiles.assignment.paired import Outlook
from profiles.routing import Routing, compared
from psi.protocol.errors import InputError

__all__ = ["NO_CAPACITY", "NO_MANAGERS", "assigned", "check_managers", "column_of"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

NO_MANAGERS = "no managers are named"
NO_CAPACITY = "all managers are at capacity"
_SLACK = 1.25  # without capacities: a manager takes up to a quarter more than an even share


def assigned(
    leads: pa.Table,
    managers: pa.Table | None,
    routing: Routing,
    learned: Learned | None = None,
    drawn: np.ndarray | None = None,
    random: Random | None = None,
    busy: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, pa.Array]:
    """`manager`, `assigned_by` and `unassigned` of each lead, leads in their order.

    Args:
        leads: one row each, the best first.
        managers: one row each; None assigns nobody.
        routing: which columns are compared.
        learned: what earlier leads say; None gives out evenly.
        drawn: bool[leads], for which managers are taken as they may be; none by default.
        random: draws how they may be.
        busy: how much of its capacity a manager has given to earlier lists.

    Returns: `assigned_by` is "relationship", the lead's columns that a manager shares ("branch",
        "branch and language"), or "capacity"; where something is learned, with ", by results" or,
        for those drawn, ", to learn".
    """
    rows = leads.num_rows
    if managers is None or not managers.num_rows:
        return {
            "manager": pa.nulls(rows, pa.string()),
            "assigned_by": pa.nulls(rows, pa.string()),
            "unassigned": pa.array([NO_MANAGERS]).take(pa.array(np.zeros(rows, np.int64))),
        }
    managers = _checked(managers, routing)
    names = compared(managers.column(routing.manager))
    used = np.array([busy.get(name, 0) for name in names.to_pylist()], np.float64)
    capacity = _capacities(managers, routing.capacity, rows, used)
    known = _code(compared(column_of(leads, routing.relationship, pa.string())), names)
    chosen = np.where(_place(known) < np.append(capacity, 0)[known], known, -1)
    how, steps = np.where(chosen >= 0, 0, -1), ["relationship"]
    told = None
    if learned is not None:
        told = Outlook.of(learned, leads, drawn, random or SystemRandom())
    for columns, mine, theirs in _rounds(leads, managers, routing):
        waiting = np.flatnonzero((chosen < 0) & (mine >= 0))
        why = np.full(len(waiting), len(steps))
        if told is None:
            found = _fill(mine[waiting], theirs, capacity, chosen)
            steps.append(columns)
        else:
            found = _best(waiting, mine, theirs, capacity, chosen, names, told)
            why += told.drawn[waiting]
            steps += [f"{columns}, by results", f"{columns}, to learn"]
        chosen[waiting] = found
        how[waiting] = np.where(found < 0, -1, why)
    return {
        "manager": names.take(pa.array(chosen, mask=chosen < 0)),
        "assigned_by": pa.array(steps).take(pa.array(how, mask=how < 0)),
        "unassigned": pa.array([NO_CAPACITY]).take(
            pa.array(np.zeros(rows, np.int64), mask=chosen >= 0)
        ),
    }


def _best(
    waiting: Ints,
    mine: Ints,
    theirs: Ints,
    capacity: Ints,
    chosen: Ints,
    names: pa.Array,
    told: Outlook,
) -> Ints:
    """For each waiting lead a manager of its group, or -1: the best expectation of all together."""
    room = capacity - np.bincount(chosen[chosen >= 0], minlength=len(capacity))
    found = np.full(len(waiting), -1, np.int64)
    group = mine[waiting]
    order = np.argsort(group, kind="stable")
    for at in np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(order) else []:
        who = np.flatnonzero((theirs == group[at[0]]) & (room > 0))
        taken = told.paired(waiting[at], names.take(pa.array(who)), room[who])
        found[at] = np.append(who, -1)[taken]
    return found


def _rounds(
    leads: pa.Table, managers: pa.Table, routing: Routing
) -> Iterator[tuple[str, Ints, Ints]]:
    """Who may take whom: by all shared columns, by all but the last, …, by none.

    Each with its name and the group of leads and of managers, -1 for neither.
    """
    there = [
        (mine, theirs)
        for mine, theirs in routing.shared
        if mine in leads.column_names and theirs in managers.column_names
    ]
    groups = [_groups(leads.column(mine), managers.column(theirs)) for mine, theirs in there]
    for many in range(len(there), 0, -1):
        mine, theirs = groups[0]
        for more, others in groups[1:many]:
            mine, theirs = _both(mine, theirs, more, others)
        yield " and ".join(column for column, _ in there[:many]), mine, theirs
    yield "capacity", np.zeros(leads.num_rows, np.int64), np.zeros(managers.num_rows, np.int64)


def _groups(leads: Any, managers: Any) -> tuple[Ints, Ints]:
    theirs = compared(managers)
    ids = pc.unique(theirs.drop_null())
    return _code(compared(leads), ids), _code(theirs, ids)


def _both(mine: Ints, theirs: Ints, more: Ints, others: Ints) -> tuple[Ints, Ints]:
    """Groups that agree in both, numbered anew from 0."""
    width = int(others.max(initial=0)) + 1
    pairs = [
        np.where((first < 0) | (second < 0), -1, first * width + second)
        for first, second in ((mine, more), (theirs, others))
    ]
    ids = np.unique(pairs[1][pairs[1] >= 0])
    if not len(ids):
        return np.full(len(mine), -1, np.int64), np.full(len(theirs), -1, np.int64)
    places = [np.minimum(np.searchsorted(ids, found), len(ids) - 1) for found in pairs]
    return tuple(  # type: ignore[return-value]
        np.where(ids[place] == found, place, -1) for place, found in zip(places, pairs, strict=True)
    )


def check_managers(
    managers: pa.Table,
    routing: Routing = Routing(),  # noqa: B008
    *,
    where: str = "the managers' table",
) -> None:
    """Raises `InputError` where a table of managers cannot be used, naming it as `where`."""
    if routing.manager not in managers.column_names:
        raise InputError(
            f"{where} has no column {routing.manager!r}",
            hint="manager, and optionally branch and capacity, are read; managers_columns in "
            "[[target]] says how else they are called",
        )
    roles = [(routing.manager, "name"), (routing.capacity, "measure")]
    for column, role in [*roles, *((theirs, "segment") for _, theirs in routing.shared)]:
        if column in managers.column_names:
            check_role(managers, column, role, where=where)
    names = compared(managers.column(routing.manager))
    missing, different = names.null_count, len(pc.unique(names.drop_null()))
    if missing or different + missing < len(names):
        raise InputError(
            f"{where}: {missing} of {len(names)} rows have no name in {routing.manager!r}, "
            f"{len(names) - missing - different} repeat one",
            hint="one row a manager",
        )
    if routing.capacity in managers.column_names:
        negative = int((_capacity(managers, routing.capacity, where) < 0).sum())
        if negative:
            raise InputError(f"{where}: {negative} of {len(names)} capacities are negative")
        if not (np.nan_to_num(_capacity(managers, routing.capacity, where), nan=1.0) >= 1).any():
            raise InputError(
                f"{where}: all {len(names)} managers have a capacity below 1",
                hint="nobody could take a lead; without a value a manager takes an even share",
            )


def _capacity(managers: pa.Table, column: str, where: str) -> np.ndarray:
    try:
        found = managers.column(column).cast(pa.float64(), safe=False)
    except pa.ArrowInvalid:
        raise InputError(f"{where}: {column!r} holds texts, a number of leads needed") from None
    return np.asarray(found.to_numpy(), np.float64)


def _checked(managers: pa.Table, routing: Routing) -> pa.Table:
    """The table, in the order of names."""
    check_managers(managers, routing)
    return managers.take(pc.sort_indices(compared(managers.column(routing.manager))))


def _capacities(managers: pa.Table, column: str, leads: int, used: Floats) -> Ints:
    """How many leads each takes, `used` by earlier lists; a quarter more than an even share of this
    list where nothing is said."""
    even = np.full(managers.num_rows, int(np.ceil(_SLACK * leads / managers.num_rows)))
    if column in managers.column_names:
        given = _capacity(managers, column, "")
        left = np.maximum(np.floor(np.nan_to_num(given)) - used, 0)
        even = np.where(np.isnan(given), even, np.minimum(left, leads))
    return even.astype(np.int64)


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


def column_of(table: pa.Table, name: str, kind: pa.DataType) -> Any:
    """A column, or nulls where there is none."""
    if name in table.column_names:
        column = table.column(name)
        return column.cast(kind) if pa.types.is_string(kind) else column
    return pa.nulls(table.num_rows, kind)

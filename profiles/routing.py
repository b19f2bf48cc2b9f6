"""By which columns leads go to managers: those that the job names, else those that are called so.

A column that is not found by its name would send every lead to whoever has room, and a list with
all leads assigned would look right. So what the job names must be there, and have values that both
tables know, before anything is disclosed.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from federated.readers.base import column_hint
from federated.tables.source import Source
from federated.tables.spelled import spelled
from profiles.specs import TargetSpec
from psi.protocol.errors import InputError

__all__ = ["Routing", "check_shared", "compared", "routing_of", "unknown"]


@dataclass(frozen=True)
class Routing:
    """Columns of leads and of managers that are compared.

    `shared` has pairs of a lead's and a manager's column, the first the most telling;
    `relationship` is the lead's column with the manager who knows the entity, "" for none;
    `manager` and `capacity` are the managers' columns.
    """

    shared: tuple[tuple[str, str], ...] = (("branch", "branch"),)
    relationship: str = "manager"
    manager: str = "manager"
    capacity: str = "capacity"

    @property
    def own_columns(self) -> tuple[str, ...]:
        """The receiver's columns."""
        named = [mine for mine, _ in self.shared] + [self.relationship]
        return tuple(dict.fromkeys(name for name in named if name))


def routing_of(target: TargetSpec, table: str, source: Source, file: str = "") -> Routing:
    """The columns of one list.

    Raises:
        InputError: a column that the job names is not there; managers have branches and the
            receiver's table names none.
    """
    own, theirs = source.columns(table), source.columns(target.managers)
    called = dict(target.managers_columns)
    place = f"{file}: [[target]] {target.product!r}"
    manager, capacity = (called.get(key, key) for key in ("manager", "capacity"))
    for column in called.values():
        _there(column, theirs, target.managers, f"{place} managers_columns")
    _there(manager, theirs, target.managers, f"{place} managers_columns: manager")
    relationship = target.relationship
    if relationship is None:
        relationship = "manager" if "manager" in own else ""
    elif relationship:
        _there(relationship, own, table, f"{place} relationship")
    if target.branch is not None:
        for column in target.branch:
            _there(column, own, table, f"{place} branch")
            _there(called.get(column, column), theirs, target.managers, f"{place} branch")
        shared = tuple((column, called.get(column, column)) for column in target.branch)
        return Routing(shared, relationship, manager, capacity)
    theirs_called = called.get("branch", "branch")
    if theirs_called in theirs and "branch" not in own:
        raise InputError(
            f"{place}: {target.managers} has a column {theirs_called!r}, and {table} has no "
            "'branch'",
            hint='branch = "COLUMN" names it, with managers_columns where the two differ; '
            "branch = [] goes without",
        )
    shared = (("branch", theirs_called),) if theirs_called in theirs else ()
    return Routing(shared, relationship, manager, capacity)


def _there(column: str, known: list[str], table: str, place: str) -> None:
    if column not in known:
        raise InputError(
            f"{place}: {table} has no column {column!r}", hint=column_hint(column, known)
        )


def check_shared(routing: Routing, own: pa.Table, managers: pa.Table, where: str) -> None:
    """Raise `InputError` where a column's values are none of the managers'."""
    for mine, theirs in routing.shared:
        known = pc.unique(compared(managers.column(theirs)).drop_null())
        values = compared(own.column(mine)).drop_null()
        met = int(pc.sum(pc.is_in(values, value_set=known)).as_py() or 0)
        if len(values) and len(known) and not met:
            raise InputError(
                f"{where}: none of the {pc.count_distinct(values).as_py():,} different values of "
                f"{mine!r} is one of the {len(known):,} of {theirs!r} at the managers",
                hint="are both codes, or both names? types in tables.toml keep leading zeros",
            )


def unknown(
    routing: Routing, leads: pa.Table, managers: pa.Table
) -> tuple[tuple[str, str, int], ...]:
    """Where leads name a manager, or what they share with one, that no manager has.

    Returns: the lead's column, the managers', and how many leads, at least one each.
    """
    pairs = [(routing.relationship, routing.manager)] if routing.relationship else []
    found = []
    for mine, theirs in [*pairs, *routing.shared]:
        if mine in leads.column_names and theirs in managers.column_names:
            named = compared(leads.column(mine)).drop_null()
            known = pc.is_in(named, value_set=pc.unique(compared(managers.column(theirs))))
            if lost := len(named) - int(pc.sum(known).as_py() or 0):
                found.append((mine, theirs, lost))
    return tuple(found)


def compared(column: pa.ChunkedArray) -> pa.Array:
    """A column as it is compared (`spelled`). Raises `InputError` for a type that is not."""
    return spelled(column).cast(pa.string())

"""What one list of a job learns by: its table of earlier leads, and the managers' own columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.readers.base import column_hint
from federated.tables.column_roles import check_role
from federated.tables.matrix import numeric_matrix
from federated.tables.source import Source
from profiles.assignment.learned import Learned
from profiles.routing import Routing, compared
from profiles.specs import TargetSpec
from psi.protocol.errors import InputError

__all__ = ["earlier_leads", "history_columns", "learned_of"]

_ENOUGH = 1000
"""Earlier leads of a product from which on those of others are left aside."""
_KINDS = 30
"""Most different values of a managers' column that says what kind of manager one is."""


def history_columns(target: TargetSpec, source: Source, where: str) -> list[str]:
    """The columns of a list's table of earlier leads that are read.

    Raises `InputError` where one is not there.
    """
    there = source.columns(target.history)
    needed = ["manager", "outcome", *target.learn_by]
    for column in (column for column in needed if column not in there):
        hint = column_hint(column, there)
        if column in target.learn_by:
            hint += (
                f'; lists that carry it, by columns = ["{column}"], bring it into what is loaded'
            )
        raise InputError(f"{where}: {target.history} has no column {column!r}", hint=hint)
    return [*dict.fromkeys(needed), *(["product"] if "product" in there else [])]


def earlier_leads(
    target: TargetSpec, managers: pa.Table, tables: Source, routing: Routing, where: str
) -> pa.Table:
    """A list's earlier leads that have a manager; `where` names the list in errors.

    Raises:
        InputError: a column that is not there or of a type that says nothing, leads none of whose
            managers is there any more, or an outcome that is not 0 or 1.
    """
    columns = history_columns(target, tables, where)
    found = tables.load(target.history, columns, keys=["manager"])
    for column in columns:
        role = {"manager": "entity", "outcome": "feature"}.get(column, "segment")
        check_role(found, column, role, where=target.history)
    found = found.filter(pc.is_valid(compared(found.column("manager"))))
    here = pc.is_in(
        compared(found.column("manager")), value_set=compared(managers.column(routing.manager))
    )
    outcomes = numeric_matrix(found.filter(here), ["outcome"], where=target.history)[:, 0]
    if found.num_rows and not len(outcomes):
        raise InputError(
            f"{where}: none of {found.num_rows:,} leads in {target.history} has a manager of "
            f"{target.managers}",
            hint="are they written alike in both? without history leads are assigned by the rest",
        )
    if wrong := int((~np.isin(outcomes, (0.0, 1.0))).sum()):
        raise InputError(
            f"{where}: {wrong:,} of {len(outcomes):,} outcomes in {target.history} are not 0 or 1",
            hint="fedprofile leads load makes such a table of lists and what became of them",
        )
    return found


def learned_of(
    target: TargetSpec, managers: pa.Table | None, tables: Source, routing: Routing
) -> Learned | None:
    """What the list's earlier leads say; None where it names none, or none has a manager.

    Args:
        target: the list.
        managers: its managers.
        tables: the job's copies of the receiver's tables.
        routing: which of the managers' columns are compared with leads': the others that say of
            what kind a manager is are learned by.
    """
    if not target.history or managers is None:
        return None
    history = earlier_leads(target, managers, tables, routing, target.product)
    if not history.num_rows:
        return None
    if "product" in history.column_names:
        same = history.filter(pc.equal(compared(history.column("product")), target.product))
        history = same if same.num_rows >= _ENOUGH else history
    named = {routing.manager, routing.capacity, *(theirs for _, theirs in routing.shared)}
    kinds = [
        name
        for name in managers.column_names
        if name not in named and len(pc.unique(managers.column(name))) <= _KINDS
    ]
    return Learned.fit(
        history.rename_columns(
            [routing.manager if name == "manager" else name for name in history.column_names]
        ),
        managers,
        columns=target.learn_by,
        attributes=kinds,
        manager=routing.manager,
    )

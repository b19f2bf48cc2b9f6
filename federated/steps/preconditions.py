"""What every step needs of this party's table, looked at before it states facts or signs.

A slip that a table shows must not end a job after the first disclosure: values that are no
numbers, a label with three classes, a type that no segment can be, a package that is missing. What
depends on the rows that parties share is known later, and for the steps.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from federated.aggregate.messages import GROUPS
from federated.aggregate.noise import discrete_laplace
from federated.aggregate.rows import LARGEST
from federated.contract.noise import needs_noise
from federated.contract.terms import Contract, PartyTerms, TrainTerms
from federated.steps.by_segment import groups_of
from federated.tables.column_roles import check_role
from federated.tables.inferred import refuse_unclear
from federated.tables.key_columns import check_key
from federated.tables.matrix import known_labels, numeric_matrix
from psi.protocol import InputError, Refused

__all__ = ["check_columns", "check_table"]

_CLASS_ROWS = 20
_SUMMED = ("sum", "mean", "variance")


def check_columns(terms: PartyTerms, table: pa.Table) -> None:
    """Keys and features, which a party's own terms say all about.

    Raises:
        InputError: a column whose type its role cannot take, or a text of which its owner must say
            what it is.
    """
    for columns, kinds in zip(terms.keys, terms.kinds, strict=False):
        for column, kind in zip(columns, kinds, strict=False):
            check_key(table, column, kind)
    for column in terms.features:
        check_role(table, column, "feature", where=terms.table)
        refuse_unclear(table, column, terms.table)


def check_table(contract: Contract, party: str, table: pa.Table) -> None:
    """All that this contract's steps ask of the table of `party`.

    Raises:
        InputError: names the column, and how many values are in the way.
        Refused: too few rows of a class.
        EnvironmentFailed: a package that a step needs is not installed.
    """
    terms = contract.party(party)
    if needs_noise(contract, party):
        discrete_laplace([1])
    asked = [m for a in contract.aggregate if a.partner == party for m in a.measures]
    asked += [m for j in contract.join_sum if j.partner == party for m in j.measures]
    summed = [m.column for m in asked if m.statistic in _SUMMED]
    _check_numbers(table, [m.column for m in asked], terms.table)
    _check_numbers(table, summed, terms.table, most=LARGEST)
    for section in contract.category:
        if section.partner == party:
            check_role(table, section.category, "category", where=terms.table)
        if contract.receiver == party:
            _check_numbers(table, [a.column for a in section.amounts], terms.table)
    if contract.receiver == party:
        by = [a.by for a in contract.aggregate]
        by += [c.segment for c in contract.category if c.segment]
        _check_segments(table, by, terms.table)
    for train in contract.train:
        if contract.receiver == party or train.split == "horizontal":
            _check_label(table, train, terms)


def _check_numbers(
    table: pa.Table, columns: Iterable[str], where: str, *, most: float = np.inf
) -> None:
    for column in dict.fromkeys(columns):
        values = numeric_matrix(table, [column], where=where)[:, 0]
        over = int(np.count_nonzero(np.abs(values) >= most))
        if over:
            raise InputError(
                f"{where}: column {column!r}: {over:,} of {len(values):,} values are too large to "
                "add up",
                hint="divide them by 1000",
            )


def _check_segments(table: pa.Table, columns: Iterable[str], where: str) -> None:
    for column in dict.fromkeys(columns):
        check_role(table, column, "segment", where=where)
        names, _ = groups_of(table.column(column))
        if not names:
            raise InputError(f"{where}: column {column!r} is empty: there is no segment in it")
        if len(names) > GROUPS - 2:
            raise InputError(
                f"{where}: column {column!r} has {len(names):,} different values, at most "
                f"{GROUPS - 2:,} segments allowed",
                hint="group by a coarser column",
            )


def _check_label(table: pa.Table, train: TrainTerms, terms: PartyTerms) -> None:
    label = known_labels(table, train.label, positive=train.positive, where=terms.table)
    counts = [int(np.count_nonzero(label == value)) for value in (0, 1)]
    least = max(_CLASS_ROWS, train.folds)
    if train.split == "vertical" and min(counts) < least:
        raise Refused(
            f"{terms.table}: label {train.label!r} has {min(counts):,} rows of its rarer class, at "
            f"least {least:,} are needed",
            hint="more rows with a label are needed, or fewer folds",
        )
    if train.split == "horizontal":
        values = numeric_matrix(table, terms.features, where=terms.table)[label >= 0]
        missing = int(np.isnan(values).sum())
        if missing:
            raise InputError(
                f"{terms.table}: {missing:,} feature values are missing",
                hint="fill them in before horizontal training",
            )

"""What a contract needs of this party's table, looked at before it states facts or signs.

A slip that a table shows must not end a job after the first disclosure: values that are no
numbers, a label with three classes, a type that no segment can be, a package that is missing. What
each kind of step asks is its own (`Step.check`); what depends on the rows that parties share is
known later, and for the steps.
"""

from __future__ import annotations

import pyarrow as pa

from federated.aggregate.noise import discrete_laplace
from federated.contract.release import planned
from federated.contract.terms import Contract, PartyTerms
from federated.tables.column_roles import check_role
from federated.tables.inferred import refuse_unclear
from federated.tables.key_columns import check_key

__all__ = ["check_columns", "check_packages"]


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


def check_packages(contract: Contract, party: str) -> None:
    """Raise `EnvironmentFailed` if this party is to add noise and has no package for it."""
    if any(release.epsilon for release in planned(contract, party)):
        discrete_laplace([1])

"""What a contract needs of this party's table, looked at before it states facts or signs.

A slip that a table shows must not end a job after the first disclosure: values that are no
numbers, a label with three classes, a type that no segment can be, a package that is missing. What
each kind of step asks is its own (`Step.check`); what depends on the rows that parties share is
known later, and for the steps.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.aggregate.noise import discrete_laplace
from federated.contract.kinds import KINDS
from federated.contract.terms import Contract, PartyTerms
from federated.tables.column_roles import check_role
from federated.tables.inferred import refuse_unclear
from federated.tables.key_columns import check_key, cleaned_key
from psi.identifiers import combine
from psi.protocol import Refused

__all__ = ["check_columns", "check_packages", "check_usable"]

_ROWS = 1 << 14
"""Rows whose keys are looked at together."""


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


def check_usable(contract: Contract, party: str, table: pa.Table) -> None:
    """Raise `Refused` where fewer rows have a usable key than a job needs, or more than it takes.

    Rows are looked at until there are enough, so that a large table takes no time.
    """
    terms = contract.party(party)
    asked = [a for a in contract.align if party in (contract.receiver, a.partner)]
    least = max((1, *(a.minimum_overlap for a in asked)))
    if not asked or not terms.keys:
        return
    most = [(a.largest_set, "largest_set") for a in asked]
    if party == contract.receiver:  # whose items the partner counts under its kept tags
        most += [(a.keep_tags_items, "keep_tags_items") for a in asked if a.keep_tags_days]
    if table.num_rows > min(most)[0]:
        _check_largest(terms, table, *min(most))
    usable, distinct = 0, pa.array([], pa.large_string())
    for start in range(0, table.num_rows, _ROWS):
        keys = _level_keys(terms, table.slice(start, _ROWS))
        usable += int(np.logical_or.reduce([_there(key) for key in keys]).sum())
        if len(keys) == 1:  # rows with one key count once
            distinct = pc.unique(pa.concat_arrays([distinct, keys[0].drop_null()]))
            usable = len(distinct)
        if usable >= least:
            return
    columns = " or ".join(" and ".join(level) for level in terms.keys)
    what = "different usable keys" if len(terms.keys) == 1 else "rows with a usable key"
    raise Refused(
        f"{terms.table}: {usable:,} {what} in {columns}, at least {least:,} needed",
        hint="fedprofile preflight says what is wrong with the others",
    )


def _check_largest(terms: PartyTerms, table: pa.Table, most: int, key: str) -> None:
    """Raise `Refused` where the first keys are more than the other side takes, by this `key`."""
    found = int(pc.count_distinct(_level_keys(terms, table)[0]).as_py())
    if found > most:
        raise Refused(
            f"{terms.table}: {found:,} different keys, {most:,} allowed by {key}",
            hint=f"a larger {key} in [align], or fewer rows",
        )


def _level_keys(terms: PartyTerms, table: pa.Table) -> list[pa.Array]:
    """The cleaned keys of each level; null where a row has none."""
    return [
        combine([cleaned_key(table, c, k) for c, k in zip(columns, kinds, strict=True)])
        for columns, kinds in zip(terms.keys, terms.kinds, strict=True)
    ]


def _there(key: pa.Array) -> np.ndarray:
    return np.asarray(pc.is_valid(key).to_numpy(zero_copy_only=False), bool)


def check_packages(contract: Contract, party: str) -> None:
    """Raise `EnvironmentFailed` if this party is to add noise and has no package for it.

    A partner adds it to what it tells of categories, sums and bins, the receiver to its labels'
    counts.
    """
    binned = any(terms.partner == party for terms in contract.binning)
    if binned or any(epsilon for kind in KINDS for epsilon, _ in kind.unnoised(contract, party)):
        discrete_laplace([1])

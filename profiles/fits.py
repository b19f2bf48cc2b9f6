"""Where a job and a party's own tables pass each other by, though no step would fail.

A partner's category column that holds none of the job's names makes every row `(other)`, and a
managers' table whose branches nobody named sends every lead to whoever has room. Both look like an
answer, so both are said before anything is sent: counts and names of columns, never a value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from federated.readers.advice import quoted_name
from federated.readers.canonical import is_text
from federated.tables.category_names import names_missed
from federated.tables.column_report import ColumnTaken
from federated.tables.source import Source
from profiles.job import Job
from profiles.own_table import entity_column, managers_of, routed
from profiles.routing import compared
from profiles.specs import TargetSpec
from psi.protocol.errors import FedprofileError

__all__ = ["unnamed_branches", "with_categories"]


def with_categories(
    job: Job, party: str, table: pa.Table, found: Sequence[ColumnTaken]
) -> list[ColumnTaken]:
    """The same report, in which a category column says how many rows hold a name of the job's."""
    told: dict[str, list[str]] = {}
    for asked in job.categories:
        if asked.partner == party:
            missed = names_missed(table, asked.category, asked.categories)
            told.setdefault(asked.category, []).extend([missed] if missed else [])
    return [replace(one, wrong=(*one.wrong, *told.get(one.column, ()))) for one in found]


def unnamed_branches(job: Job, source: Source) -> dict[str, str]:
    """By list: what to write where managers share a column with the receiver's rows, and no name.

    Whatever cannot be read is said by `check_own`, and nothing here.
    """
    found = {}
    for target in job.targets:
        try:
            if target.managers and target.branch is None:
                pair = next(_alike(job, target, source), None)
                if pair is not None:
                    found[target.product] = _advice(target, *pair)
        except FedprofileError:
            continue
    return found


def _alike(job: Job, target: TargetSpec, source: Source) -> Iterator[tuple[str, str]]:
    """The receiver's and the managers' column that mostly hold each other's texts."""
    routing, spec = routed(job, target, source), job.party(job.receiver)
    managers = managers_of(target, source)
    if routing.shared or managers is None:
        return
    known = source.columns(spec.table)
    theirs = [c for c in managers.column_names if c not in (routing.manager, routing.capacity)]
    named = ["branch", *theirs, *job.profile.facts, job.profile.branches, *target.columns]
    keys = {entity_column(job), routing.relationship, *(c for level in spec.keys for c in level)}
    mine = [c for c in dict.fromkeys(named) if c in known and c not in keys]
    own = source.load(spec.table, mine) if mine else pa.table({})
    for other in theirs:
        for column in sorted(mine, key=lambda name: name != other):
            if _hold_each_other(own.column(column), managers.column(other)):
                yield column, other


def _hold_each_other(own: pa.ChunkedArray, theirs: pa.ChunkedArray) -> bool:
    if not all(is_text(c.type) or pa.types.is_integer(c.type) for c in (own, theirs)):
        return False
    rows, places = compared(own).drop_null(), pc.unique(compared(theirs)).drop_null()
    if len(places) < 2 or not len(rows):
        return False
    met = int(pc.sum(pc.is_in(rows, value_set=places)).as_py() or 0)
    there = int(pc.sum(pc.is_in(places, value_set=pc.unique(rows))).as_py() or 0)
    return 2 * met >= len(rows) and 2 * there >= len(places)


def _advice(target: TargetSpec, mine: str, theirs: str) -> str:
    named = json.dumps(mine, ensure_ascii=False)
    renamed = ""
    if mine != theirs:
        other = json.dumps(theirs, ensure_ascii=False)
        renamed = f" and managers_columns = {{ {quoted_name(mine)} = {other} }}"
    return (
        f"its leads go to managers by capacity: {target.managers} has no column 'branch', and its "
        f"{theirs!r} holds what {mine!r} does; branch = {named}{renamed} goes by it, branch = [] "
        "says that none is meant"
    )

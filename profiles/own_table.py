"""The receiver's own tables: what profiles and target lists take from them.

Looked at before a job starts: what is disclosed in a job is disclosed once, so a slip in the part
that the other parties never see must not show after it. Read once, with what the steps read: the
outputs are made of the job's copy of the tables, in which every row has its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.readers.base import column_hint
from federated.tables.basis import ANY, Admission
from federated.tables.column_roles import check_role
from federated.tables.frozen import FrozenColumns
from federated.tables.kept_tables import Extract, KeptTables
from federated.tables.matrix import known_labels
from federated.tables.source import Source
from profiles.assignment.of_list import history_columns
from profiles.job import Job, TargetSpec
from profiles.managers import check_managers
from profiles.routing import Routing, check_shared, routing_of
from profiles.targets import RESERVED
from psi.protocol.errors import InputError, JobError

__all__ = [
    "admission_of",
    "check_own",
    "check_types",
    "eligible",
    "entity_column",
    "extracts",
    "managers_of",
    "own_facts",
    "own_table",
    "routed",
]

_COMPUTED = ("segment", "segment_name", "matched", "match_grade")
_ROLE = {"facts": "fact", "name": "name", "columns": "list column"}


def check_own(job: Job, source: Source, frozen: FrozenColumns | None = None) -> None:
    """Look for every column and table of the receiver's that its outputs will need.

    With `frozen` they are held to what they were taken for in the last job.

    Raises:
        JobError, InputError: naming the job file's key, what is missing and what is there.
    """
    if job.horizontal:
        return
    table = job.party(job.receiver).table
    known = source.columns(table)
    for place, target in enumerate(job.targets, start=1):
        taken = [c for c in target.columns if c in RESERVED or c == entity_column(job)]
        if taken:
            raise JobError(
                f"{job.file}: [[target]] {place} columns: {taken[0]!r} is in every list already",
                hint="leave it out, or give the table's column another name",
            )
    for place, target in enumerate(job.targets, start=1):
        if target.channel and source.basis(table) is None:
            raise JobError(
                f"{job.file}: [[target]] {place} channel: {target.channel!r} found, but nothing "
                f"says by which channels the entities of {table} may be reached",
                hint=f"name its table of bases: [{table}] basis in tables.toml",
            )
        if target.channel:
            _check_channel(job, place, target.channel, source)
    for key, columns in _shown(job):
        for column in columns:
            if column not in known:
                raise InputError(
                    f"{job.file}: {key}: {table} has no column {column!r}",
                    hint=column_hint(column, known),
                )
    check_types(job, source, frozen)
    for target in job.targets:
        managers = managers_of(target, source)
        if managers is not None:
            routing = routed(job, target, source)
            check_managers(managers, routing, where=target.managers)
            taken = [column for column in routing.own_columns if column in _COMPUTED]
            if taken:
                raise InputError(
                    f"{job.file}: [[target]] {target.product!r}: {taken[0]!r} of {table} has the "
                    "name of a column that profiles add",
                    hint="give the table's column another name",
                )
            if target.history:
                history_columns(
                    target, source, f"{job.file}: [[target]] {target.product!r} history"
                )
            own = source.load(table, list(routing.own_columns))
            check_shared(routing, own, managers, f"{job.file}: [[target]] {target.product!r}")


def check_types(job: Job, source: Source, frozen: FrozenColumns | None) -> None:
    """Refuse a column whose type the outputs cannot have; `frozen` sees what each is taken for."""
    table, entity = job.party(job.receiver).table, entity_column(job)
    roles = [(entity, "entity")]
    roles += [(c, "segment") for c in _routing_columns(job, source)]
    roles += [(c, _ROLE[key.split()[-1]]) for key, columns in _shown(job) for c in columns]
    found = source.load(table, list(dict.fromkeys(column for column, _ in roles)))
    if frozen is not None:
        # features are looked at where they are trained on, with the same file
        others = [c for c in found.column_names if c not in _key_columns(job)]
        features = [c for c in job.party(job.receiver).features if c in others]
        frozen.check(table, found.select(others), features)
    for column, role in roles:
        check_role(found, column, role, where=table)


def extracts(job: Job, party: str, source: Source) -> list[Extract]:
    """What a party's outputs will need of its tables: to be kept with what the contract names."""
    found = []
    if job.horizontal:
        (train,) = job.trains
        table = train.test_table
        if table and table.split(".", 1)[0] == party:
            features = job.party(party).features
            found.append(Extract(table, (*features, train.label)))
    elif party == job.receiver:
        spec = job.party(party)
        found.append(Extract(spec.table, tuple(_own_columns(job, source)), _key_columns(job)))
        for name in dict.fromkeys(target.managers for target in job.targets if target.managers):
            found.append(Extract(name, tuple(source.columns(name))))
        learning: dict[str, list[str]] = {}
        for target in job.targets:
            if target.history:
                learning.setdefault(target.history, []).extend(
                    history_columns(target, source, f"{job.file}: [[target]] {target.product!r}")
                )
        for name, columns in learning.items():
            found.append(Extract(name, tuple(dict.fromkeys(columns)), ("manager",)))
    return found


def own_table(job: Job, tables: Source) -> pa.Table:
    """Keys, features, segments and facts of the receiver, all its rows, of the job's copy."""
    table = job.party(job.receiver).table
    return tables.load(table, _own_columns(job, tables), keys=_key_columns(job))


def _key_columns(job: Job) -> tuple[str, ...]:
    return tuple(column for level in job.party(job.receiver).keys for column in level)


def _own_columns(job: Job, source: Source) -> list[str]:
    spec = job.party(job.receiver)
    managed = _routing_columns(job, source)
    shown = [column for _, columns in _shown(job) for column in columns]
    by = [a.by for a in job.aggregates]
    return list(dict.fromkeys([*_key_columns(job), *shown, *by, *spec.features, *managed]))


def _routing_columns(job: Job, source: Source) -> list[str]:
    """What leads go to managers by; what is called branch or manager is carried in any case."""
    known = source.columns(job.party(job.receiver).table)
    routed_by = [c for t in job.targets for c in routed(job, t, source).own_columns]
    named = [c for c in ("branch", "manager") if c in known and c not in routed_by]
    return [*named, *dict.fromkeys(routed_by)]


def routed(job: Job, target: TargetSpec, source: Source) -> Routing:
    """By which columns a list's leads go to managers; raises `InputError` as `routing_of` does."""
    if not target.managers:
        return Routing((), "")
    return routing_of(target, job.party(job.receiver).table, source, job.file)


def own_facts(job: Job, table: pa.Table) -> list[str]:
    """The columns of `own_table` in the order of the profiles: features last."""
    features = job.party(job.receiver).features
    facts = [name for name in table.column_names if name not in features]
    return facts + [name for name in features if name not in facts]


def entity_column(job: Job) -> str:
    """The column that names an entity: the first fact, else the first key."""
    return (*job.profile.facts, job.party(job.receiver).keys[0][0])[0]


def managers_of(target: TargetSpec, source: Source) -> pa.Table | None:
    """The managers of a list, None where the job names none."""
    if not target.managers:
        return None
    return source.load(target.managers, source.columns(target.managers))


def eligible(job: Job, target: TargetSpec, tables: Source) -> np.ndarray | None:
    """bool[rows of the job's copy]: who may be on a list, None for everybody.

    By default nobody whose label already is the outcome: a customer who has left cannot be kept,
    one who has bought need not be asked. And nobody who may not be reached by the list's channel,
    or who has lost the basis for this job.
    """
    table, train = job.party(job.receiver).table, job.train(target.task)
    admission = admission_of(tables, table)
    reached = None if admission is None else _reached(admission, target.channel)
    if target.leave_out == "none":
        return reached
    label = known_labels(
        tables.load(table, [train.label]), train.label, positive=train.positive, where=table
    )
    found = label < 0 if target.leave_out == "labelled" else label != 1
    return found if reached is None else found & reached


def admission_of(tables: Source, table: str) -> Admission | None:
    """Who of a table is in the job; None where nothing is said of bases, or no job has a copy."""
    return tables.admission(table) if isinstance(tables, KeptTables) else None


def _check_channel(job: Job, place: int, channel: str, source: Source) -> None:
    """Raise `JobError` where no basis names the channel: its list would be of nobody's choosing."""
    basis = source.basis(job.party(job.receiver).table)
    if basis is None or "channel" not in basis.columns:
        return
    column = basis.columns["channel"]
    named = pc.unique(source.load(basis.table, [column], keys=[column]).column(column))
    known = sorted({text.strip() for text in named.to_pylist() if text and text.strip()})
    if channel not in known:
        close = get_close_matches(channel.lower(), known, n=1)
        there = " or ".join(known)
        raise JobError(
            f"{job.file}: [[target]] {place} channel: {channel!r} found, {there} named by "
            f"{basis.table}",
            hint=f"did you mean {close[0]!r}?" if close else "",
        )


def _reached(admission: Admission, channel: str) -> np.ndarray:
    """Rows that may be reached by a channel; by "" all that are in."""
    if not channel:
        return admission.rows
    nobody = np.zeros(len(admission.rows), bool)
    return admission.channels.get(channel, admission.channels.get(ANY, nobody))


def _shown(job: Job) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Columns that are carried into the outputs, by the key of the job file that names them."""
    yield "[profile] facts", job.profile.facts
    for place, target in enumerate(job.targets, start=1):
        yield f"[[target]] {place} name", (target.name,) if target.name else ()
        yield f"[[target]] {place} columns", target.columns

"""The receiver's own tables: what profiles and target lists take from them.

Looked at before a job starts: what is disclosed in a job is disclosed once, so a slip in the part
that the other parties never see must not show after it. Read once, with what the steps read: the
outputs are made of the job's copy of the tables, in which every row has its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.binning import values_of
from federated.readers.base import column_hint
from federated.tables.basis import Admission
from federated.tables.column_roles import check_role
from federated.tables.frozen import FrozenColumns
from federated.tables.kept_tables import Extract
from federated.tables.source import Source
from profiles.assignment.of_list import earlier_leads, history_columns
from profiles.exclusion.consent import admission_of, check_channel
from profiles.exclusion.left_out import WhoMay, who_may
from profiles.exclusion.rules import Rules, own_columns_of, rule_extracts
from profiles.job import Job, TargetSpec
from profiles.label_counts import check_counted
from profiles.label_section import COUNTS
from profiles.managers import check_managers
from profiles.offers.chosen import OFFER_COLUMNS, check_numbers
from profiles.offers.shown import COLUMNS, read_effects
from profiles.routing import Routing, check_shared, routing_of
from profiles.ruled import ruled_columns, ruled_segments, stages
from profiles.targets import RESERVED
from psi.protocol.errors import InputError, JobError

__all__ = [
    "check_list_columns",
    "check_own",
    "check_types",
    "entity_column",
    "extracts",
    "managers_of",
    "offer_columns",
    "own_facts",
    "own_table",
    "routed",
    "sieved",
    "who_may_be_told",
]

_COMPUTED = ("stage", "segment", "segment_name", "matched", "match_grade", "channels", "as_of")
_ROLE = {"facts": "fact", "branches": "segment", "name": "name", "columns": "list column"}


def check_own(job: Job, source: Source, frozen: FrozenColumns | None = None) -> None:
    """Look for every column and table of the receiver's that its outputs will need.

    With `frozen` they are held to what they were taken for in the last job.

    Raises:
        JobError, InputError: naming the job file's key, what is missing and what is there.
    """
    if job.horizontal:
        return
    table = job.party(job.receiver).table
    try:
        known = source.columns(table)
    except InputError as error:
        if job.label is None or ": no file " not in error.message:
            raise
        command = f"fedprofile flows labels {job.file} --tables TABLES --out FILE"
        raise InputError(error.message, hint=f"a job's [label] is written by: {command}") from None
    check_list_columns(job)
    for place, target in enumerate(job.targets, start=1):
        if target.channel:
            check_channel(job, f"[[target]] {place}", target.channel, source)
    for offer in job.offers:
        if offer.channel and source.basis(table) is not None:
            check_channel(job, f"[[offer]] {offer.name!r}", offer.channel, source)
    ruled = ("[[exclude]]", tuple(own_columns_of(job, entity_column(job))))
    grouped = ("[[segment]] or [[stage]] where", tuple(ruled_columns(job)))
    for key, columns in (*_shown(job), ruled, grouped, ("[[offer]]", tuple(offer_columns(job)))):
        for column in columns:
            if column not in known:
                raise InputError(
                    f"{job.file}: {key}: {table} has no column {column!r}",
                    hint=column_hint(column, known),
                )
    for grouped_by in (ruled_segments, stages):  # values that a rule cannot be held against
        grouped_by(job, source, date.today())
    check_counted(job, source)
    check_types(job, source, frozen)
    _check_entity(job, source)
    _check_binned(job, source)
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
                said = f"{job.file}: [[target]] {target.product!r} history"
                earlier_leads(target, managers, source, routing, said)
            own = source.load(table, list(routing.own_columns))
            check_shared(routing, own, managers, f"{job.file}: [[target]] {target.product!r}")
    _check_somebody_left(job, source)
    for target in (target for target in job.targets if target.effects):
        for column in COLUMNS:
            if column not in (there := source.columns(target.effects)):
                raise InputError(
                    f"{job.file}: [[target]] {target.product!r} effects: {target.effects} has no "
                    f"column {column!r}",
                    hint=column_hint(column, there) or "fedprofile uplift --out makes such a table",
                )
        read_effects(source.load(target.effects, COLUMNS, keys=["group"]), target.effects)
    if offer_columns(job):
        numbers = source.load(table, offer_columns(job))
        for offer in job.offers:
            for column in offer.columns:
                check_numbers(numbers, column, offer)


def check_list_columns(job: Job) -> None:
    """Raise `JobError` where a list is to carry a column that every list has, whatever is in it."""
    for place, target in enumerate(job.targets, start=1):
        taken = [c for c in target.columns if c in (*RESERVED, *OFFER_COLUMNS, entity_column(job))]
        if taken:
            raise JobError(
                f"{job.file}: [[target]] {place} columns: {taken[0]!r} is in every list already",
                hint="leave it out, or give the table's column another name",
            )


def _check_entity(job: Job, source: Source) -> None:
    """Raise `InputError` where the first fact does not tell the receiver's rows apart.

    A key may repeat: what becomes of its rows is said by `[align] duplicates`.
    """
    entity, table = entity_column(job), job.party(job.receiver).table
    if entity in _key_columns(job):
        return
    named = source.load(table, [entity]).column(entity)
    values = pc.count_distinct(named, mode="only_valid").as_py()
    repeated = len(named) - named.null_count - values
    if repeated or named.null_count:
        raise InputError(
            f"{job.file}: [profile] facts: the first names the entity, and {entity!r} of {table} "
            f"has {values:,} values in {len(named):,} rows, {named.null_count:,} of them empty",
            hint="put a column first that is another one in each row, as a customer's number",
        )


def _check_somebody_left(job: Job, source: Source) -> None:
    """Raise `InputError` where rules leave out everybody whom a list could have."""
    if not job.excludes:
        return
    for target, found in zip(job.targets, sieved(job, source, None), strict=True):
        if not found.rows.any():
            counts = ", ".join(f"{r.people:,} {r.words!r}" for r in found.reasons if r.people)
            raise InputError(
                f"{job.file}: [[target]] {target.product!r}: nobody is left of "
                f"{len(found.rows):,}: {counts}",
                hint="each [[exclude]] and leave_out is counted in its order",
            )


def sieved(
    job: Job, tables: Source, admission: Admission | None, today: date | None = None
) -> list[WhoMay]:
    """Who may be on each list, and why others may not.

    Args:
        job: as it was loaded.
        tables: the receiver's.
        admission: who is in the job by their basis, None where nothing is said.
        today: what days are counted from; by default the day it is here.
    """
    rules = Rules(job, tables, entity_column(job), today or date.today())
    return [who_may(job, target, tables, rules, admission) for target in job.targets]


def who_may_be_told(job: Job, tables: Source, task: str) -> np.ndarray | None:
    """`bool[rows]`: who may be on the list of a task whose rows get no score; None: no such list.

    Args:
        job: as it was loaded.
        tables: the job's copies of the receiver's tables.
        task: of the training.
    """
    admission = admission_of(tables, job.party(job.receiver).table)
    for target, found in zip(job.targets, sieved(job, tables, admission), strict=True):
        if target.task == task and target.tells == "list":
            return found.rows
    return None


def _check_binned(job: Job, source: Source) -> None:
    """Look whether the receiver's own columns in bins are there, and can be binned."""
    table = job.party(job.receiver).table
    known = source.columns(table)
    for column in dict.fromkeys(column for one in job.binnings for column in one.own):
        if column not in known:
            raise InputError(
                f"{job.file}: [[binning]] columns: {table} has no column {column!r}",
                hint=column_hint(column, known),
            )
        values_of(source.load(table, [column]), column, table)


def check_types(job: Job, source: Source, frozen: FrozenColumns | None) -> None:
    """Refuse a column whose type the outputs cannot have; `frozen` sees what each is taken for."""
    table, entity = job.party(job.receiver).table, entity_column(job)
    roles = [(entity, "entity")]
    roles += [(c, "segment") for c in _routing_columns(job, source)]
    roles += [(c, _ROLE[key.split()[-1]]) for key, columns in _shown(job) for c in columns]
    roles += [(c, "segment") for c in (*own_columns_of(job, entity), *offer_columns(job))]
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
        binned = dict.fromkeys(column for one in job.binnings for column in one.own)
        found += [Extract(spec.table, tuple(binned))] if binned else []
        for name in dict.fromkeys(target.managers for target in job.targets if target.managers):
            found.append(Extract(name, tuple(source.columns(name))))
        learning: dict[str, list[str]] = {}
        for target in job.targets:
            if target.history:
                learning.setdefault(target.history, []).extend(
                    history_columns(target, source, f"{job.file}: [[target]] {target.product!r}")
                )
        for name in dict.fromkeys(target.effects for target in job.targets if target.effects):
            found.append(Extract(name, COLUMNS, ("group",)))
        for name, columns in learning.items():
            found.append(Extract(name, tuple(dict.fromkeys(columns)), ("manager",)))
        found += rule_extracts(job, entity_column(job))
        if columns := ruled_columns(job):
            found.append(Extract(spec.table, tuple(columns)))
        if job.label is not None:
            found.append(Extract(job.label.counted, COUNTS))
        if columns := offer_columns(job):
            found.append(Extract(spec.table, tuple(columns)))
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


def offer_columns(job: Job) -> list[str]:
    """The receiver's columns that offers look at."""
    return list(dict.fromkeys(column for offer in job.offers for column in offer.columns))


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


def _shown(job: Job) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Columns that are carried into the outputs, by the key of the job file that names them."""
    yield "[profile] facts", job.profile.facts
    yield "[profile] branches", (job.profile.branches,) if job.profile.branches else ()
    for place, target in enumerate(job.targets, start=1):
        yield f"[[target]] {place} name", (target.name,) if target.name else ()
        yield f"[[target]] {place} columns", target.columns

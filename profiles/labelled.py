"""The table that a label of flows is trained on: a row an entity and cut-off.

    labels          of each cut-off, from what happened after it (`profiles.labels`, `label_tasks`)
    feature views   as they were known at the begin of that day: nothing later is looked at
    keys, `fixed`   of the receiver's table, by the entity's number

Who cannot be judged has no row and is counted by the reason, in a table beside. An entity's rows
have its keys, by which folds are dealt, so that all of them are in one fold. Where a training keeps
a validation period, each entity has rows on one side of its first day only, drawn at random where
it has labels on both: the later time is then told of entities that were not trained on, and
nobody's record is in both. All of it runs on the engine that holds the flows.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.readers import arrow_expression
from federated.tables.bindings import Table
from profiles.flows.breaks import TELL, breaks
from profiles.flows.flows import Flows
from profiles.flows.series import series_of
from profiles.job_checks import view_columns
from profiles.job_sections import KIND_OF
from profiles.label_section import COUNTS, CUT_OFF, LabelSpec
from profiles.label_tasks import assets_of, default, product_moved
from profiles.labels import churn, outcome_of, payroll_moved
from profiles.views.frame import LOOKED_AT, feature_frame
from psi.protocol.errors import InputError, JobError, MisuseError

if TYPE_CHECKING:
    from profiles.job import Job

__all__ = ["training_table", "write_counts"]

_LEVELS = ("churn", "bought", "dropped")
_TOLD_AFTER = TELL - 30
"""Days after the outcome by which it is known whether wages stopped in its last month."""


def training_table(job: Job, flows: Flows, tables: dict[str, Table]) -> tuple[Any, pa.Table]:
    """The rows that a job with `[label]` trains on, an Ibis table; and the counts beside.

    The table has entity, the receiver's keys, the label's `fixed` columns, cut_off, the label, and
    the columns of feature views that the receiver's `features` name.

    Args:
        job: with `[label]`.
        flows: the receiver's.
        tables: of its tables file.

    Raises:
        JobError: no such section or table; no column of a feature view.
        InputError: a table whose `by` says one entity twice.
        MisuseError: a cut-off whose outcome is not over by the last day of the data, or with no
            row before it.
    """
    made = job.label
    if made is None:
        raise JobError(f"{job.file}: [label]: missing", hint="docs/JOB_FILE.md says what it takes")
    known_until = flows.last_day
    if known_until is None:
        where = flows.settings.where
        raise InputError(f"{where}: no row can be read", hint="fedprofile flows check says why")
    for day in made.cut_offs:
        _, end = outcome_of(day, known_until, gap=made.gap, months=made.months)
        if made.task == "payroll" and known_until < end + dt.timedelta(days=_TOLD_AFTER - 1):
            raise MisuseError(
                f"cut-off {day}: its outcome ends on {end - dt.timedelta(days=1)}, the data on "
                f"{known_until}",
                hint=f"an earlier cut-off: wages that stopped are told {TELL} days after they last "
                f"came, {_TOLD_AFTER} days after the outcome at the latest",
            )
    of_views = view_columns(job.entity)
    features = [f for f in job.party(job.receiver).features if f in of_views]
    if not features:
        raise JobError(
            f"{job.file}: [[party]] features: no column of a feature view found, one needed",
            hint='such as "view:flow_behaviour"',
        )
    views = list(dict.fromkeys(of_views[name] for name in features))
    people = _people(job, made, flows, tables)
    parts, counted = list[Any](), list[pa.Table]()
    judge = _judge(made, flows, known_until, tables)
    for day in made.cut_offs:
        judged = flows.stored(judge(day).select("entity", "label", "excluded"), "labels")
        frame = feature_frame(flows, views, day, KIND_OF[job.entity]).select("entity", *features)
        frame = flows.stored(frame.mutate(seen=ibis.literal(True)), "features")
        flows.forget(day)  # its typed rows: the next cut-off has others
        counted.append(_counts(judged, frame.select("entity"), people, day))
        rows = judged.filter(judged.label.notnull()).select("entity", "label")
        rows = rows.inner_join(frame.rename(of="entity").drop("seen"), [("entity", "of")])
        parts.append(rows.drop("of").mutate(**{CUT_OFF: ibis.literal(day)}))
    rows = reduce(lambda a, b: a.union(b), parts)
    rows = _one_side(job, made, flows, rows)
    held = people.rename(held="entity")
    rows = rows.inner_join(held, [("entity", "held")])
    mine = [name for name in people.columns if name != "entity"]
    names = ["entity", *mine, CUT_OFF, "label", *features]
    found = rows.select(*names).rename({made.column: "label"})
    return found, pa.concat_tables(counted)


def _people(job: Job, made: LabelSpec, flows: Flows, tables: dict[str, Table]) -> Any:
    """Keys and `fixed` columns of the receiver's own table, and `entity`, on the flows' engine."""
    keys = [column for level in job.party(job.receiver).keys for column in level]
    shown = [name for name in dict.fromkeys([*keys, *made.fixed]) if name != "entity"]
    table = _table(job, made.of, tables).load([*shown, made.by], keys=[*keys, made.by])
    entities = pc.utf8_trim_whitespace(table[made.by].cast(pa.string()))
    twice = len(entities) - len(pc.unique(entities))
    if twice:
        raise InputError(
            f"{job.file}: [label] by: {made.of} has {twice:,} rows too many",
            hint="one row an entity is needed",
        )
    return _there(flows, "people", table.select(shown).append_column("entity", entities))


def _table(job: Job, name: str, tables: dict[str, Table]) -> Table:
    if name not in tables:
        raise JobError(f"{job.file}: [label]: no table {name!r}", hint=f"{', '.join(tables)}")
    return tables[name]


def _there(flows: Flows, name: str, table: pa.Table) -> Any:
    """A table at hand on the engine of the flows."""
    connection = flows.engine.connection
    if connection.name == "duckdb":
        return flows.stored(arrow_expression(connection, flows.engine.fresh(name), table), name)
    return ibis.memtable(table)


def _judge(
    made: LabelSpec, flows: Flows, known_until: dt.date, tables: dict[str, Table]
) -> Callable[[dt.date], Any]:
    """Gives entity, label, excluded as of a cut-off. What all cut-offs look at is made once."""
    base, windows = flows.base, {"gap": made.gap, "months": made.months}
    if made.task in _LEVELS and base.balances is None:
        raise JobError(
            f"{flows.settings.where}: [label] task {made.task} needs "
            f"[flows.{flows.settings.name}.balances]",
            hint="docs/FLOWS.md says what stands in it",
        )
    if made.task == "churn":
        people = base.accounts.select("entity", "died") if base.accounts is not None else None
        least = made.least * 10**flows.settings.digits
        assets = flows.stored(assets_of(base.balances), "assets")
        return lambda day: churn(assets, day, known_until, people=people, smallest=least, **windows)
    if made.task == "payroll":
        typed = flows.kept(*LOOKED_AT)
        with flows.scratch() as keep:
            series = flows.stored(series_of(typed, flows.taxonomy, keep), "series")
        with flows.scratch() as keep:
            gone = breaks(base, typed, flows.taxonomy, known_until, keep=keep)
            gone = flows.stored(gone, "breaks")
        return lambda day: payroll_moved(series, gone, day, **windows)[0]
    if made.task == "default":
        table = tables[made.arrears].load(["entity", "day", "past_due"], keys=["entity"])
        whole = table.set_column(1, "day", table["day"].cast(pa.date32()))
        arrears = _there(flows, "arrears", whole)
        return lambda day: default(arrears, day, known_until, past_due=made.past_due, **windows)
    dropped = made.task == "dropped"
    return lambda day: product_moved(
        base.balances, made.product, day, known_until, dropped=dropped, **windows
    )


def _counts(judged: Any, seen: Any, people: Any, day: dt.date) -> pa.Table:
    """How many entities have which label, and how many none, by the reason."""
    here = people.select(p_entity="entity")
    there = seen.select(s_entity="entity")
    found = judged.left_join(here, judged.entity == here.p_entity)
    found = found.left_join(there, found.entity == there.s_entity)
    what = ibis.cases(
        (found.excluded != "", found.excluded),
        (found.s_entity.isnull(), "no open account of this kind at the cut-off"),
        (found.p_entity.isnull(), "not in the table of people"),
        (found.label == 1, "label 1"),
        else_="label 0",
    )
    found = found.mutate(what=what).group_by("what").agg(entities=lambda t: t.count())
    table = found.order_by("what").to_pyarrow()
    days = pa.array([day.isoformat()] * len(table), pa.string())
    return pa.table(dict(zip(COUNTS, (days, table["what"], table["entities"]), strict=True)))


def _one_side(job: Job, made: LabelSpec, flows: Flows, rows: Any) -> Any:
    """Each entity on one side of the validation period's first day, where a training has one."""
    firsts = {t.validate_from for t in job.trains if t.label == made.column and t.validate_from}
    if not firsts:
        return rows
    if len(firsts) > 1:
        raise JobError(f"{job.file}: [[train]] validate_from: {len(firsts)} days found, one needed")
    first = dt.date.fromisoformat(firsts.pop())
    rows = flows.stored(rows, "stacked")
    entities = rows.select("entity").distinct().to_pyarrow()
    # the later side's share of entities is its share of cut-offs; the draw is nobody's to repeat
    share = sum(day >= first for day in made.cut_offs) / len(made.cut_offs)
    drawn = np.frombuffer(secrets.token_bytes(2 * len(entities)), "<u2") < share * 2**16
    sides = entities.append_column("later", pa.array(drawn)).rename_columns(["drawn", "later"])
    late = rows.group_by("entity").agg(
        before=rows.count(where=rows[CUT_OFF] < ibis.literal(first)), every=rows.count()
    )
    late = late.inner_join(_there(flows, "sides", sides), [("entity", "drawn")])
    later = (late.before == 0) | ((late.before < late.every) & late.later)
    late = late.select(side_of="entity", later=later)
    rows = rows.inner_join(late, [("entity", "side_of")])
    kept = rows.filter((rows[CUT_OFF] >= ibis.literal(first)) == rows.later)
    return kept.drop("side_of", "later")


def write_counts(counts: pa.Table, path: Path) -> None:
    """The counts as CSV, the owner's alone to read, whole or not at all."""
    import csv
    import io

    from federated.store.files import write_atomic

    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COUNTS)
    lines.writerows(zip(*(counts[name].to_pylist() for name in COUNTS), strict=True))
    write_atomic(path, text.getvalue())

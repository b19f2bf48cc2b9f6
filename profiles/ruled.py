"""Groups by rules of the job file: segments in the place of clusters, and the life-cycle stage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa

from federated.tables.source import Source
from profiles.exclusion.rules import holds
from profiles.job import Job
from profiles.rule_sections import NO_RULE, RuleSpec
from profiles.segments import Segments

__all__ = ["ruled_columns", "ruled_segments", "stages"]


def ruled_columns(job: Job) -> list[str]:
    """The receiver's columns that these rules look at."""
    rules = (*job.segment_rules, *job.stage_rules)
    return list(dict.fromkeys(one.column for rule in rules for one in rule.where))


def ruled_segments(job: Job, tables: Source, today: date) -> Segments | None:
    """The segment of each of the receiver's rows; None where the job has no rules for them.

    Raises:
        InputError: values of another kind than a rule's.
    """
    if not job.segment_rules:
        return None
    place = _places(job, tables, job.segment_rules, today)
    names = [rule.name for rule in job.segment_rules]
    names += [NO_RULE] * bool(job.segment_rules[-1].where)
    return Segments(
        number=place + 1,
        descriptions=tuple(names),
        sizes=tuple(np.bincount(place, minlength=len(names)).tolist()),
        centres=np.zeros((len(names), 0)),
    )


def stages(job: Job, tables: Source, today: date) -> pa.Array | None:
    """`string[rows]`, null where no rule holds; None where the job has none. Raises as above."""
    if not job.stage_rules:
        return None
    place = _places(job, tables, job.stage_rules, today)
    names = pa.array([rule.name for rule in job.stage_rules], pa.string())
    return names.take(pa.array(place, mask=place == len(names)))


def _places(job: Job, tables: Source, rules: Sequence[RuleSpec], today: date) -> np.ndarray:
    """`int64[rows]`: the first rule of each row, their number where none holds."""
    own, columns = job.party(job.receiver).table, ruled_columns(job)
    table = tables.load(own, columns or tables.columns(own)[:1])
    found = np.full(table.num_rows, len(rules), np.int64)
    for at in range(len(rules) - 1, -1, -1):
        true = np.ones(table.num_rows, bool)
        for one in rules[at].where:
            true &= holds(one, table, own, today)
        found[true] = at
    return found

"""Groups by rules of the job file: segments in the place of clusters, and the life-cycle stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from federated.tables.source import Source
from profiles.exclusion.rules import holds
from profiles.job import Job
from profiles.rule_sections import NO_RULE, RuleSpec
from profiles.segments import Segments

__all__ = ["RuleCount", "rule_counts", "ruled_columns", "ruled_segments", "rules_metrics", "stages"]


@dataclass(frozen=True)
class RuleCount:
    """A rule of `[[segment]]` or `[[stage]]`: `fulfil` rows do, `rows` of them no earlier one."""

    kind: str
    name: str
    fulfil: int
    rows: int

    def words(self, table: str) -> str:
        """A sentence where the rule has no row, else ""."""
        if self.rows:
            return ""
        if not self.fulfil:
            return f"[[{self.kind}]] {self.name!r}: no row of {table} fulfils it."
        return (
            f"[[{self.kind}]] {self.name!r}: the {self.fulfil:,} rows of {table} that fulfil it "
            "are in earlier ones."
        )


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


def rule_counts(job: Job, tables: Source, today: date) -> list[RuleCount]:
    """Of each rule how many rows it has. Raises as `ruled_segments`."""
    found = []
    for kind, rules in (("segment", job.segment_rules), ("stage", job.stage_rules)):
        if rules:
            held = np.zeros(len(rules), np.int64)
            place = _places(job, tables, rules, today, held)
            rows = np.bincount(place, minlength=len(rules)).tolist()
            found += [
                RuleCount(kind, rule.name, int(held[at]), rows[at]) for at, rule in enumerate(rules)
            ]
    return found


def rules_metrics(counts: Sequence[RuleCount]) -> dict[str, dict[str, int]]:
    """Rows by kind and name, for metrics and plans."""
    found: dict[str, dict[str, int]] = {}
    for one in counts:
        found.setdefault(one.kind, {})[one.name] = one.rows
    return found


def _places(
    job: Job,
    tables: Source,
    rules: Sequence[RuleSpec],
    today: date,
    held: np.ndarray | None = None,
) -> np.ndarray:
    """`int64[rows]`: the first rule of each row, their number where none holds; `held` takes how
    many rows fulfil each, in an earlier one or not."""
    own, columns = job.party(job.receiver).table, ruled_columns(job)
    table = tables.load(own, columns or tables.columns(own)[:1])
    found = np.full(table.num_rows, len(rules), np.int64)
    for at in range(len(rules) - 1, -1, -1):
        true = np.ones(table.num_rows, bool)
        for one in rules[at].where:
            true &= holds(one, table, own, today)
        found[true] = at
        if held is not None:
            held[at] = np.count_nonzero(true)
    return found

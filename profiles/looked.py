"""What `preflight` finds in the tables of a job's parties: keys, columns, what is in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from federated.contract.terms import PartyTerms
from federated.tables.basis import left_out_words
from federated.tables.column_report import ColumnTaken, columns_taken, in_lines
from federated.tables.frozen import FrozenColumns
from federated.tables.key_sides import none_can_match, side_by_side
from federated.tables.preflight import preflight
from federated.tables.preflight_report import PreflightReport, what_to_do
from federated.tables.source import Source
from federated.text import plain
from profiles.exclusion.nobody import nobody_of
from profiles.fits import unnamed_branches, with_categories
from profiles.job import AlignSpec, Job
from profiles.leaks import with_leaks
from profiles.own_table import check_list_columns, entity_column
from profiles.plan import admitted
from profiles.preconditions import in_the_way, in_the_way_together
from profiles.roles import roles_of
from profiles.specs import PartySpec

__all__ = ["Looked", "looked_at"]

Bars = Callable[[], AbstractContextManager[Callable[..., None] | None]]


@dataclass(frozen=True)
class Looked:
    """A party's table: its keys, what other columns are taken for, who has no lawful basis."""

    party: str
    table: str
    report: PreflightReport
    taken: tuple[ColumnTaken, ...]
    left_out: dict[str, dict[str, int]]

    @property
    def ok(self) -> bool:
        """Whether the job can succeed, as far as this table shows."""
        return not self.problems

    @property
    def problems(self) -> tuple[str, ...]:
        """All that is in the way, a sentence each: the exit code is 4 where there is one."""
        taken = (f"{one.column!r}: {why}" for one in self.taken for why in one.stops)
        return (*self.report.problems, *taken)

    def as_dict(self) -> dict[str, Any]:
        """Plain data: counts, no value of the table."""
        return {
            "party": self.party,
            "table": self.table,
            **self.report.as_dict(),
            "problems": list(self.problems),
            "taken": [one.as_dict() for one in self.taken],
            "left_out": self.left_out.get(self.table, {}),
            "ok": self.ok,
        }

    def to_text(self) -> str:
        """The same in lines."""
        rest = [replace(c, wrong=tuple(w for w in c.wrong if w not in c.stops)) for c in self.taken]
        lines = ["other columns:", *(f"  {x}" for x in in_lines(rest))] if rest else []
        lines += [left_out_words(name, counts) for name, counts in self.left_out.items()]
        remarks = any(one.wrong for one in rest)
        lines += what_to_do(self.problems, self.report.suggestions, remarks)
        shown = "\n".join([*self.report.lines(), *(plain(line, 1000) for line in lines)])
        return f"{self.party}: {self.table}\n{shown}\n"


def looked_at(
    job: Job,
    source: Source,
    parties: Sequence[PartySpec],
    frozen: Sequence[FrozenColumns] = (),
    bars: Bars = nullcontext,
) -> Iterator[Looked]:
    """Each party's table, one after the other; what all of them show together with the last.

    Args:
        job: one whose parties have keys.
        source: their tables, of these `parties` at least.
        frozen: what columns were taken for in the last run.
        bars: shows how far columns are whose kind takes long.

    Raises:
        FedprofileError: a table that cannot be read, a column that is not there, a missing
            package.
    """
    check_list_columns(job)
    seen: dict[str, PreflightReport] = {}
    known, clear = dict[str, PartyTerms](), True
    for party in parties:
        seen_as = admitted(job, source)  # the admissions that it finds are of this party
        report, taken = _columns(job, party, seen_as, bars)
        stops = [why for one in taken for why in one.stops]
        ways, terms = in_the_way(job, party.name, seen_as, frozen, stops)
        if terms is not None:
            known[party.name] = terms
        clear = clear and not ways and terms is not None
        if clear and party is parties[-1]:
            elsewhere = {one.name for one in job.parties} - known.keys()
            ways = in_the_way_together(job, known, admitted(job, source), elsewhere)
        report = replace(report, problems=(*report.problems, *ways))
        for name, earlier in seen.items():
            told_of = side_by_side(earlier, report, (name, party.name))
            report = replace(report, suggestions=(*report.suggestions, *told_of))
            matched = job.receiver in (name, party.name)
            if matched and report.minimum and none_can_match(earlier, report):
                apart = f"no key of {party.name} can be one of {name}: nothing can match"
                report = replace(report, problems=(*report.problems, apart))
        seen[party.name] = report
        if party.name == job.receiver:
            said = (f"{a}: {words}" for a, words in unnamed_branches(job, seen_as).items())
            named = [] if ways else nobody_of(job, seen_as, entity_column(job))
            said_of = [*said, *filter(None, (one.words() for one in named))]
            report = replace(report, suggestions=(*report.suggestions, *said_of))
        left = {name: at.left_out for name, at in seen_as.found.items() if name == party.table}
        yield Looked(party.name, party.table, report, taken, left)


def _columns(
    job: Job, party: PartySpec, source: Source, bars: Bars
) -> tuple[PreflightReport, tuple[ColumnTaken, ...]]:
    """Key columns, and what the others are taken for."""
    align = job.align or AlignSpec(minimum_overlap=0)
    names = list(dict.fromkeys(column for level in party.keys for column in level))
    roles = roles_of(job, party.name)
    table = source.load(party.table, [*roles], keys=names)
    taken = columns_taken(table, {c: r for c, r in roles.items() if r != ["key"]})
    taken = with_leaks(job, party.name, table, taken)
    taken = with_categories(job, party.name, table, taken)
    kinds = {
        column: kind
        for columns, of in zip(party.keys, align.kinds, strict=False)
        for column, kind in zip(columns, of, strict=True)
    }
    with bars() as progress:
        report = preflight(
            table, party.keys, kinds, duplicates=align.duplicates, progress=progress,
            minimum=align.minimum_overlap, largest=align.largest_set,
        )  # fmt: skip
    return report, tuple(taken)

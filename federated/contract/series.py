"""A series: jobs that belong together, and what all of them may tell at most.

Whoever proposes names it in every job of the series, with the same totals. Each party counts by
itself, from the contracts of this series that it has agreed to before, whatever came of their
steps once one of any kind had begun, an alignment too; it states the sums beside its table's facts
and signs no contract that passes the totals, whoever approves it. All parties of a job read them:
they follow from contracts that the receiver has signed too, and tell nothing of a row.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from psi.protocol import PeerError

__all__ = [
    "MOST_JOBS",
    "SERIES_DAYS",
    "SeriesTerms",
    "SeriesTold",
    "over_total",
    "series_words",
    "told_words",
    "totals",
]

SERIES_DAYS = 365
"""Over which the jobs of a series are counted."""
MOST_JOBS = 1000
_MICRO = 1_000_000


@dataclass(frozen=True, kw_only=True)
class SeriesTerms:
    """The series that a job is one of, and what all its jobs of 365 days come to at most.

    Attributes:
        name: as the proposer calls it; of one receiver.
        jobs: how many, this one among them.
        row_bits: told of a row of a party's table, in tenths of a bit; 0 for no total.
        epsilon: of noised answers on a party's columns, in thousandths; 0 for no total.
        releases: steps that disclose something of a party's columns; 0 for no total.
        until: the last day, as 2027-11-30, less than 365 days after its first job; "" for none.
    """

    name: str
    jobs: int
    row_bits: int = 0
    epsilon: int = 0
    releases: int = 0
    until: str = ""

    def check(self) -> None:
        """Raise `PeerError` where it is none."""
        if not self.name or self.name != self.name.strip() or not 1 <= self.jobs <= MOST_JOBS:
            raise PeerError("the contract names a series that is none")
        if self.until:
            try:
                dt.date.fromisoformat(self.until)
            except ValueError:
                raise PeerError("the contract's series ends on a day that is none") from None


@dataclass(frozen=True, kw_only=True)
class SeriesTold:
    """What a party's earlier contracts of a series come to at most.

    Bits and epsilon are in millionths: a job's small part is not rounded away.
    """

    jobs: int = 0
    row_bits: int = 0
    epsilon: int = 0
    releases: int = 0

    def __add__(self, other: SeriesTold) -> SeriesTold:
        return SeriesTold(
            jobs=self.jobs + other.jobs,
            row_bits=self.row_bits + other.row_bits,
            epsilon=self.epsilon + other.epsilon,
            releases=self.releases + other.releases,
        )


def over_total(terms: SeriesTerms, told: SeriesTold) -> str:
    """Which total a series passes with all that is told, in words; "" for none."""
    for found, most, words in totals(terms, told):
        if most and found > most:
            return f"{words.format(f'{found:g}')} in all, {most:g} agreed"
    return ""


def series_words(terms: SeriesTerms) -> str:
    """A series in a line: what all its jobs come to at most."""
    said = [words.format(f"{most:g}") for _, most, words in totals(terms, SeriesTold()) if most]
    until = f", until {terms.until}" if terms.until else ""
    return (
        f"this job is one of the series '{terms.name}': at most {', '.join(said)} in {SERIES_DAYS} "
        f"days{until}; each party counts by itself, and signs no contract that comes to more"
    )


def told_words(told: SeriesTold) -> str:
    """What a party has agreed to before this job, in words."""
    if not told.jobs:
        return "the first job of the series"
    said = (
        f"{told.jobs} earlier {'job' if told.jobs == 1 else 'jobs'}",
        f"{round(told.row_bits / _MICRO, 1):g} bits of a row at most" * bool(told.row_bits),
        f"epsilon {round(told.epsilon / _MICRO, 3):g}" * bool(told.epsilon),
        f"{told.releases} releases" * bool(told.releases),
    )
    return ", ".join(filter(None, said))


def totals(terms: SeriesTerms, told: SeriesTold) -> tuple[tuple[float, float, str], ...]:
    """What there are totals of: how much there is, how much may be (0: any), in what words.

    The sums are rounded once, to the units of the terms: twelve times 5.0 bits are 60.
    """
    return (
        (told.jobs, terms.jobs, "{} jobs"),
        (round(told.row_bits / _MICRO, 1), terms.row_bits / 10, "{} bits of a row"),
        (round(told.epsilon / _MICRO, 3), terms.epsilon / 1000, "epsilon {}"),
        (told.releases, terms.releases, "{} releases"),
    )

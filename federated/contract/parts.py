"""What terms of several kinds of steps are made of, and what all kinds say in the same form."""

from __future__ import annotations

from dataclasses import dataclass

from federated.aggregate import Statistic
from psi.protocol import MisuseError

__all__ = [
    "ENTITIES",
    "AmountTerms",
    "Disclosure",
    "FeatureTerms",
    "Measure",
    "Release",
    "Unnoised",
    "spelled",
]


ENTITIES = ("consumer", "company", "government")
"""What a job may be about."""


@dataclass(frozen=True)
class Measure:
    """A column of the partner's and the statistic asked of it, as `Statistic` spells it."""

    column: str
    statistic: str


@dataclass(frozen=True)
class AmountTerms:
    """A column, and the whole numbers `low` to `high` to which its values are clipped."""

    column: str
    low: int
    high: int


@dataclass(frozen=True)
class FeatureTerms:
    """Some of a party's features: those that one training takes, or that go one way in it."""

    party: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Disclosure:
    """What one party learns of another's data by design, and which term allows it."""

    step: str
    to: str
    learns: str
    line: str


@dataclass(frozen=True, kw_only=True)
class Unnoised:
    """The limit of a policy that exact answers need, and how a refusal says it."""

    limit: str
    asked: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class Release:
    """One step's disclosure of a party's columns to the receiver.

    `epsilon` is that of its noise, 0 for exact answers. `bits` are told of a row, in the mean.
    `vectors` are numbers a row, of which the `bits` are. `thresholds` are the distinct edges of
    shares and histograms, one tuple a column. `squares`: the columns of which a variance is told.
    `known`: this party learns which records it is about.
    `whole`: a policy that allows it has let the whole column be told.
    `rounded`: of all records together, so that one of them hardly moves what is told: such answers
    are not compared with others. `label_bits`: of the receiver's label, told to a partner, the most
    that all sums of one of the partner's columns tell of one record's (`kinds.label`). `besides`:
    of the `bits` those that coarser numbers would tell as well. `instead`: other terms, as a job
    file has them, and the bits of a row that they would tell, in the order to be named.
    """

    step: str
    columns: tuple[str, ...]
    epsilon: float = 0.0
    bits: float = 0.0
    vectors: int = 0
    thresholds: tuple[tuple[str, ...], ...] = ()
    squares: tuple[str, ...] = ()
    known: bool = True
    whole: bool = False
    rounded: bool = False
    label_bits: float = 0.0
    besides: float = 0.0
    instead: tuple[tuple[str, float], ...] = ()

    def edges(self, column: str) -> set[str]:
        """The thresholds of one column."""
        return {
            edge
            for name, edges in zip(self.columns, self.thresholds, strict=False)
            if name == column
            for edge in edges
        }


def spelled(statistic: str) -> bool:
    """Whether a statistic is one of this version's, written as `Statistic` writes it."""
    try:
        return Statistic.parse(statistic).text == statistic
    except MisuseError:
        return False

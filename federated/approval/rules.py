"""A rule of a policy: what it approves without an officer, and when a series of its jobs ends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from federated.contract.columns import KEY, USES, columns_used
from federated.contract.kinds import KINDS
from federated.contract.series import SeriesTerms
from federated.contract.terms import Contract, PartyTerms

__all__ = ["ANY", "RULE_DAYS", "STEPS", "Rule"]

ANY = ("*",)
RULE_DAYS = 365
"""Over which the jobs of a rule are counted."""
STEPS = tuple(dict.fromkeys(kind.name for kind in KINDS))
"""The kinds of steps, as the contract's fields are called."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Approves by itself what matches all its conditions; an empty one matches everything.

    `jobs` that it has approved in 365 days end it, 0 for any number, and so does the day after
    `until`: then an officer is asked. So do totals of what all these jobs tell of this party's
    columns: `row_bits` of a row of a table, `epsilon` of noised answers, `releases`; None for any.
    `series` are those that contracts name, with totals no larger than the rule's, which has some:
    else whoever proposes would choose them. An `own` rule speaks for jobs that this party proposes
    because a listed analyst asked for them, and for no other's.
    """

    name: str
    parties: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    purpose_classes: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    reveal: tuple[str, ...] = ()
    largest_set: int = 10**9
    jobs: int = 0
    until: dt.date | None = None
    row_bits: float | None = None
    epsilon: float | None = None
    releases: int | None = None
    series: tuple[str, ...] = ()
    own: bool = False

    @property
    def totals(self) -> bool:
        """Whether it says how much all its jobs may tell together."""
        return any(total is not None for total in (self.row_bits, self.epsilon, self.releases))

    @property
    def counted(self) -> bool:
        """Whether its jobs have to be remembered."""
        return bool(self.jobs) or self.totals

    @property
    def lasts(self) -> str:
        """How long in words, "" for ever."""
        jobs = f"at most {self.jobs} jobs in {RULE_DAYS} days" if self.jobs else ""
        told = (
            f"{self.row_bits:g} bits of a row" if self.row_bits is not None else "",
            f"epsilon {self.epsilon:g}" if self.epsilon is not None else "",
            f"{self.releases} releases" if self.releases is not None else "",
        )
        together = " and ".join(filter(None, told))
        together = f"all of them at most {together}" if together else ""
        days = f"until {self.until}" if self.until else ""
        return ", ".join(filter(None, (jobs, together, days)))

    def matches(self, contract: Contract, me: PartyTerms, named: Sequence[str] = ()) -> bool:
        """Whether this rule speaks for the contract at party `me`.

        `named` are the columns that the table's owner names as keys. Where it names none, a column
        that is matched by is one that the rule has to list too: else it would sign any.
        """
        asked = {step for step in STEPS if getattr(contract, step)}
        used = columns_used(contract, me.name)
        uses = {column for use in USES if use != KEY for column in used[use]}
        uses |= set() if named else set(used[KEY])
        return (
            self.own == (contract.proposer == me.name)
            and _within([contract.proposer], self.parties)
            and (not self.series or any(self._names(one) for one in contract.series))
            and _within([contract.purpose], self.purposes)
            and _within([contract.purpose_class], self.purpose_classes)
            and _within([me.table], self.tables)
            and _within(uses, self.columns)
            and _within(asked, self.steps)
            and _within({a.reveal for a in contract.align}, self.reveal)
            and all(a.largest_set <= self.largest_set for a in contract.align)
        )

    def _names(self, terms: SeriesTerms) -> bool:
        """Whether a series is one of the rule's, and its totals no larger; none is larger."""
        totals = (
            (terms.jobs, self.jobs or None),
            (terms.row_bits / 10, self.row_bits),
            (terms.epsilon / 1000, self.epsilon),
            (terms.releases, self.releases),
        )
        within = (most is None or 0 < found <= most for found, most in totals)
        return terms.name in self.series and all(within)


def _within(found: Sequence[str] | set[str], allowed: tuple[str, ...]) -> bool:
    return not allowed or allowed == ANY or set(found) <= set(allowed)

"""How many bits of a label a contract tells partners, and were told before: data and words.

`plan`, `node show`, `node releases`, metrics and the report say the same from here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from federated.contract.completion import foreseen
from federated.contract.kinds.label import number_words
from federated.contract.kinds.train import classes
from federated.contract.release import given, towards
from federated.contract.terms import Contract
from federated.regression import MANY_ROWS
from federated.releases.book import MICRO, micro
from federated.releases.budget import label_before, over_label
from federated.releases.memory import Releases

__all__ = ["LabelBits", "few_rows", "label_bits", "label_totals", "label_words", "labels_told"]


@dataclass(frozen=True, kw_only=True)
class LabelBits:
    """Bits of one record's label that a partner is told at most; None: not known here.

    `asked` is what the contract tells of `column`, `told` what was told before, of the column by
    this name; `allowed` what may be told in all. `few`: where the noise follows from rows that are
    not stated yet, what is asked if they are too few for it; else None. `number`: the label is one,
    and none of two classes.
    """

    partner: str
    table: str
    column: str
    asked: float
    told: float | None = None
    allowed: float | None = None
    few: float | None = None
    number: bool = False

    @property
    def total(self) -> float:
        """This contract's and, where known, all before it."""
        return self.asked + (self.told or 0.0)

    def refused(self, asked: float) -> bool:
        """Whether the receiver's book says no where so much is `asked`: as its guard counts."""
        if self.allowed is None:
            return False
        return over_label(micro(asked), micro(self.told or 0.0), self.allowed)


def label_bits(
    contract: Contract, *, book: Releases | None = None, allowed: float | None = None
) -> tuple[LabelBits, ...]:
    """What `contract` tells each partner of each label.

    Args:
        contract: complete, or a draft.
        book: the receiver's own, where it can be read.
        allowed: bits that may be told of a label; a book knows it.
    """
    contract = foreseen(contract)  # with the noise that rows settle which are known
    me, found = contract.party(contract.receiver), list[LabelBits]()
    few, many = _asked(few_rows(contract)), _asked(contract)
    numbers = {terms.label for terms in contract.train if not classes(terms)}
    for (partner, column), bits in many.items():
        told = None
        if book is not None:
            own = towards(contract, partner).nonce
            spent = [
                entry
                for job, entry in book.entries()
                if (job.table, job.receiver) == (me.table, partner)
                and column in entry.columns
                and job.session != own
            ]
            told = label_before(spent) / MICRO
        found.append(
            LabelBits(
                partner=partner,
                table=me.table,
                column=column,
                asked=bits,
                told=told,
                allowed=allowed if book is None else book.limits.label_bits,
                few=few[partner, column] if few[partner, column] != bits else None,
                number=column in numbers,
            )
        )
    return tuple(found)


def few_rows(contract: Contract) -> Contract:
    """A draft as it is if parties share too few rows for the noise that it leaves open."""
    parties = tuple(replace(terms, rows=1) for terms in contract.parties)
    return foreseen(replace(contract, parties=parties))


def _asked(contract: Contract) -> dict[tuple[str, str], float]:
    """Bits by partner and column."""
    asked: dict[tuple[str, str], float] = {}
    for partner, release in given(contract):
        for column in release.columns * bool(release.label_bits):
            key = (partner, column)
            asked[key] = asked.get(key, 0.0) + release.label_bits
    return asked


def labels_told(book: Releases) -> list[tuple[str, LabelBits]]:
    """What each job in a book told of each label: the job's session there, and the bits."""
    return [
        (
            job.session,
            LabelBits(
                partner=job.receiver, table=job.table, column=column, asked=entry.label / MICRO
            ),
        )
        for job, entry in book.entries()
        for column in entry.columns * bool(entry.label)
    ]


def label_words(found: LabelBits) -> list[str]:
    """Sentences for an officer or an analyst."""
    most, few = "", found.few
    if few is not None:
        most = f", if {MANY_ROWS:,} records or more are shared, and {few:.3g} else"
    lines = [
        f"this contract tells {found.partner} {found.asked:.2f} bits at most of a record's "
        f"{found.column!r} by the sums of one of its columns{most}"
    ]
    if found.number:
        lines.append(number_words(found.column))
    if found.told is not None:
        lines.append(f"{found.told:.2f} bits of it were told before: {found.total:.2f} in all")
    if found.allowed is not None:
        lines.append(f"{found.allowed:g} may be told of it to one partner")
    if found.refused(found.asked):
        lines.append("that is more than may be told: a node with this limit refuses the job")
    elif few is not None and found.refused(few):
        lines.append(
            f"of fewer than {MANY_ROWS:,} shared records the job is refused, before anything is "
            "told: noise = 1 in [train], or a larger label_bits, would let it"
        )
    return lines


def label_totals(book: Releases) -> list[str]:
    """One line on what each partner was told so far of each label."""
    sums: dict[tuple[str, str, str], float] = {}
    for _, one in labels_told(book):
        key = (one.partner, one.table, one.column)
        sums[key] = sums.get(key, 0.0) + one.asked
    return [
        f"{partner} was told {bits:.2f} bits at most of a record's {column!r} of {table}; "
        f"{book.limits.label_bits:g} may be told"
        for (partner, table, column), bits in sums.items()
    ]

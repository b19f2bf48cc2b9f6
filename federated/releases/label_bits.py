"""How many bits of a label a contract tells partners, and were told before: data and words.

`plan`, `node show`, `node releases`, metrics and the report say the same from here.
"""

from __future__ import annotations

from dataclasses import dataclass

from federated.contract.kinds.label import number_words
from federated.contract.kinds.train import AUTO, boosted, classes
from federated.contract.release import given, towards
from federated.contract.rows import joined_rows
from federated.contract.terms import Contract
from federated.regression import MANY_ROWS
from federated.releases.book import MICRO
from federated.releases.memory import Releases

__all__ = ["LabelBits", "label_bits", "label_totals", "label_words", "labels_told"]


@dataclass(frozen=True, kw_only=True)
class LabelBits:
    """Bits of one record's label that a partner is told at most; None: not known here.

    `asked` is what the contract tells of `column`, `told` what was told before, of the column by
    this name; `allowed` what may be told in all. `open`: the noise follows from rows that are not
    stated yet. `number`: the label is one, and none of two classes.
    """

    partner: str
    table: str
    column: str
    asked: float
    told: float | None = None
    allowed: float | None = None
    open: bool = False
    number: bool = False

    @property
    def total(self) -> float:
        """This contract's and, where known, all before it."""
        return self.asked + (self.told or 0.0)


def label_bits(
    contract: Contract, *, book: Releases | None = None, allowed: float | None = None
) -> tuple[LabelBits, ...]:
    """What `contract` tells each partner of each label.

    Args:
        contract: complete, or a draft.
        book: the receiver's own, where it can be read.
        allowed: bits that may be told of a label; a book knows it.
    """
    me, found = contract.party(contract.receiver), list[LabelBits]()
    asked: dict[tuple[str, str], float] = {}
    for partner, release in given(contract):
        for column in release.columns * bool(release.label_bits):
            key = (partner, column)
            asked[key] = asked.get(key, 0.0) + release.label_bits
    before = labels_told(book) if book is not None else ()
    numbers = {terms.label for terms in contract.train if not classes(terms)}
    for (partner, column), bits in asked.items():
        own = towards(contract, partner).nonce
        told = None
        if book is not None:
            told = sum(
                one.asked
                for session, one in before
                if (one.table, one.partner, one.column) == (me.table, partner, column)
                and session != own
            )
        found.append(
            LabelBits(
                partner=partner,
                table=me.table,
                column=column,
                asked=bits,
                told=told,
                allowed=allowed if book is None else book.limits.label_bits,
                open=_open(contract, partner),
                number=column in numbers,
            )
        )
    return tuple(found)


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
    most = f", if {MANY_ROWS:,} records or more are shared, and 1 else" * found.open
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


def _open(contract: Contract, partner: str) -> bool:
    """Whether a training with this partner has noise only if there are rows enough for it."""
    rows = joined_rows(contract, [partner])
    stated = all(contract.party(name).rows for name in (contract.receiver, partner))
    mine = [terms for terms in contract.train if partner in terms.partners]
    return not (stated and rows) and any(t.noise == AUTO or boosted(t) for t in mine)

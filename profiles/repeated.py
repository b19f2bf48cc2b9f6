"""Rows of one table that are one person: those that share a key, where rows are matched one by one.

With `duplicates = "collapse"` the first row of a key stands for all in an alignment. What is found
of it holds for the others: they are known to the partners too, and have its score. A list names a
person once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from federated.contract.terms import Contract
from federated.steps.outcome import Outcome
from federated.tables.key_columns import cleaned_key
from profiles.exclusion.left_out import Reason, WhoMay
from psi.align import Records
from psi.identifiers import combine

__all__ = [
    "ANOTHER_ROW",
    "Persons",
    "persons_of",
    "repeated_in",
    "repeats_words",
    "standing",
    "standing_arrow",
]

ANOTHER_ROW = "another row of the same person is taken"
"""Why a row that may be on a list is not."""


@dataclass(frozen=True, repr=False)
class Persons:
    """`of`, int64[rows]: the first row of each row's person, itself where nobody has it twice."""

    of: np.ndarray

    @property
    def repeats(self) -> int:
        """Rows for which an earlier one stands."""
        return int(np.count_nonzero(self.of != np.arange(len(self.of))))

    def stand_ins(self, matched: np.ndarray) -> np.ndarray | None:
        """`int64[rows]`: whose results a row has: the aligned row of its person's, else itself.

        Args:
            matched: int64[aligned], rows that were aligned.

        Returns: None where each row has its own.
        """
        if not self.repeats:
            return None
        own = np.arange(len(self.of))
        aligned, of = np.zeros(len(own), bool), np.full(len(own), -1)
        aligned[matched] = True
        of[self.of[matched[::-1]]] = matched[::-1]  # the first of several
        stands = of[self.of]
        return np.where(aligned | (stands < 0), own, stands)

    def whole(self, rows: np.ndarray) -> np.ndarray:
        """`bool[rows]`: all rows of the persons of whom one of these is."""
        found = np.zeros(len(self.of), bool)
        found[self.of[rows]] = True
        return np.asarray(found[self.of], bool)

    def once(self, may: WhoMay, score: np.ndarray) -> WhoMay:
        """Who may be on a list, each person by its best row: the highest score, then the first.

        Args:
            may: by row.
            score: float64[rows], NaN where there is none.
        """
        if not self.repeats:
            return may
        rows = np.flatnonzero(may.rows & np.isfinite(score))
        order = rows[np.lexsort((rows, -score[rows]))]
        _, first = np.unique(self.of[order], return_index=True)
        others = np.zeros(len(may.rows), bool)
        others[rows] = True
        others[order[first]] = False
        reason = Reason("rank", ANOTHER_ROW, int(np.count_nonzero(others)))
        return replace(may, rows=may.rows & ~others, reasons=(*may.reasons, reason))


def persons_of(contract: Contract, party: str, table: pa.Table) -> Persons | None:
    """Who of a party's rows is one person by its keys; None where each row is matched by itself.

    Args:
        contract: says keys, their kinds, and what becomes of rows that share one.
        party: whose table it is.
        table: with its key columns, as text.
    """
    terms = contract.party(party)
    if not terms.keys or not any(align.duplicates == "collapse" for align in contract.align):
        return None
    keys = [
        combine([cleaned_key(table, c, k) for c, k in zip(columns, kinds, strict=True)])
        for columns, kinds in zip(terms.keys, terms.kinds, strict=True)
    ]
    found = Records.of(keys)
    of = np.arange(table.num_rows)
    keyed = found.of_row >= 0
    of[keyed] = found.row[found.of_row[keyed]]
    return Persons(of)


def repeated_in(outcome: Outcome, table: pa.Table) -> Persons | None:
    """Which of the receiver's rows are one person; None where no key is held twice."""
    if not any(found.duplicates > 0 for found in outcome.alignments.values()):
        return None
    return persons_of(outcome.contract, outcome.contract.receiver, table)


def standing(values: Mapping[str, np.ndarray], stands: np.ndarray | None) -> dict[str, np.ndarray]:
    """Columns of numbers with each row's results those of the row that stands for it."""
    return {name: v if stands is None else v[stands] for name, v in values.items()}


def standing_arrow(
    values: Mapping[str, pa.Array], stands: np.ndarray | None
) -> dict[str, pa.Array]:
    """The same of Arrow columns."""
    return {n: v if stands is None else v.take(pa.array(stands)) for n, v in values.items()}


def repeats_words(table: str, rows: int) -> str:
    """A sentence for the report."""
    return (
        f"{rows:,} rows of {table} repeat a person by their keys: the first row of a key stands "
        "for all, whose score the others have, and a list names a person once."
    )

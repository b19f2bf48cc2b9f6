"""What one step of a contract tells of a party's columns: derived from the contract alone.

Every budget counts these: bits of a row, epsilon, thresholds, releases, numbers a row. So the first
step can look ahead at all of them, a policy can add them up before a signature, and an officer
reads the sums.

Bits a row, in the mean of rows: a training tells what its score vectors tell (`told_bits`), and
while a draft leaves their number open the `row_bits` that it may tell at most; where rows are split
each party's noise keeps all sums to `row_bits`, of any row. A table by a noised
category tells at most epsilon log2 e (the log-likelihood of no row moves by more). A table without
noise, over amounts of the receiver's choosing, tells the whole category. Sums by segment count as
0: the mean of a group of 20 tells somebody who knows none of the others .04 bits of one
(1/2 log2(20/19), for normal values); their budgets are releases, thresholds and minimum groups.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from federated.aggregate import Statistic
from federated.contract.terms import CategoryTerms, Contract, Measure, TrainTerms
from federated.vertical import told_bits

__all__ = ["Release", "planned"]


@dataclass(frozen=True)
class Release:
    """One step's disclosure of a party's columns to the receiver.

    `epsilon` is that of its noise, 0 for exact answers. `bits` are told of a row, in the mean.
    `vectors` are numbers a row, of which the `bits` are. `thresholds` are the distinct edges of
    shares and histograms, one tuple a column. `known`: this party learns which records it is about.
    `whole`: a policy that allows it has let the whole column be told. `open`: a draft has not fixed
    yet how much is told, `bits` are the most.
    """

    step: str
    columns: tuple[str, ...]
    epsilon: float = 0.0
    bits: float = 0.0
    vectors: int = 0
    thresholds: tuple[tuple[str, ...], ...] = ()
    known: bool = True
    whole: bool = False
    open: bool = False

    def edges(self, column: str) -> set[str]:
        """The thresholds of one column."""
        return {
            edge
            for name, edges in zip(self.columns, self.thresholds, strict=False)
            if name == column
            for edge in edges
        }


def planned(contract: Contract, party: str) -> Iterator[Release]:
    """What the steps of a contract tell the receiver of a partner's columns, in order."""
    known = all(a.reveal == "both" for a in contract.align)
    for number, terms in enumerate(contract.aggregate):
        if terms.partner == party:
            yield _sums(f"aggregate/{number}/{party}", terms.measures, known)
    for number, by in enumerate(contract.category):
        if by.partner == party:
            yield _category(f"category/{number}/{party}", by, known)
    for number, join in enumerate(contract.join_sum):
        if join.partner == party:
            sums = _sums(f"join_sum/{number}/{party}", join.measures, False)
            epsilon = join.epsilon / 1000
            yield replace(sums, epsilon=epsilon, bits=epsilon * math.log2(math.e))
    for train in contract.train:
        mine, step = contract.party(party), f"train/{train.task}"
        if train.split == "vertical" and party in train.partners:
            yield Release(
                step,
                mine.features,
                bits=_train_bits(train),
                vectors=train.score_vectors,
                known=known,
                open=not train.score_vectors,
            )
        if train.split == "horizontal" and party != contract.receiver:
            columns = tuple(dict.fromkeys([*mine.features, train.label]))
            yield Release(step, columns, bits=float(train.row_bits), known=False)


def _sums(step: str, measures: Sequence[Measure], known: bool) -> Release:
    edges: dict[str, dict[str, None]] = {}
    for measure in measures:
        numbers = Statistic.parse(measure.statistic).numbers
        edges.setdefault(measure.column, {}).update((repr(number), None) for number in numbers)
    return Release(step, tuple(edges), thresholds=tuple(map(tuple, edges.values())), known=known)


def _category(step: str, terms: CategoryTerms, known: bool) -> Release:
    epsilon = terms.epsilon / 1000
    whole = not epsilon and bool(terms.amounts)
    bits = math.log2(len(terms.categories) + 1) if whole else epsilon * math.log2(math.e)
    return Release(step, (terms.category,), epsilon, bits, known=known, whole=whole)


def _train_bits(terms: TrainTerms) -> float:
    if not terms.score_vectors:
        return float(terms.row_bits)
    return told_bits(terms.score_vectors, terms.score_bits)

"""How many bits of a record's label a step tells a partner: what the receiver's own book counts.

Each training draws noise of its own, so a partner that takes part in k of them reads what they have
in common, the label, √k times as well. Nothing makes their noise the same: the receiver cannot see
what a partner's columns are, so it cannot know that a question is an old one. It can count.

Counted is what all sums of one column in a training tell of one record's label, whatever is in the
column; of a binning what epsilon lets through. Trees count a whole label, noise or not: a partner
that lies chooses anew in each which rows stand beside a row, takes away what stays of the noise by
the difference, and averages the rest, of as many rows as a tree has nodes. A partner that takes
like columns gets more from one training, which the chapter says, and which the noise of the next
ones adds to in the same way. A label told without noise counts 1, a number too: then it is whole.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from federated.contract.kinds.train import AUTO, TrainTerms, classes, linked
from federated.contract.parts import Release
from federated.regression import MANY_ROWS, label_bits

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["WHOLE_LABEL", "class_bits", "label_guard", "number_words", "of_label"]
__all__ += ["regression_bits"]

WHOLE_LABEL = 1.0
"""Bits that a label counts which is told without noise."""


def class_bits(epsilon: float) -> float:
    """The most that an answer of this epsilon tells of which of two classes a record has.

    The capacity of randomised response, which no answer of the same epsilon passes (Kairouz, Oh and
    Viswanath 2015).

    Args:
        epsilon: 0 for an exact answer.
    """
    if not epsilon:
        return WHOLE_LABEL
    other = 1.0 / (1.0 + math.exp(epsilon))
    return 1.0 + other * math.log2(other) + (1.0 - other) * math.log2(1.0 - other)


def regression_bits(contract: Contract, terms: TrainTerms, folds: int) -> float:
    """Of a regression; in a draft that leaves its noise open as with the noise of many rows.

    Args:
        contract, terms: what is to be run.
        folds: those of its cross-validation.
    """
    noise = 1.0 if terms.noise == AUTO else float(terms.noise)
    told = label_bits(noise, folds, terms.fold_evaluations, linked(terms))
    return _once(contract, terms, told)


def of_label(terms: TrainTerms, bits: float, *, known: bool) -> Release:
    """What a training tells of its label, and of what rows count by, which stands beside it."""
    columns = (terms.label, terms.weight) if terms.weight else (terms.label,)
    return Release(
        step=f"train/{terms.task}",
        columns=columns,
        label_bits=bits,
        known=known,
        rounded=True,
    )


def number_words(column: str) -> str:
    """What bits of a label are that is a number, and not one of two classes.

    Args:
        column: the label's.
    """
    return (
        f"{column!r} is a number: bits say where it lies among numbers up to the largest, and 1 "
        "counts as all of it, as it is told without noise"
    )


def label_guard(contract: Contract, terms: TrainTerms, bits: float, *, few: bool) -> str:
    """What the receiver's node counts of it, in words; `few`: rows may be too few for noise."""
    me, partners = contract.receiver, " and ".join(terms.partners)
    below = f" (1 below {MANY_ROWS:,} rows)" * few
    several = " each" * (len(terms.partners) > 1)
    number = "" if classes(terms) else f"; {number_words(terms.label)}"
    counted = f"{bits:.2g} bit{'s' * (f'{bits:.2g}' != '1')}"
    return (
        f"{me}'s node counts {counted}{below} of a record's '{terms.label}' as told to "
        f"{partners}{several} by this training, adds all trainings and binnings of that label "
        f"before it, and refuses more than its policy's label_bits before anything is told{number}"
    )


def _once(contract: Contract, terms: TrainTerms, told: float) -> float:
    """At most the whole label; that where a record of the receiver's may be in several rows."""
    repeated = any(contract.joins(name) for name in terms.partners)
    return WHOLE_LABEL if repeated else min(WHOLE_LABEL, told)

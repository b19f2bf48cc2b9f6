"""A regression that tells no row's score: by what its quality is measured instead.

Rows are counted by their final score where the label is one of two classes; of a label that is a
number two sums over rows say how much the score leaves unexplained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from federated.contract.cost import Estimate, Rates, sums_estimate
from federated.contract.kinds.listed import Listing, told_row
from federated.contract.kinds.train import AUTO, TrainTerms, classes
from federated.contract.rows import FLOOR
from federated.counted import BINS, LANES, SUM_LEAVES, SUMS, summed_bits
from federated.counted.grid import CLASSES, MOST_POINTS
from federated.counted.ring import PLACE_BITS
from federated.regression import count_noise, counted_bits
from federated.trees.splitting.level import INDEX_BITS

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["A_COUNTED_ROW", "count_bits", "counted_estimates", "counted_guard", "counted_how"]
__all__ += ["counted_limit", "counted_words", "list_estimate", "spread_limit", "widths"]

A_COUNTED_ROW = 20 * 8 + 8 * LANES + 64
"""Bytes of a row that is counted: tree and transfers, lanes, check and turns. Two trees of two
lanes, which sums of numbers take, are fewer."""
A_SHARED_ROW = 4
"""Bytes of a row of which one of several partners tells the last one its part, padded."""


def _noise(terms: TrainTerms) -> float:
    """Of the plan, as far as a draft knows it."""
    return 0.0 if terms.noise == AUTO else float(terms.noise)


def count_bits(terms: TrainTerms) -> float:
    """The most that is told of a row by counts by class and score, or by two sums of numbers."""
    return counted_bits(_noise(terms)) if classes(terms) else summed_bits(_noise(terms))


def counted_how(terms: TrainTerms) -> str:
    """How a score is measured that nobody sees."""
    if classes(terms):
        return "rows are counted by the final score"
    return "what the final score leaves unexplained is told by sums over rows"


def counted_words(contract: Contract, terms: TrainTerms, folds: int) -> str:
    """What is told in the place of rows' scores."""
    partners, noise = " and ".join(terms.partners), f"{count_noise(_noise(terms)):g}"
    groups = ", by fold" * bool(folds)
    later = f", by themselves those from {terms.validate_from} on" * bool(terms.time)
    bits = f"{count_bits(terms):.2g} bits a record at most"
    wide = f"how wide {partners}'s {widths(terms.partners)}, to a factor of 1.4"
    if classes(terms):
        return (
            f"NO number of any row: how many shared records of each class of {terms.label}{groups}"
            f"{later} lie in each of up to {BINS} ranges of the final score, each count with noise "
            f"of {terms.partners[-1]}'s of {noise} ({bits}); {wide}"
        )
    return (
        f"NO number of any row: {SUMS} sums over the shared records with {terms.label}{groups}"
        f"{later}, which say how much of it the final score leaves unexplained, each with noise of "
        f"{partners}'s of {noise} times the most that one record can add ({bits} in the mean); "
        f"{wide}"
    )


def counted_guard(terms: TrainTerms) -> str:
    """What the partner's officer is told of it."""
    but = " but of the listed" * bool(terms.listed_bits)
    to, they, mean = "to each count of records by score", "counts", ""
    if not classes(terms):
        they, mean = "sums", " in the mean"
        to = "times the most that one record can add to each sum that the score is measured by"
    one = len(terms.partners) == 1
    tells, it = ("tells", "it") if one else ("tell", terms.partners[-1])
    return (
        f"{' and '.join(terms.partners)} {tells} no score of a record{but}; {it} adds noise of a "
        f"standard deviation of {count_noise(_noise(terms)):g} {to}, drawn once: these {they} tell "
        f"{count_bits(terms):.2g} bits of a record at most{mean}, whoever knows all other records "
        "and whatever is asked; what sums may tell stands below"
    )


def counted_limit(terms: TrainTerms, step: str, rows: int) -> int | None:
    """Bytes of a step of it; None where it is none of them."""
    head = f"counted/{terms.task}"
    if terms.score_bits:
        return None
    if step == f"{head}/spread":
        return spread_limit(terms.partners, rows)
    if step == f"{head}/open":
        return FLOOR
    groups = [f"{head}/{number}" for number in range(max(1, terms.folds) + 1)]
    return FLOOR + rows * A_COUNTED_ROW if step in groups else None


def widths(partners: Sequence[str]) -> str:
    """Of what it is told how wide it lies."""
    if len(partners) == 1:
        return "part of the final scores lies"
    return "parts of the final scores lie, of each"


def spread_limit(partners: Sequence[str], rows: int) -> int:
    """Bytes of the step in which it is agreed how scores are cut; several partners share them."""
    return FLOOR + A_SHARED_ROW * rows * (len(partners) > 1)


def counted_estimates(rates: Rates, rows: int, terms: TrainTerms) -> Iterator[Estimate]:
    """Of how good it is, and of a list's threshold."""
    if classes(terms):
        yield sums_estimate(rates, rows, CLASSES * MOST_POINTS, LANES)
    else:
        yield from [sums_estimate(rates, rows, SUM_LEAVES, SUMS)] * SUMS
    if terms.listed:
        yield list_estimate(rates, rows, terms)


def list_estimate(rates: Rates, rows: int, terms: Listing) -> Estimate:
    """Of the counts that a list's threshold is found by, and of each row's answers."""
    answers = 1 << (INDEX_BITS if len(terms.partners) == 1 else PLACE_BITS)
    seconds = rows * (answers // 2) * rates.block()  # a block pads four answers, twice
    told = Estimate(seconds, 3e8, float(rows * told_row(terms)), 2.0)
    return sums_estimate(rates, rows, CLASSES * MOST_POINTS, LANES) + told

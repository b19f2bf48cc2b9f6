"""Scorecards: a regression of weights of evidence, so a training that stands on binnings.

No kind of step of its own: a binning tells each party what its bins say of the label, a training
by private sums fits a weight to each column. One part of the labelled records is held out of both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federated.binning import HIGH, PointScale
from federated.contract.kinds.train import TrainTerms, carded
from psi.protocol import PeerError

if TYPE_CHECKING:
    from federated.contract.kinds.binning import BinningTerms
    from federated.contract.terms import Contract

__all__ = ["MOST_POINTS", "binning_of", "card_of", "card_words", "check_card", "scale_of"]

MOST_POINTS = 100_000
"""Points of a scorecard at its odds, the odds, and the points that double them."""


def scale_of(terms: TrainTerms) -> PointScale:
    """How its points are made of log odds."""
    return PointScale(terms.points, terms.odds, terms.double, terms.high)


def binning_of(contract: Contract, terms: TrainTerms, partner: str) -> BinningTerms:
    """The binning that a scorecard's columns of a partner come from. Raises `PeerError`."""
    for found in contract.binning:
        if found.partner == partner and _serves(contract, found, terms):
            return found
    raise PeerError(
        f"a scorecard '{terms.task}' without a binning of all its columns of {partner} by its label"
    )


def card_of(contract: Contract, binning: BinningTerms) -> TrainTerms | None:
    """The scorecard that stands on a binning, whose held-out records have no label in it."""
    for terms in contract.train:
        if _stands_on(contract, terms, binning):
            return terms
    return None


def check_card(contract: Contract, terms: TrainTerms) -> None:
    """Raise `PeerError` unless a scorecard has points, a part to measure it by, and binnings."""
    if not 2 <= terms.folds <= 20 or terms.fold_evaluations:
        raise PeerError(
            f"a scorecard '{terms.task}' with {terms.folds} folds, 2 to 20 allowed: one of these "
            "parts is held out of bins and fit"
        )
    for number in (terms.points, terms.odds, terms.double):
        if not 1 <= number <= MOST_POINTS:
            raise PeerError(f"points of a scorecard: {number} found, 1 to {MOST_POINTS} allowed")
    if terms.high not in HIGH:
        raise PeerError("a scorecard does not say which class has many points")
    for partner in terms.partners:
        binning = binning_of(contract, terms, partner)
        for other in contract.train:
            if _differs(terms, other) and _stands_on(contract, other, binning):
                raise PeerError("two scorecards of one binning that hold out other records")


def card_words(contract: Contract, terms: TrainTerms) -> str:
    """What makes a training a scorecard, for an officer."""
    me = contract.receiver
    return (
        "; its columns are the weights of evidence of their bins, "
        f"{' and '.join(terms.partners)}'s by the binning above and {me}'s by its own label; one "
        f"of {terms.folds} parts of the labelled records, by a key of {me}'s own, is held out of "
        f"bins and fit to measure it; {me} scores in points, {terms.points:,} at odds of "
        f"{terms.odds:,} to 1 for the {terms.high} class and {terms.double:,} more where they "
        "double; the points of a party's bins stay with it"
    )


def _serves(contract: Contract, binning: BinningTerms, terms: TrainTerms) -> bool:
    same = (binning.label, binning.positive) == (terms.label, terms.positive)
    return same and set(contract.features(terms, binning.partner)) <= set(binning.columns)


def _stands_on(contract: Contract, terms: TrainTerms, binning: BinningTerms) -> bool:
    mine = carded(terms) and binning.partner in terms.partners
    return mine and binning_of(contract, terms, binning.partner) == binning


def _differs(one: TrainTerms, other: TrainTerms) -> bool:
    held = [(t.folds, t.time, t.validate_from) for t in (one, other)]
    return held[0] != held[1]

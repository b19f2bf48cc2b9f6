"""A scorecard at one party: what of its table the regression is fitted on, and its points.

The label party's own bins have exact counts, a partner's are those of its binning step. One part of
the labelled records is held out of both, by the lasting key of folds: neither bins nor fit see it.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from federated.binning import EvidenceEncoder, own_worth
from federated.contract.kinds.scorecard import binning_of, card_of
from federated.contract.terms import BinningTerms, TrainTerms
from federated.regression.guards import CLASS_ROWS
from federated.steps.training import held_out, split_in_time
from federated.steps.work import Work
from federated.tables.matrix import known_labels
from psi.protocol import Refused

__all__ = ["counted_label", "feature_card", "label_card"]


def counted_label(work: Work, terms: BinningTerms, table: pa.Table) -> np.ndarray:
    """`int8[rows]`: the labels that a binning counts: all, or those that its scorecard may see."""
    card = card_of(work.contract, terms)
    if card is None:
        return known_labels(table, terms.label, positive=terms.positive, where=work.me.table)
    label, _ = split_in_time(table, card, work.me.table)
    return held_out(work, card, table, label)[1]


def label_card(work: Work, terms: TrainTerms, table: pa.Table, seen: np.ndarray) -> EvidenceEncoder:
    """The label party's columns by the labels that may be `seen`, `int8[rows]`."""
    like = binning_of(work.contract, terms, terms.partners[0])
    worths = [
        own_worth(
            table, column, seen, most=like.bins, group=like.minimum_group,
            least=CLASS_ROWS, monotone=like.monotone,
        )
        for column in work.contract.features(terms, work.me.name)
    ]  # fmt: skip
    return EvidenceEncoder.fit(worths, table, seen >= 0)


def feature_card(work: Work, terms: TrainTerms, table: pa.Table) -> EvidenceEncoder:
    """A partner's columns as its binning step left them.

    Raises `Refused` where none says anything of the label.
    """
    binning = binning_of(work.contract, terms, work.me.name)
    found = {worth.column: worth for worth in work.outcome.worths[_place(work, binning)]}
    chosen = work.contract.features(terms, work.me.name)
    encoder = EvidenceEncoder.fit([found[column] for column in chosen], table)
    if not encoder.columns:
        raise Refused(
            f"{work.me.table}: no column of '{terms.task}' has two groups of bins that differ",
            hint="more records with a label, other features, or a higher epsilon of the binning",
        )
    return encoder


def _place(work: Work, binning: BinningTerms) -> int:
    """Which of this party's binnings it is."""
    mine = [terms for terms in work.contract.binning if terms.partner == work.me.name]
    return mine.index(binning)

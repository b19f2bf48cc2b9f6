"""What one party holds at the end of a job."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from federated.aggregate import AggregateResult, CategoryResult
from federated.contract.terms import (
    AggregateTerms,
    CategoryTerms,
    Contract,
    JoinSumTerms,
    TrainTerms,
)
from federated.horizontal import HorizontalFit
from federated.join_sum import JoinSumResult
from federated.tables.encoding import Encoder
from psi.align import Alignment

__all__ = ["Outcome", "Trained"]


@dataclass(kw_only=True)
class Trained:
    """One model at the label party.

    `scores` has one probability a row of the aligned rows; `fold_scores` those from the
    models that did not see the row, NaN without a label or without cross-validation.
    """

    terms: TrainTerms
    encoder: Encoder
    columns: list[str]
    partner_columns: int
    coefficients: np.ndarray
    intercept: float
    label: np.ndarray
    folds: np.ndarray
    scores: np.ndarray
    fold_scores: np.ndarray
    own_matrix: np.ndarray
    log: list[dict[str, Any]] = field(default_factory=list)


@dataclass(kw_only=True)
class Outcome:
    """Alignment, aggregates, models: empty where this party has no part in them.

    `rows` are this party's row numbers of the entities that all parties share, in the
    receiver's order; `grades` say by which key each was found. `coefficients` are a feature
    party's own part of each model, in its standardised columns. `before` says how many bits of a
    row earlier jobs told this receiver, by partner; None where nothing outlives a job.
    """

    contract: Contract
    alignments: dict[str, Alignment] = field(default_factory=dict)
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    grades: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint8))
    aggregates: list[tuple[AggregateTerms, AggregateResult]] = field(default_factory=list)
    categories: list[tuple[CategoryTerms, CategoryResult]] = field(default_factory=list)
    join_sums: list[tuple[JoinSumTerms, JoinSumResult]] = field(default_factory=list)
    trained: list[Trained] = field(default_factory=list)
    coefficients: dict[str, np.ndarray] = field(default_factory=dict)
    before: dict[str, float] | None = None
    horizontal: list[tuple[TrainTerms, HorizontalFit]] = field(default_factory=list)

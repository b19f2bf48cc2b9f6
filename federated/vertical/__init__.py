"""Training across parties that hold different columns of the same rows.

Logistic regression without an arbiter, by Newton steps on encrypted sums
(docs/protocols/vertical_logistic.md says why each message is what it is):

    label party A (X_A, y)                          feature parties B, C, … (X_B, X_C, …)

    Setup: key, labelled rows, folds, steps   --->
                                              <---  Ready: rank
    for each pass:
    EncryptedRows: [r_i, D_i x_i], [D_i]      --->
                         WeightedRows: [D_i z_i]    B to C, in B's basis
                                              <---  Moments: [g], [V], [H] in a fresh basis;
                                                     later, of many rows, [g] in the last one
    Direction                                 --->
                                              <---  Scores: counted; masked among partners
    Final: the end                            --->

A learns its own coefficients and at most `score_vectors(steps, folds, fold_steps)` numbers a row of
the partners' score part (of several partners their sum), all with noise, of which one is the row's
final score; sums over rows in bases that only the partners know. A feature party learns
its own coefficients after every pass, which rows are labelled, and their folds. Semi-honest
parties that do not collude.
"""

from __future__ import annotations

from federated.vertical.feature_party import FeatureParty, Shown, VerticalPart
from federated.vertical.label_party import PENALTY, LabelParty, VerticalFit
from federated.vertical.newton import LogisticFit, fit_logistic
from federated.vertical.plan import (
    DIRECTION_BITS,
    TrainingPlan,
    choose_steps,
    score_vectors,
    told_bits,
)

__all__ = [
    "DIRECTION_BITS",
    "PENALTY",
    "FeatureParty",
    "LabelParty",
    "LogisticFit",
    "Shown",
    "TrainingPlan",
    "VerticalFit",
    "VerticalPart",
    "choose_steps",
    "fit_logistic",
    "score_vectors",
    "told_bits",
]

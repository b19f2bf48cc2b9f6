"""Vertical logistic regression without an arbiter, by reduced Newton steps.

    label party                                     feature party (the first one is the lead)
      Setup: key, folds, plan               ──►
    for every step of every fit:
      Pass: [r], [D U], [D] a row           ──►
                                            (several partners: Crossed, D times columns, ──► later)
                                            ◄──     Masked: sums by its columns and pairs of them
      Opened, still masked                  ──►
                                            (several partners: Share ──► lead ──► Solved)
                                            ◄──     Directions: scores of its new direction
      fits own columns and a mix of all directions seen, alone
      Final: the mix                        ──►

p, r = p - y and D = p(1-p) are taken at the present point; the own columns enter as
U = D X L^-T O, whitened by the curvature L L' and turned by a secret random rotation O, so that
sums with U tell a partner only what reduces its own curvature. A partner learns the reduced
gradient and curvature of its own columns, which are the sums its coefficients and their
covariance come from. The label party opens masked sums, uniform mod n, and learns the scores of
`score_vectors` directions, of several partners only their sum. docs/protocols/vertical_logistic.md
has the whole of it.
"""

from __future__ import annotations

from federated.vertical.budget import Steps, choose_steps, score_vectors
from federated.vertical.feature_party import FeatureFit, FeatureParty
from federated.vertical.label_party import LabelParty, VerticalFit
from federated.vertical.newton import fit_logistic, logistic

__all__ = [
    "FeatureFit",
    "FeatureParty",
    "LabelParty",
    "Steps",
    "VerticalFit",
    "choose_steps",
    "fit_logistic",
    "logistic",
    "score_vectors",
]

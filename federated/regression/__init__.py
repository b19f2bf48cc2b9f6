"""Regression across parties that hold different columns of the same rows, on private sums.

No number of a row is told before the final score (docs/protocols/private_regression.md): the
partner's score picks a point of a grid by a lookup, all hold shares of the residuals, gradients
are sums over columns, and all take the same quasi-Newton step from inner products alone.
"""

from __future__ import annotations

from federated.regression.feature_party import FeatureParty
from federated.regression.label_party import LabelParty
from federated.regression.plan import (
    FINEST_SCORES,
    LINKS,
    MANY_ROWS,
    Opened,
    RegressionPlan,
    count_noise,
    counted_bits,
    label_bits,
    opened_numbers,
    planned,
    told_bits,
)
from federated.regression.results import FeatureFit, LabelFit

__all__ = [
    "FINEST_SCORES",
    "LINKS",
    "MANY_ROWS",
    "SUITE",
    "FeatureFit",
    "FeatureParty",
    "LabelFit",
    "LabelParty",
    "Opened",
    "RegressionPlan",
    "count_noise",
    "counted_bits",
    "label_bits",
    "opened_numbers",
    "planned",
    "told_bits",
]

SUITE = "half-tree-regression-v6"
"""What contracts name."""

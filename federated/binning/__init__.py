"""Binning: a column in bins, the weight of evidence of each, and what the column is worth.

`bins` cuts columns at home, `evidence` counts what bins say, `worth` puts both together, `coding`
and `points` make a scorecard of them; two roles (`label_party`, `column_party`) open a partner's
counts to it. docs/protocols/private_binning.md.
"""

from __future__ import annotations

from federated.binning.bins import CategoryBins, NumberBins, category_bins, number_bins
from federated.binning.coding import (
    CodedColumn,
    EvidenceEncoder,
    binned_column,
    own_worth,
    values_of,
)
from federated.binning.column_party import ColumnParty
from federated.binning.label_party import LabelParty, label_lanes, noise_scale
from federated.binning.messages import LABEL_LANES, MOST_BINNED, MOST_BINS, Worths
from federated.binning.own_noise import EPSILON as OWN_EPSILON
from federated.binning.own_noise import VALUE_SCALE, blurred, drift_of
from federated.binning.points import HIGH, PointScale, against_evidence, point_lines
from federated.binning.worth import ColumnWorth, RoundedWorth, rounded, told, worth_of

__all__ = [
    "HIGH",
    "LABEL_LANES",
    "MOST_BINNED",
    "MOST_BINS",
    "OWN_EPSILON",
    "VALUE_SCALE",
    "CategoryBins",
    "CodedColumn",
    "ColumnParty",
    "ColumnWorth",
    "EvidenceEncoder",
    "LabelParty",
    "NumberBins",
    "PointScale",
    "RoundedWorth",
    "Worths",
    "against_evidence",
    "binned_column",
    "blurred",
    "category_bins",
    "drift_of",
    "label_lanes",
    "noise_scale",
    "number_bins",
    "own_worth",
    "point_lines",
    "rounded",
    "told",
    "values_of",
    "worth_of",
]

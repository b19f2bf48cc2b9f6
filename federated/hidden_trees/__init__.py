"""Boosted trees of two parties that tell no row's side, and rows scored by them later.

The chapter is docs/protocols/hidden_trees.md.
"""

from __future__ import annotations

from federated.hidden_trees.feature_party import HiddenFeatureParty
from federated.hidden_trees.label_party import HiddenLabelParty
from federated.hidden_trees.plan import HiddenPlan
from federated.hidden_trees.results import HiddenFeature, HiddenLabel
from federated.hidden_trees.saved import HiddenFeatureModel, HiddenLabelModel
from federated.hidden_trees.score_partner import HiddenScorePartner
from federated.hidden_trees.score_receiver import HiddenScoreReceiver

__all__ = [
    "SUITE",
    "HiddenFeature",
    "HiddenFeatureModel",
    "HiddenFeatureParty",
    "HiddenLabel",
    "HiddenLabelModel",
    "HiddenLabelParty",
    "HiddenPlan",
    "HiddenScorePartner",
    "HiddenScoreReceiver",
]

SUITE = "hidden-trees-v3"
"""In contracts: the cryptography of hidden trees, and who learns what."""

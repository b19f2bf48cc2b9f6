"""Boosted trees of two parties that tell no row's side, no sum, and each party's own splits only.

The chapter is docs/protocols/hidden_trees.md.
"""

from __future__ import annotations

from federated.hidden_trees.feature_party import HiddenFeatureParty
from federated.hidden_trees.label_party import HiddenLabelParty
from federated.hidden_trees.plan import HiddenPlan
from federated.hidden_trees.results import HiddenFeature, HiddenLabel

__all__ = [
    "SUITE",
    "HiddenFeature",
    "HiddenFeatureParty",
    "HiddenLabel",
    "HiddenLabelParty",
    "HiddenPlan",
]

SUITE = "hidden-trees-v1"
"""In contracts: the cryptography of hidden trees, and who learns what."""

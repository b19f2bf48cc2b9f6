"""Boosted trees whose columns are at two parties, and which tell only winning splits.

The chapter is docs/protocols/private_trees.md.
"""

from __future__ import annotations

from federated.trees.binning import Binning
from federated.trees.booster import grow_alone
from federated.trees.call import boost_trees
from federated.trees.feature_party import FeatureParty
from federated.trees.forest import Forest
from federated.trees.label_party import LabelParty
from federated.trees.layout import Column, Layout
from federated.trees.plan import TreesPlan
from federated.trees.results import FeatureTrees, LabelTrees
from federated.trees.saved import FeatureModel, LabelModel

__all__ = [
    "SUITE",
    "Binning",
    "Column",
    "FeatureModel",
    "FeatureParty",
    "FeatureTrees",
    "Forest",
    "LabelModel",
    "LabelParty",
    "LabelTrees",
    "Layout",
    "TreesPlan",
    "boost_trees",
    "grow_alone",
]

SUITE = "private-trees-v2"
"""In contracts: the cryptography of trees of two parties, and who learns what."""

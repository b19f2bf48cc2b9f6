"""Boosted trees whose columns are at two parties, and which tell only winning splits.

So far: bins, and trees of one party alone.
"""

from __future__ import annotations

from federated.trees.binning import Binning
from federated.trees.booster import grow_alone
from federated.trees.forest import Forest
from federated.trees.layout import Column, Layout
from federated.trees.plan import TreesPlan

__all__ = ["Binning", "Column", "Forest", "Layout", "TreesPlan", "grow_alone"]

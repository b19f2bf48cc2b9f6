"""The best split of each node of a level, found on shares: who has it, and to its owner which.

The label party learns "mine or yours", the feature party the number of each candidate that won.
Neither sees a sum or a gain. The chapter is docs/protocols/private_trees.md.
"""

from __future__ import annotations

from federated.trees.splitting.feature_side import FeatureSplits
from federated.trees.splitting.label_side import LabelSplits
from federated.trees.splitting.level import (
    GRADIENT_BITS,
    HESSIAN_BITS,
    MESSAGES_A_LEVEL,
    MOST_CANDIDATES,
    Level,
)
from federated.trees.splitting.messages import (
    SplitAnswer,
    SplitAsk,
    SplitCircuit,
    SplitPicks,
    SplitTables,
    SplitWon,
)
from federated.trees.splitting.scores import Totals

__all__ = [
    "GRADIENT_BITS",
    "HESSIAN_BITS",
    "MESSAGES_A_LEVEL",
    "MOST_CANDIDATES",
    "FeatureSplits",
    "LabelSplits",
    "Level",
    "SplitAnswer",
    "SplitAsk",
    "SplitCircuit",
    "SplitPicks",
    "SplitTables",
    "SplitWon",
    "Totals",
]

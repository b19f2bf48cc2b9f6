"""The kinds of steps, in the order in which a contract's steps run."""

from __future__ import annotations

from typing import Any

from federated.contract.kinds.align import Align
from federated.contract.kinds.binning import Binning
from federated.contract.kinds.by_category import ByCategory
from federated.contract.kinds.by_segment import BySegment
from federated.contract.kinds.join_sum import JoinSum
from federated.contract.kinds.kind import Kind
from federated.contract.kinds.score import Score
from federated.contract.kinds.score_hidden import ScoreHidden
from federated.contract.kinds.train_hidden import TrainHidden
from federated.contract.kinds.train_horizontal import TrainHorizontal
from federated.contract.kinds.train_trees import TrainTrees
from federated.contract.kinds.train_vertical import TrainVertical

__all__ = ["KINDS", "Kind"]

KINDS: tuple[Kind[Any], ...] = (
    Align(),
    BySegment(),
    ByCategory(),
    JoinSum(),
    Binning(),
    TrainVertical(),
    TrainHorizontal(),
    TrainTrees(),
    TrainHidden(),
    Score(),
    ScoreHidden(),
)

"""The classes that results of steps are made of, by name: what a journal may hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import get_args, get_type_hints

from federated.aggregate import Added, AggregateResult, CategoryResult, History, MeasureResult
from federated.aggregate.share_messages import LaneKinds
from federated.aggregate.share_parts import Parts
from federated.binning import Worths
from federated.contract.negotiation import Agreed
from federated.contract.terms import Contract
from federated.counted import Joined, RingGrid, ScoreGrid
from federated.hidden_trees import HiddenFeature, HiddenLabel
from federated.horizontal import HorizontalFit
from federated.join_sum import JoinSumResult
from federated.join_sum.share_lanes import Place
from federated.regression import FeatureFit, LabelFit, Opened
from federated.trees import Column, FeatureTrees, Forest, LabelTrees, Layout
from federated.trees.forest import Tree
from federated.trees.results import PartnerSplit
from psi.ecdh import Held, Matches

__all__ = ["RESULTS"]


def _nested(cls: type) -> Iterator[type]:
    """A class and those that its fields are made of: of a contract the terms of all kinds."""
    yield cls
    for hint in get_type_hints(cls).values():
        for one in (hint, *get_args(hint)):
            if isinstance(one, type) and is_dataclass(one):
                yield from _nested(one)


RESULTS: dict[str, type] = {
    cls.__qualname__: cls
    for cls in (
        *_nested(Contract),
        Added, AggregateResult, Agreed, CategoryResult, Column, FeatureFit, FeatureTrees, Forest,
        Held, HiddenFeature, HiddenLabel, History, HorizontalFit, JoinSumResult, LabelFit,
        LabelTrees, LaneKinds, Layout, Matches, MeasureResult, Opened, Parts, PartnerSplit, Place,
        Joined, RingGrid, ScoreGrid, Tree, Worths,
    )
}  # fmt: skip

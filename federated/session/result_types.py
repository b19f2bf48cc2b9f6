"""The classes that results of steps are made of, by name: what a journal may hold."""

from __future__ import annotations

from federated.aggregate import Added, AggregateResult, CategoryResult, History, MeasureResult
from federated.aggregate.share_messages import LaneKinds
from federated.aggregate.share_parts import Parts
from federated.binning import Worths
from federated.contract.negotiation import Agreed
from federated.contract.terms import (
    AggregateTerms,
    AlignTerms,
    AmountTerms,
    BinningTerms,
    CategoryTerms,
    Contract,
    Disclosure,
    FeatureTerms,
    JoinSumTerms,
    Measure,
    PartyTerms,
    ScoreTerms,
    Suites,
    TrainTerms,
)
from federated.counted import ScoreGrid
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

RESULTS: dict[str, type] = {
    cls.__qualname__: cls
    for cls in (
        Added, AggregateResult, AggregateTerms, Agreed, AlignTerms, AmountTerms, BinningTerms,
        CategoryResult,
        CategoryTerms, Column, Contract, Disclosure, FeatureFit, FeatureTerms, FeatureTrees, Forest,
        Held, HiddenFeature, HiddenLabel, History, HorizontalFit, JoinSumResult, JoinSumTerms,
        LabelFit, LabelTrees, LaneKinds, Layout, Matches,
        Measure, MeasureResult, Opened, Parts, PartnerSplit, PartyTerms, Place,
        ScoreGrid, ScoreTerms, Suites, TrainTerms, Tree,
        Worths,
    )
}  # fmt: skip

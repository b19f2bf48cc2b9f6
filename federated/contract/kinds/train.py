"""The terms of a training, whichever way its data are split."""

from __future__ import annotations

from dataclasses import dataclass

from federated.contract.parts import FeatureTerms
from federated.models import MODELS
from psi.protocol import PeerError

__all__ = ["LONGEST_TASK", "SPLITS", "TrainAsked", "TrainTerms", "check_train"]

SPLITS = ("vertical", "horizontal")
"""Columns at different parties, or rows."""
LONGEST_TASK = 64
"""UTF-8 bytes of a task's name, which is part of its step's."""


@dataclass(frozen=True, kw_only=True)
class TrainAsked:
    """What an analyst may say of a training; 0 steps, fold steps: as many as the data allow.

    `split` is "vertical" (columns at different parties) or "horizontal" (rows at different
    parties); `label` is the column whose value `positive` is to be predicted. `features` are the
    columns that this training takes, of the parties that bring any; empty: all of all parties'.
    """

    task: str
    model: str
    split: str
    label: str
    positive: str
    steps: int
    folds: int
    fold_steps: int
    score_bits: int
    row_bits: int
    features: tuple[FeatureTerms, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrainTerms(TrainAsked):
    """One model across the label party and the feature parties.

    `score_vectors` is the most numbers a row that the label party may learn of the
    other parties' part of the score; the final one is told with noise of 2^-`score_bits` of the
    standard deviation, the others with half of it, and `row_bits` is the most that all of them
    together may tell of a row, in bits, in the mean of rows. Where rows are split there are no
    score vectors, and `row_bits` is the most that all sums of one party tell of any of its rows,
    whatever the receiver asks.
    """

    partners: tuple[str, ...]
    score_vectors: int
    key_bits: int


def check_train(terms: TrainTerms) -> None:
    """Raise `PeerError` unless the terms of a training are whole, whatever its split."""
    if terms.split not in SPLITS:
        raise PeerError("the contract names an unknown way to split")
    if terms.model not in MODELS:
        raise PeerError("the contract asks for a model that this version does not have")
    if len(terms.task.encode("utf-8", "replace")) > LONGEST_TASK:
        raise PeerError(f"a task's name of more than {LONGEST_TASK} bytes")
    if terms.row_bits < 1:
        raise PeerError("the contract does not say how many bits of a row a training may tell")

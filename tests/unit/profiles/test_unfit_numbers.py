"""A model of numbers that noise spoilt is told so, and not kept."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from federated.models import model_named
from federated.steps.outcome import Trained
from profiles.goodness import goodness
from profiles.numbers_outputs import unfit


def trained(scores: np.ndarray, label: np.ndarray, noise: float, left: float) -> Any:
    folds = np.arange(len(label)) % 2
    one = SimpleNamespace(
        model=model_named("poisson"),
        label=label,
        known=np.ones(len(label), bool),
        folds=folds,
        fold_scores=scores,
        scores=scores,
        own_matrix=np.zeros((len(label), 2)),
        partner_columns=1,
        spoilt=False,
        log=[{"fold": -1, "noise": noise}],
        gradient_left=left,
        opened=None,
    )
    one.unusable = Trained.unusable.fget(one)  # type: ignore[attr-defined]
    return one


def said(one: Any) -> str:
    found = goodness("joined", one.model, one.label, one.fold_scores, one.folds)
    return " ".join(unfit(one, found, found))


def test_noise_beyond_chance_and_a_wild_end_are_told() -> None:
    label = np.array([0.0, 1.0, 2.0, 275.0])
    assert "275" in said(trained(label + 0.5, label, 20.0, 25.0))
    assert "did not settle" in said(trained(label + 0.5, label, 0.5, 696.0))
    assert not said(trained(label + 0.5, label, 0.5, 1.0))


def test_a_model_below_the_mean_or_without_numbers_is_not_kept() -> None:
    label = np.array([0.0, 1.0, 2.0, 3.0])
    for wild in (1e200, np.inf, np.nan):
        scores = label + 0.5
        scores[2] = wild
        assert trained(scores, label, 0.5, 1.0).unusable
    assert "not kept" in said(trained(label[::-1] + 0.1, label, 0.5, 1.0))
    assert not trained(label + 0.5, label, 0.5, 1.0).unusable

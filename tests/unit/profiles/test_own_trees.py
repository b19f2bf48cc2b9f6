"""What partners add is measured against the receiver's best own model, trees among them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from federated.evaluation import auc, stratified_folds
from federated.models import LOGISTIC, LinearPart
from federated.steps.outcome import Trained
from federated.tables.encoding import Encoder
from profiles.alone import fit_alone
from profiles.held_out import held_out_scores
from profiles.language import language
from profiles.own_trees import FROM_ROWS, tree_scores
from profiles.report.sentences import _model_words
from profiles.scoring import measured

ROWS = 2400


def world(rows: int = ROWS, *, crossed: bool = True) -> tuple[Trained, pa.Table]:
    """A bank whose two numbers say nothing each, and much together, beside a partner's score."""
    rng = np.random.default_rng(6)
    one, two, theirs = rng.normal(size=(3, rows))
    logit = 1.5 * np.sign(one * two) if crossed else 1.5 * one
    label = (rng.random(rows) < 1 / (1 + np.exp(-logit - 0.4 * theirs))).astype(np.int8)
    label[::10] = -1
    table = pa.table({"one": one, "two": two})
    folds = np.full(rows, -1, np.int64)
    folds[label >= 0] = stratified_folds(label[label >= 0], 3, 1)
    encoder = Encoder.fit(table, ["one", "two"])
    matrix, names = encoder.transform(table)
    part = LinearPart(np.zeros(2) if crossed else np.array([1.5, 0.0]), 0.0)
    score = 1 / (1 + np.exp(-0.4 * theirs - matrix @ part.coefficients))
    terms: Any = SimpleNamespace(
        task="t", partners=("bureau",), label="y", noise="0", features=(), time=""
    )
    trained = Trained(
        terms=terms, encoder=encoder, columns=list(names), partner_columns=1, model=LOGISTIC,
        part=part, label=label, folds=folds, scores=score, fold_scores=score, own_matrix=matrix,
        later=np.full(rows, -1, np.int8),
    )  # fmt: skip
    return trained, table


def test_trees_see_what_a_regression_does_not_and_no_row_that_they_score() -> None:
    trained, table = world()
    scores = tree_scores(trained, table)
    assert scores is not None
    held = trained.folds >= 0
    assert np.isnan(scores[~held]).all()
    assert auc(trained.label[held], scores[held]) > 0.7
    again = tree_scores(trained, table)
    assert again is not None
    assert np.array_equal(scores, again, equal_nan=True), "the same again"
    shuffled = np.random.default_rng(2).permutation(trained.label[held])
    trained.label[held] = shuffled
    blind = tree_scores(trained, table)
    assert blind is not None
    # 6 standard deviations of an AUC of .5 over 2,160 rows: .0124 each
    assert abs(auc(shuffled, blind[held]) - 0.5) < 0.075


@pytest.mark.parametrize("why", ["few rows", "no folds", "nothing to split"])
def test_where_trees_are_not_tried(why: str) -> None:
    trained, table = world(FROM_ROWS if why == "few rows" else ROWS)
    if why == "no folds":
        trained.folds[:] = -1
    if why == "nothing to split":
        table = pa.table({"one": np.ones(len(table))})
    assert tree_scores(trained, table) is None


@pytest.mark.parametrize("crossed", [True, False])
def test_the_gain_is_over_the_better_own_model(crossed: bool) -> None:
    trained, table = world(crossed=crossed)
    alone = replace(fit_alone(trained, table), trees=tree_scores(trained, table))
    model = measured(trained, alone, "bank", table)
    best = "bank alone, trees" if crossed else "bank alone"
    assert model.scores[0].name == best
    assert {score.name for score in model.scores[1:-1]} == {"bank alone", "bank alone, trees"} - {
        best
    }
    assert model.scores[-1].name == "joined"
    assert model.gain_rows is not None
    change = model.scores[-1].auc - model.scores[0].auc
    assert model.gain_rows.mean == pytest.approx(change)
    assert model.gain_rows.low < change < model.gain_rows.high
    said = _model_words(language("en"), model)
    assert ("does not make up for the model" in said) == crossed


def test_the_gain_can_be_reckoned_again_from_held_out_scores() -> None:
    trained, table = world()
    alone = replace(fit_alone(trained, table), trees=tree_scores(trained, table))
    model = measured(trained, alone, "bank", table)
    outcome: Any = SimpleNamespace(trained=[trained], rows=np.arange(len(table)))
    job: Any = SimpleNamespace(
        receiver="bank",
        profile=SimpleNamespace(entity="", facts=()),
        party=lambda _: SimpleNamespace(name="bank", table="bank.t", keys=(("id",),)),
    )
    facts = table.append_column("id", pa.array(np.arange(len(table))))
    held = held_out_scores(outcome, {"t": alone}, facts, job)
    assert held is not None
    names = {"own": "bank alone", "own_trees": "bank alone, trees", "joined": "joined"}
    label, by_name = held["label"].to_numpy(), {one.name: one for one in model.scores}
    for column, name in names.items():
        assert auc(label, held[column].to_numpy()) == pytest.approx(by_name[name].auc)
    none = held_out_scores(outcome, {"t": replace(alone, trees=None)}, facts, job)
    assert none is not None
    assert none["own_trees"].null_count == len(none)

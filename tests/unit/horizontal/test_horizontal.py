from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from federated.flower.server_app import conduct
from federated.horizontal import Branch, HorizontalFit, NoiseKey, Plan, SecureSum, add_masked
from federated.horizontal.branch import Question
from psi.protocol import InputError, MisuseError, PeerError, Refused

NAMES = ["north", "centre", "south"]
NONE = np.zeros(1000, np.int64)
"""No noise."""
EXACT = 10**12
"""So many bits a row that the noise is nothing."""


def sums(names: list[str] = NAMES) -> dict[str, SecureSum]:
    shared = {(a, b): secrets.token_bytes(32) for a in names for b in names if a < b}
    return {
        a: SecureSum(a, {b: shared[min(a, b), max(a, b)] for b in names if b != a}) for a in names
    }


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(-1e9, 1e9), min_size=4, max_size=4), min_size=3, max_size=3))
def test_masks_vanish_in_the_total(rows: list[list[float]]) -> None:
    masks = sums()
    parts = [
        masks[n].mask(np.array(row), "r", NONE[:4]) for n, row in zip(NAMES, rows, strict=True)
    ]
    assert add_masked(parts, 3) == pytest.approx(np.sum(rows, axis=0), abs=1e-6)


def test_a_part_alone_says_nothing_and_masks_are_used_once() -> None:
    masks = sums()
    zeros = masks["north"].mask(np.zeros(1000), "r", NONE)
    assert len(set(zeros.tolist())) == 1000
    ones = np.unpackbits(zeros.view(np.uint8)).mean()
    assert 0.49 < ones < 0.51
    with pytest.raises(MisuseError, match="once"):
        masks["north"].mask(np.zeros(3), "r", NONE[:3])


def test_missing_parts_lonely_parties_and_large_values_are_refused() -> None:
    masks = sums()
    part = masks["north"].mask(np.zeros(3), "r", NONE[:3])
    with pytest.raises(PeerError, match="1 of 3 parties"):
        add_masked([part], 3)
    with pytest.raises(MisuseError):
        SecureSum("alone", {})
    with pytest.raises(InputError, match="1 sums"):
        masks["north"].mask(np.array([np.nan, 1.0]), "s", NONE[:2])


def world(n: int = 600) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x = rng.uniform(-1.7, 1.7, size=(n, 5)) * [1, 10, 0.1, 3, 1] + [0, 5, 0, -2, 1900]
    z = (x - x.mean(0)) / x.std(0) @ [1.0, -0.7, 0.4, 0.0, 0.2] - 0.8
    y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    return x, y, rng.integers(0, 3, n), rng.integers(0, 5, n)


def fit(
    x: Any, y: Any, party: Any, fold: Any, *, bits: int = EXACT, steps: int = 15
) -> tuple[HorizontalFit, list[np.ndarray]]:
    """The model, and all that the coordinator has seen."""
    masks, plan = sums(), Plan(x.shape[1], 5, steps, bits, 3)
    branches = {
        name: Branch(
            x[party == i],
            y[party == i],
            fold[party == i],
            masks[name],
            plan,
            NoiseKey(secrets.token_bytes(32)),
        )
        for i, name in enumerate(NAMES)
    }
    seen: list[np.ndarray] = []

    def ask(question: Question) -> dict[str, np.ndarray]:
        answers = {name: branch.answer(question) for name, branch in branches.items()}
        seen.extend(answers.values())
        return answers

    return conduct(plan, NAMES, ask), seen


def test_without_noise_the_model_is_the_central_one() -> None:
    """No value of this world lies far out, so none is drawn in."""
    x, y, party, fold = world()
    found, seen = fit(x, y, party, fold)
    standard = (x - x.mean(0)) / x.std(0)
    central = LogisticRegression(tol=1e-12, max_iter=1000).fit(standard, y)
    assert found.coefficients == pytest.approx(central.coef_[0], abs=1e-3)
    assert found.predict(x) == pytest.approx(central.predict_proba(standard)[:, 1], abs=1e-3)
    for f in range(5):
        model = LogisticRegression(tol=1e-12, max_iter=1000)
        model.fit(standard[fold != f], y[fold != f])
        held = model.predict_proba(standard[fold == f])[:, 1]
        assert found.fold_aucs[f] == pytest.approx(roc_auc_score(y[fold == f], held), abs=0.015)
    assert (found.rows, found.positives) == (600, y.sum())
    clear = len(x[party == 0]) * 2.0**24
    assert all(float(part.view(np.int64)[0]) != clear for part in seen)


def test_the_model_under_noise_ranks_as_the_central_one() -> None:
    x, y, party, fold = world(30_000)
    found, _ = fit(x, y, party, fold, bits=1, steps=6)
    central = LogisticRegression().fit((x - x.mean(0)) / x.std(0), y)
    best = roc_auc_score(y, central.decision_function((x - x.mean(0)) / x.std(0)))
    assert roc_auc_score(y, found.predict(x)) > best - 0.002
    assert found.fold_aucs.mean() == pytest.approx(best, abs=0.01)
    assert abs(found.positives - y.sum()) < 200
    again, _ = fit(x, y, party, fold, bits=1, steps=6)
    assert (again.coefficients != found.coefficients).any()


def test_rare_classes_and_columns_of_many_kinds_find_an_end() -> None:
    """Weights that grow far beyond the first model's, a constant column, one that tells parties."""
    rng = np.random.default_rng(5)
    x = rng.lognormal(size=(6000, 4)) * [1, 1e5, 1e-3, 0]
    z = 3 * (np.log(x[:, 0]) - 2)
    y = (rng.random(6000) < 1 / (1 + np.exp(-z))).astype(int)
    party = rng.integers(0, 3, 6000)
    x[party == 0, 2] += 1
    found, _ = fit(x, y, party, rng.integers(0, 5, 6000))
    assert 0.01 < y.mean() < 0.05
    scale = np.where(x.std(0) > 0, x.std(0), 1)
    central = LogisticRegression().fit((x - x.mean(0)) / scale, y)
    best = roc_auc_score(y, central.decision_function((x - x.mean(0)) / scale))
    assert roc_auc_score(y, found.predict(x)) > best - 0.002
    assert found.log[-1] < 0.1
    assert (found.scale > 0).all()


def test_a_party_that_fails_ends_the_run_with_its_own_error() -> None:
    x, y, party, fold = world()
    x[5] = 1e300
    with pytest.raises(InputError, match="5 columns have values too large"):
        fit(x, y, party, fold)


def test_one_class_and_few_rows_are_refused() -> None:
    x, y, party, fold = world()
    with pytest.raises(Refused, match="fewer than 20 rows"):
        fit(x, np.zeros_like(y), party, fold)
    party[party == 0] = 1
    party[:19] = 0
    with pytest.raises(Refused, match="19 rows with a label"):
        fit(x, y, party, fold)

"""A partner reads labels off what it is told of a training: folds first, and all else with them.

Folds were dealt round robin by class after a shuffle under the contract's seed, which partners
have: a forward-backward pass over the shuffled rows gives each label's probability. The attack is
played on such folds, where it must work, and on those that the product sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from federated.evaluation import auc, stratified_folds
from federated.models.logistic import sigmoid
from federated.regression import FeatureParty
from federated.regression.messages import Setup
from federated.regression.newton import fit_logistic
from psi.protocol import Refused
from tests.attacks.world import NEW_POLICY, World

ROWS, FOLDS, SEED = 800, 5, 42

JOB = f"""
[job]
name = "risk"
purpose = "risk"
seed = {SEED}

[[party]]
name = "bank"
table = "bank.people"
keys = [["KEY"]]
features = ["own"]

[[party]]
name = "bureau"
table = "bureau.people"
keys = [["KEY"]]
features = ["a", "b", "c"]

[align]
minimum_overlap = 100

[train]
task = "risk"
label = "bank.y"
score_bits = 2
"""


def labels_from_folds(fold: np.ndarray, seed: int, prior: np.ndarray) -> np.ndarray:
    """P(label = 1) of every row, if folds were dealt by this seed round robin within classes."""
    rows, folds = len(fold), int(fold.max()) + 1
    order = np.argsort(np.random.PCG64(seed).random_raw(rows), kind="stable")
    found, p, best = fold[order], prior[order], (-np.inf, np.empty(0))
    for zeros in range(folds):  # how many rows have label 0, modulo the folds
        forward = np.zeros((rows + 1, folds))
        forward[0, 0], likelihood = 1.0, 0.0
        for row in range(rows):
            step = _step(forward[row], row, found[row], zeros, p[row], folds)
            total = step.sum()
            if total <= 0:
                likelihood = -np.inf
                break
            forward[row + 1], likelihood = step / total, likelihood + float(np.log(total))
        if likelihood > best[0] and forward[rows, zeros] > 0:
            best = likelihood, _backward(forward, found, zeros, p, folds)
    if not len(best[1]):
        return prior  # no such deal gives these folds: they tell nothing
    out = np.empty(rows)
    out[order] = best[1]
    return out


def _moves(row: int, fold: int, zeros: int, folds: int) -> Iterator[tuple[int, int, int]]:
    """From how many zeros so far to how many, and the label: what gives this row its fold."""
    for before in range(folds):
        if fold == before:
            yield before, (before + 1) % folds, 0
        if fold == (zeros + row - before) % folds:
            yield before, before, 1


def _step(now: np.ndarray, row: int, fold: int, zeros: int, p: float, folds: int) -> np.ndarray:
    after = np.zeros(folds)
    for start, end, label in _moves(row, fold, zeros, folds):
        after[end] += now[start] * (p if label else 1 - p)
    return after


def _backward(
    forward: np.ndarray, found: np.ndarray, zeros: int, p: np.ndarray, folds: int
) -> np.ndarray:
    ahead, out = np.zeros(folds), np.empty(len(found))
    ahead[zeros] = 1.0
    for row in range(len(found) - 1, -1, -1):
        weight, before = [0.0, 0.0], np.zeros(folds)
        for start, end, label in _moves(row, int(found[row]), zeros, folds):
            share = (p[row] if label else 1 - p[row]) * ahead[end]
            weight[label] += forward[row, start] * share
            before[start] += share
        out[row] = weight[1] / sum(weight) if sum(weight) else p[row]
        ahead = before / before.sum() if before.sum() else before
    return out


def people(seed: int = 1) -> tuple[pa.Table, pa.Table, np.ndarray]:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(ROWS, 4))
    label = (draw.uniform(size=ROWS) < sigmoid(x @ [0.6, 0.8, -0.6, 0.4] - 1.0)).astype(np.int64)
    names = {"id": [f"p{n:04}" for n in range(ROWS)], "phone": [f"f{n:04}" for n in range(ROWS)]}
    bank = pa.table({**names, "own": x[:, 0], "y": label})
    bureau = pa.table({**names, "a": x[:, 1], "b": x[:, 2], "c": x[:, 3]})
    return bank, bureau, x[:, 1:]


Told = list[tuple[np.ndarray, np.ndarray]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Of each training, which then ends: the folds that the partner is told, and its columns."""
    found: Told = []

    def stop(self: FeatureParty, state: object, setup: Setup, peer: str) -> None:
        del state, peer
        found.append((setup.fold.astype(np.int64), self._raw))
        raise Refused("enough")

    monkeypatch.setattr(FeatureParty, "on_setup", stop)
    return found


def world(folder: Path, bureau: pa.Table) -> World:
    # a bureau that lets the same be asked many times: its budgets have tests of their own
    limits = {"row_share": "1000.0", "minimum_difference": "0"}
    policy = NEW_POLICY
    for name, value in limits.items():
        policy = re.sub(rf"^{name} = \S+", f"{name} = {value}", policy, flags=re.MULTILINE)
    columns = dict.fromkeys("abc", "feature")
    return World(folder, bureau, columns, keys=("id", "phone"), policy=policy)


def by_record(x: np.ndarray, records: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`values` of aligned rows in the order of `records`, which are column a of these people."""
    out = np.empty(len(records), values.dtype)
    out[np.argsort(records)] = values[np.argsort(x[:, 0])]
    return out


def test_folds_tell_no_label(tmp_path: Path, told: Told) -> None:
    bank, bureau, x = people()
    label = bank.column("y").to_numpy()
    flat, known = np.full(ROWS, label.mean()), np.arange(ROWS) < 50
    old = stratified_folds(label, FOLDS, SEED)
    assert auc(label, labels_from_folds(old, SEED, flat)) > 0.85  # the attack, where it works
    world(tmp_path, bureau).run(JOB.replace("KEY", "id"), bank)
    ((fold, seen),) = told
    assert np.bincount(fold, minlength=FOLDS).min() > 100
    label, x = (by_record_back(seen, x[:, 0], values) for values in (label, x))
    assert auc(label, labels_from_folds(fold, SEED, flat)) < 0.58
    # and with what it has of its own, here a fit on 50 known labels
    design = np.column_stack([np.ones(ROWS), x])
    own = sigmoid(design @ fit_logistic(design[known], label[known], np.ones(4)).coefficients)
    both = labels_from_folds(fold, SEED, own)
    assert auc(label[~known], both[~known]) < auc(label[~known], own[~known]) + 0.02


def by_record_back(x: np.ndarray, records: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values in the order of `records`, as the aligned rows `x` have them."""
    out = np.empty_like(values)
    out[np.argsort(x[:, 0])] = values[np.argsort(records)]
    return out


def test_a_record_has_one_fold_in_all_jobs(tmp_path: Path, told: Told) -> None:
    bank, bureau, x = people()
    place, job = world(tmp_path, bureau), JOB.replace("KEY", "id")
    some = np.random.default_rng(3).permutation(ROWS)[:600]
    place.run(job, bank)
    place.run(job, bank.take(pa.array(some)))
    place.run(JOB.replace("KEY", "phone"), bank)
    place.run(job.replace(f"seed = {SEED}", "seed = 7"), bank)
    records = (x[:, 0], x[some, 0], x[:, 0], x[:, 0])
    first, part, phone, seed = (by_record(s, r, f) for (f, s), r in zip(told, records, strict=True))
    assert np.array_equal(first[some], part)
    assert np.array_equal(first, phone)
    assert np.array_equal(first, seed)
    assert (tmp_path / "kept-bank" / "folds").stat().st_mode & 0o777 == 0o600
    elsewhere = tmp_path / "other"
    elsewhere.mkdir()
    world(elsewhere, bureau).run(job, bank)  # another bank, another key
    again = by_record(told[-1][1], x[:, 0], told[-1][0])
    assert 0.1 < np.mean(first == again) < 0.3

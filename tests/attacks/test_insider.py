"""An insider decodes rows from score vectors: what is shown of it is what is measured."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
from pyarrow import csv

from federated.regression import told_bits
from federated.releases.entropy import joint_entropy
from federated.releases.insider import MEASURED, insider_share

DATA = os.environ.get("FEDPROFILE_DATA", "")
FILE = "credit_default/default_credit_hetero_host.csv"


def test_between_figures_and_beyond_them() -> None:
    assert insider_share(0, 14.3) == pytest.approx(0.001)
    assert insider_share(8.0, 14.3) == pytest.approx(0.075, rel=0.01)
    assert insider_share(8.5, 14.3) < insider_share(8.6, 14.3)
    assert insider_share(100, 14.3) == insider_share(0, 0) == insider_share(1, 0) == 1
    assert list(MEASURED) == sorted(MEASURED)
    assert [share for _, share in MEASURED] == sorted(share for _, share in MEASURED)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="needs FEDPROFILE_DATA")
@pytest.mark.parametrize(("vectors", "score_bits"), [(1, 4), (2, 4), (3, 4)])
def test_random_directions_on_credit_default(vectors: int, score_bits: int) -> None:
    table = csv.read_csv(Path(DATA) / FILE)
    names = [f"x{number}" for number in range(10)]
    held = joint_entropy(table, names)
    assert held == pytest.approx(14.3, abs=0.05)
    x = np.column_stack([table.column(name).to_numpy().astype(float) for name in names])
    x = (x - x.mean(0)) / x.std(0)
    rows, which, counts = np.unique(x, axis=0, return_inverse=True, return_counts=True)
    prior = np.log(counts / len(x))
    rng, noise, found = np.random.default_rng(1), 2.0**-score_bits, []
    for _ in range(3):
        directions = rng.normal(size=(len(names), vectors))
        points = rows @ directions / (x @ directions).std(0)
        asked = which.reshape(-1)[rng.choice(len(x), 500, replace=False)]
        told = points[asked] + noise * rng.normal(size=(500, vectors))
        likely = [np.argmax(prior - ((points - one) ** 2).sum(1) / (2 * noise**2)) for one in told]
        found.append(np.mean(np.array(likely) == asked))
    shown = insider_share(vectors * told_bits(score_bits), held)
    wide = 3 * math.sqrt(shown / 1500)
    assert shown / 3 < np.mean(found) < shown + wide

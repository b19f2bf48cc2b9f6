"""A small two-party job in files: quick to run whole, easy to spoil."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

JOB = """
[job]
name = "small churn"
purpose = "retention"
key_bits = 2048

[[party]]
name = "bank"
table = "bank.consumers"
keys = [["id"]]
features = ["balance", "tenure"]

[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id_no"]]
features = ["loans", "overdue", "usage", "queries"]

[align]
minimum_overlap = 50

[[aggregate]]
by = "bank.segment"
measures = [
    "bureau.loans:mean", "bureau.loans:variance", "bureau.usage:share>0.5",
    "bureau.overdue:histogram[-1,0,1]",
]
minimum_group = 10

[train]
task = "churn"
label = "bank.churned"
folds = 2
evaluations = 6
fold_evaluations = 1

[profile]
segments = 3
facts = ["id", "name"]

[[target]]
product = "offer"
top = 20
"""
TABLES = """
[bank.consumers]
path = "bank.csv"

[bureau.people]
path = "bureau.csv"
"""


def shortened(small: Path) -> Path:
    """The job with the shortest training: its messages go by a hub, and nobody looks at its model.

    18 each way, after 42 each way with folds and six evaluations. It may be run again: without the
    variance, which is told once.
    """
    long = "folds = 2\nevaluations = 6\nfold_evaluations = 1"
    text = (small / "job.toml").read_text()
    once = '"bureau.loans:variance", '
    assert long in text
    assert once in text
    text = text.replace(long, "folds = 0\nevaluations = 1").replace(once, "")
    (small / "job.toml").write_text(text)
    return small


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder with job.toml, tables.toml, bank.csv and bureau.csv."""
    return make_small(tmp_path)


def make_small(tmp_path: Path) -> Path:
    """The same, in a folder that is there."""
    rng = np.random.default_rng(5)
    n = 260
    ids = [f"id{i:05d}" for i in range(n)]
    hidden = rng.normal(size=(n, 4))
    balance, tenure = rng.normal(size=n), rng.normal(size=n)
    score = hidden @ [1.2, -0.8, 0.5, 0.0] + 0.5 * balance
    bank = pd.DataFrame(
        {
            "id": ids,
            "name": [f"planted name {i}, in quotes" for i in range(n)],
            "segment": rng.choice(["gold", "basic"], n),
            "balance": balance.round(4),
            "tenure": tenure.round(4),
            "churned": (rng.random(n) < 1 / (1 + np.exp(-score))).astype(int),
        }
    )
    order = rng.permutation(n)[:220]
    bureau = pd.DataFrame(hidden[order].round(4), columns=["loans", "overdue", "usage", "queries"])
    bureau.insert(0, "id_no", np.array(ids)[order])
    bank.to_csv(tmp_path / "bank.csv", index=False)
    bureau.to_csv(tmp_path / "bureau.csv", index=False)
    (tmp_path / "job.toml").write_text(JOB, encoding="utf-8")
    (tmp_path / "tables.toml").write_text(TABLES, encoding="utf-8")
    return tmp_path

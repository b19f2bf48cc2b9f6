"""The examples on public data, against the same model fitted centrally: the project's own bars."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from federated.tables.source import Source
from profiles.job import Job
from profiles.run import JobResult, run_job
from profiles.tables import open_tables
from psi.kernels.montgomery import best_path
from tests.every import EVERY_JOB

EXAMPLES = Path(__file__).parents[2] / "examples"
SECONDS = {"wide": 180.0, "vector": 450.0, "portable": 1800.0}
"""By the arithmetic that this CPU has: docs/LIMITATIONS.md."""
KEY_BITS = {"bank_marketing": 2048, "credit_default": 2048}
"""The floor, for those of many rows, to save time; the model does not depend on it."""
SLACK = 2  # the promise is for two free cores

pytestmark = [
    pytest.mark.slow,
    pytest.mark.data,
    pytest.mark.skipif(
        not os.environ.get("FEDPROFILE_DATA"),
        reason="needs the public data sets: see examples/README.md, then set FEDPROFILE_DATA",
    ),
]


def run(name: str, out: Path) -> tuple[JobResult, Source]:
    """One example with the central fit beside it, at its own key size or that of KEY_BITS."""
    job = Job.load(EXAMPLES / name / "job.toml")
    assert job.key_bits == 3072
    job = replace(job, key_bits=KEY_BITS.get(name, 3072))
    tables = open_tables(EXAMPLES / name / "tables.toml")
    started = time.monotonic()
    result = run_job(job, tables, out, baseline=True)
    assert time.monotonic() - started < SLACK * SECONDS[best_path()]
    return result, tables


def central_difference(
    result: JobResult, *, score: float = 1e-3, coefficient: float = 1e-3
) -> dict[str, float]:
    """What `--plaintext-baseline` found, after checking scores and coefficients."""
    metrics = json.loads((result.out / "metrics.json").read_text(encoding="utf-8"))
    (found,) = metrics["run"]["plaintext_baseline"]
    assert found["score_difference"] < score
    assert found["coefficient_difference"] < coefficient
    return dict(found)


NOISE = {"credit_default": (0.95, 0.6), "bank_marketing": (0.95, 0.3), "berka": (0.95, 0.4)}
"""The largest difference of a probability, of any row, and of a coefficient that noise leaves."""
FOLDS = {"credit_default": 0.01, "bank_marketing": 0.004, "berka": 0.15}
"""Central minus ours in one run. The promise, .002, is of the mean: six runs gave credit_default
.0009 (.0012), five bank_marketing .0000 (.0002); berka has 46 positives."""
DEALT = {"credit_default": 0.015, "bank_marketing": 0.01, "berka": 0.15}
"""How far an AUC may lie from the published one: folds are dealt anew in each run."""


def check_model(result: JobResult, name: str, auc: tuple[float, float]) -> None:
    """Scores, coefficients and fold AUC near the central model's; AUC as published, and better."""
    score, coefficient = NOISE[name]
    found = central_difference(result, score=score, coefficient=coefficient)
    assert abs(found["fold_auc_difference"]) < FOLDS[name]
    scores = {score.name: score.mean_auc for score in result.outputs.report.models[0].scores}
    alone, joined = scores[f"{result.federation.contract.receiver} alone"], scores["joined"]
    assert alone == pytest.approx(auc[0], abs=DEALT[name])
    assert joined == pytest.approx(auc[1], abs=DEALT[name])


def check_alignment(result: JobResult, tables: Source) -> None:
    """Each aligned row of a partner has the receiver's key: exactly the rows of a plain join."""
    contract = result.federation.contract
    own = contract.party(contract.receiver)
    for align in contract.align:
        other = contract.party(align.partner)
        left = _keys(tables, own.table, own.keys[0][0])
        right = _keys(tables, other.table, other.keys[0][0])
        mine = result.federation.outcome.alignments[align.partner].rows
        theirs = result.federation.outcomes[align.partner].alignments[own.name].rows
        assert (left[mine] == right[theirs]).all()
        assert len(mine) == np.isin(left, right).sum()


def _keys(tables: Source, table: str, column: str) -> np.ndarray:
    loaded = tables.load(table, [column], keys=[column])
    return np.array([str(key) for key in loaded.column(column).to_pylist()])


@pytest.mark.parametrize(
    ("name", "auc"),
    [
        pytest.param("credit_default", (0.657, 0.723), marks=EVERY_JOB),
        ("bank_marketing", (0.759, 0.766)),
        pytest.param("berka", (0.605, 0.863), marks=EVERY_JOB),
    ],
)
def test_vertical_examples(name: str, auc: tuple[float, float], tmp_path: Path) -> None:
    result, tables = run(name, tmp_path / "out")
    check_model(result, name, auc)
    check_alignment(result, tables)


def test_branches(tmp_path: Path) -> None:
    result, _ = run("branches", tmp_path / "out")
    metrics = json.loads((result.out / "metrics.json").read_text(encoding="utf-8"))
    (found,) = metrics["run"]["plaintext_baseline"]
    assert found["fold_auc_difference"] < 0.002  # central minus ours, on rows nobody trained on
    assert np.mean(metrics["fold_aucs"]) == pytest.approx(0.723, abs=0.01)
    (model,) = result.outputs.report.models
    assert [score.mean_auc for score in model.scores] == pytest.approx([0.73, 0.733], abs=0.01)

"""A training whose sums cannot be: the job goes on as any other, and each side tells its own."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest

from federated.ledger.lines import read_ledger
from federated.regression import party
from profiles.job import Job
from profiles.run import run_job
from tests.e2e.test_counted_job import CHURN, job, tables


def test_each_side_tells_its_own_officer_of_sums_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(party.Party, "_beyond", lambda *_: True)
    asked = job(CHURN | {"folds": 0, "fold_evaluations": 0, "evaluations": 1, "score_bits": 3})
    run_job(Job.load(asked), tables(), tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["run"]["trainings"]["churn"]["spoilt"] is True
    page = html.unescape((tmp_path / "report.html").read_text("utf-8"))
    assert "This model says nothing: do not use it." in page
    for name in ("bank", "bureau"):
        lines = [each["body"] for each in read_ledger(tmp_path / "parties" / name / "ledger.jsonl")]
        told = [line for line in lines if line.get("step") == "train churn"]
        assert told
        assert all(line["spoilt"] == 1 for line in told)

"""A column that no model takes in is told beside the measures, not in the report alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from federated.tables.encoding import Encoder
from federated.trees.binning import Binning
from profiles.job import Job
from profiles.model_metrics import model_metrics
from profiles.report.measured import Model
from profiles.run import run_job


def test_columns_that_are_in_no_model_are_in_the_metrics() -> None:
    rows = pa.table({"x": np.arange(90) / 7, "few": pa.array([1.0, 2.0] + [None] * 88)})
    for notes in (Encoder.fit(rows, ["x", "few"]).notes, Binning.fit(rows, ["x", "few"]).notes):
        model = Model(task="t", model="m", scores=(), rows=90, positives=45, notes=notes)
        (told,) = model_metrics(model)["dropped"]
        assert told.startswith("few: ")


def test_a_partners_column_that_no_model_takes_in_is_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    ids = [f"c{i}" for i in range(300)]
    z, a = rng.normal(size=(2, 300))
    label = (rng.random(300) < 1 / (1 + np.exp(-a))).astype(int)
    tables = {
        "bank.t": pa.table({"id": ids, "z": z, "y": label}),
        "bureau.t": pa.table({"id": ids, "a": a, "flat": np.ones(300)}),
    }
    job = Job.load(
        {
            "job": {"name": "j", "purpose": "p"},
            "party": [
                {"name": "bank", "table": "bank.t", "keys": [["id"]], "features": ["z"]},
                {
                    "name": "bureau",
                    "table": "bureau.t",
                    "keys": [["id"]],
                    "features": ["a", "flat"],
                },
            ],
            "train": {"task": "t", "label": "bank.y", "folds": 0, "evaluations": 2},
        }
    )
    found = run_job(job, tables, tmp_path / "out")
    told = found.outputs.metrics["models"]["t"]["dropped"]
    assert told == ["bureau: dropped, at least 1 of 2 columns; only their owner knows which"]
    assert told[0] in (tmp_path / "out" / "report.html").read_text("utf-8")

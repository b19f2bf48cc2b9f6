"""Trainings that keep the rows from a day on for a look at a later time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.contract.summary import in_words
from federated.contract.terms import Contract
from federated.evaluation import auc
from profiles.job import Job
from profiles.run import JobResult, run_job
from psi.protocol import JobError

ROWS, DAY = 600, "2025-10-01"
BANK = {"name": "bank", "table": "bank.t", "keys": [["id"]], "features": ["z"]}
BUREAU = {"name": "bureau", "table": "bureau.t", "keys": [["id"]], "features": ["a"]}
TELECOM = {"name": "telecom", "table": "telecom.t", "keys": [["id"]], "features": ["q"]}


def job(*partners: dict[str, Any], **train: Any) -> dict[str, Any]:
    asked = {"task": "churn", "label": "bank.y", "folds": 2}
    return {
        "job": {"name": "j", "purpose": "p", "key_bits": 2048},
        "party": [BANK, *partners],
        "align": {"minimum_overlap": 20},
        "train": [asked | {"time": "bank.on", "validate_from": DAY} | train],
    }


def tables() -> dict[str, pa.Table]:
    """What raises the outcome before the day lowers it in the two thirds of rows from then on; some
    rows have no label."""
    rng = np.random.default_rng(11)
    ids = [f"c{i}" for i in range(ROWS)]
    z, a, q = rng.normal(size=(3, ROWS))
    late = np.arange(ROWS) % 3 != 0
    y = (rng.random(ROWS) < 1 / (1 + np.exp(np.where(late, 2, -2) * (z + a)))).astype(float)
    y[::50] = np.nan
    days = np.where(late, DAY, "2025-09-30")
    written = [None if np.isnan(label) else day for label, day in zip(y, days, strict=True)]
    return {
        "bank.t": pa.table({"id": ids, "z": z, "y": y, "on": written}),
        "bureau.t": pa.table({"id": ids[:540], "a": a[:540]}),
        "telecom.t": pa.table({"id": ids, "q": q}),
    }


@pytest.fixture(scope="module", params=[(BUREAU,), (BUREAU, TELECOM)], ids=["one", "two"])
def done(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, JobResult]:
    out = tmp_path_factory.mktemp("later") / "out"
    noise = {"noise": 0} if len(request.param) == 1 else {}
    return out, run_job(Job.load(job(*request.param, **noise)), tables(), out)


def test_rows_from_the_day_on_are_measured_and_trained_on_by_nobody(
    done: tuple[Path, JobResult],
) -> None:
    out, result = done
    metrics = json.loads((out / "metrics.json").read_text())
    model = metrics["models"]["churn"]
    found = model["out_of_time"]
    label = np.array(tables()["bank.t"].column("y").to_numpy()[:540])
    late, known = np.arange(540) % 3 != 0, ~np.isnan(label)
    assert model["rows"] == int((known & ~late).sum())
    assert (found["time"], found["validate_from"]) == ("on", DAY)
    assert found["rows"] == int((known & late).sum())
    assert found["positives"] == int(label[known & late].sum())
    # the world turned on that day, and most rows are from then on: trained on, they would be right
    assert model["scores"]["joined"]["mean_auc"] > 0.8
    assert found["scores"]["joined"]["auc"] < 0.2
    assert found["scores"]["bank alone"]["auc"] < 0.4
    assert result.outputs.report.models[0].out_of_time is not None
    report = (out / "report.html").read_text()
    assert f"Out of time: on from {DAY} on" in report


def test_held_out_scores_say_which_are_out_of_time(done: tuple[Path, JobResult]) -> None:
    out, _ = done
    held = pq.read_table(out / "held_out.parquet").to_pandas()
    model = json.loads((out / "metrics.json").read_text())["models"]["churn"]
    later = held[held["out_of_time"]]
    assert later["fold"].isna().all()
    assert held[~held["out_of_time"]]["fold"].notna().all()
    assert len(held) == model["rows"] + model["out_of_time"]["rows"]
    assert set(later["entity"]) <= {f"c{i}" for i in range(540) if i % 3}
    for column, name in (("joined", "joined"), ("own", "bank alone")):
        again = auc(later["label"].to_numpy(np.int64), later[column].to_numpy())
        assert again == pytest.approx(model["out_of_time"]["scores"][name]["auc"], abs=1e-4)
    noted = pq.read_schema(out / "held_out.parquet").field("out_of_time").metadata
    assert noted


def test_the_contract_says_it_to_everybody(done: tuple[Path, JobResult]) -> None:
    contract: Contract = done[1].federation.contract
    (terms,) = contract.train
    assert (terms.time, terms.validate_from) == ("on", DAY)
    assert contract.party("bank").times == ("on",)
    said = "\n".join(in_words(contract))
    assert f"rows with on from {DAY} on are not trained on, and bank measures the model" in said
    told = [d.learns for d in contract.disclosures if d.to == "bureau"]
    assert any(f"have a label and are from before {DAY}, and their" in text for text in told)


def test_shared_rows_of_one_class_end_in_words_not_in_an_error(tmp_path: Path) -> None:
    """Which rows are shared is known after the contract only."""
    world = tables()
    label = world["bank.t"].column("y").to_numpy()
    late = (np.arange(ROWS) % 3 != 0) & (label == 0)
    world["bureau.t"] = world["bureau.t"].filter(pa.array(~late[:540]))
    run_job(Job.load(job(BUREAU, folds=0)), world, tmp_path / "out")
    model = json.loads((tmp_path / "out" / "metrics.json").read_text())["models"]["churn"]
    assert model["out_of_time"]["scores"] == {}
    assert model["out_of_time"]["rows"] == model["out_of_time"]["positives"] > 0
    assert "nothing can be measured on them" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ({"time": "on"}, r"time: 'on' found, \"bank.COLUMN\" allowed"),
        ({"time": "bureau.on"}, r"time: 'bureau.on' found"),
        ({"validate_from": "2025-13-01"}, "validate_from: '2025-13-01' found, a day in quotes"),
        ({"validate_from": "20251001"}, "validate_from: '20251001' found"),
    ],
)
def test_what_the_job_file_may_say(train: dict[str, str], said: str) -> None:
    with pytest.raises(JobError, match=said):
        Job.load(job(BUREAU, **train))


def test_one_key_without_the_other_and_rows_that_are_split_are_refused() -> None:
    for missing in ("time", "validate_from"):
        asked = job(BUREAU)
        del asked["train"][0][missing]
        with pytest.raises(JobError, match=f"{missing}: missing"):
            Job.load(asked)
    alike = [party | {"features": ["z"]} for party in (BANK, BUREAU)]
    split = job(BUREAU, split="horizontal", label="y") | {"party": alike}
    del split["align"]
    with pytest.raises(JobError, match="unknown key"):
        Job.load(split)

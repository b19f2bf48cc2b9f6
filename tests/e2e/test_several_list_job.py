"""Trainings of several partners that tell no score: counts, and who is on a list, also later."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.approval.policy import ONE_PROCESS
from federated.contract.kinds.counted import list_estimate
from federated.contract.release import planned
from federated.contract.summary import in_words
from federated.ledger.lines import read_ledger
from federated.rehearsal import rehearse
from federated.scoring.store import ModelStore
from federated.steps.byte_limits import step_limit
from federated.tables.source import MemorySource
from profiles.job import Job
from profiles.language.recognised import recognised
from profiles.proposal import nameless_draft
from profiles.run import JobResult, run_job
from profiles.score_job import job_text
from tests.e2e.ledgers import assert_agree
from tests.e2e.test_counted_job import CHURN, ROWS, job
from tests.e2e.test_counted_job import tables as two_tables
from tests.unit.test_kinds import Rates

TOP = 150
TELCO = {"name": "telco", "table": "telco.t", "keys": [["id"]], "features": ["b"]}
LIST: dict[str, Any] = {"product": "x", "task": "churn", "top": TOP, "tells": "list"}
LIST |= {"leave_out": "none"}
RULE = {"reason": "too low", "column": "z", "below": -1, "stage": "suppression"}
PARTNERS = ("bureau", "telco")


def tables() -> dict[str, pa.Table]:
    found, rng = two_tables(), np.random.default_rng(8)
    b = rng.normal(size=ROWS)
    z, a = found["bank.t"]["z"].to_numpy(), found["bureau.t"]["a"].to_numpy()
    left: Any = (rng.random(ROWS) < 1 / (1 + np.exp(0.5 - z - a - b))).astype(float)
    left[::50] = np.nan
    found["bank.t"] = found["bank.t"].drop_columns("left").append_column("left", pa.array(left))
    return found | {"telco.t": pa.table({"id": [f"c{i}" for i in range(ROWS)], "b": b})}


def total() -> np.ndarray:
    """About the joined model's score."""
    found = tables()
    parts = found["bank.t"]["z"], found["bureau.t"]["a"], found["telco.t"]["b"]
    return np.asarray(sum(part.to_numpy() for part in parts))


def asked(*targets: dict[str, Any], **train: Any) -> dict[str, Any]:
    found = job(CHURN | train, target=list(targets), exclude=[RULE])
    return found | {"party": [*found["party"], TELCO]}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, JobResult]:
    out = tmp_path_factory.mktemp("several") / "out"
    wanted = Job.load(asked(LIST))
    return out, run_job(wanted, tables(), out, models=out.parent / "models")


def check_list(out: Path) -> None:
    """It is of those with the highest joined scores, and of nobody whom a rule leaves out."""
    profiles = pq.read_table(out / "profiles.parquet")
    told = profiles["listed_churn"].to_pylist()
    z = tables()["bank.t"]["z"].to_numpy()
    assert np.array_equal([one is not None for one in told], z >= -1)
    there = np.array([one is True for one in told])
    assert TOP - 40 < there.sum() < TOP + 60
    best = np.argsort(-np.where(z >= -1, total(), -np.inf))[: there.sum()]
    assert there[best].mean() > 0.8  # of three evaluations; 94 of 100 in one run
    alone = np.argsort(-np.where(z >= -1, z, -np.inf))[: there.sum()]
    assert there[alone].mean() < 0.7
    assert pq.read_table(out / "targets.parquet").num_rows == min(TOP, there.sum())
    assert not [name for name in profiles.column_names if "joined" in name]


def test_the_parties_ledgers_agree(done: tuple[Path, JobResult]) -> None:
    assert_agree(done[0])


def test_the_list_is_of_those_with_the_highest_joined_scores(done: tuple[Path, JobResult]) -> None:
    check_list(done[0])
    (counted,) = done[1].federation.outcome.counted
    assert np.isnan(counted.trained.scores).all()
    assert counted.told is not None
    assert counted.told.scores is None


def test_metrics_come_from_counts_by_fold_and_class(done: tuple[Path, JobResult]) -> None:
    metrics = json.loads((done[0] / "metrics.json").read_text())
    model, found = metrics["models"]["churn"], metrics["run"]["trainings"]["churn"]
    assert len(found["counted"]["negatives"]) == 2
    # the joined columns' AUC is .84 (.01 by the rows); noise of 1 moves it by .02
    assert model["scores"]["joined"]["mean_auc"] == pytest.approx(0.84, abs=0.12)
    assert model["scores"]["joined"]["mean_auc"] > model["scores"]["bank alone"]["mean_auc"]
    assert found["list"]["row_bits"] == pytest.approx(1.7213, abs=1e-3)


def test_what_is_told_is_in_words_books_limits_and_ledgers(done: tuple[Path, JobResult]) -> None:
    out, result = done
    contract = result.federation.contract
    for name in PARTNERS:  # of a partner that others hide among: as much as of the last one
        (release,) = planned(contract, name)
        assert release.bits == pytest.approx(1.0 + 2 * 0.7213, abs=1e-3)
        assert not release.vectors
        lines = read_ledger(out / "parties" / name / "ledger.jsonl")
        assert [1 for line in lines if line["body"].get("line") == "train.spread"]
    assert all(recognised(one.learns, "learns") for one in contract.disclosures)
    words = "\n".join(in_words(contract))
    for said in (
        "bureau and telco tell no score of a record; telco adds noise of a standard deviation of 1",
        "bureau and telco see neither it nor whom it asks about",
        "bureau sends telco a part of each record's final score of 'churn' under pads that bank",
        "telco and bank who put together what they see read bureau's part of the final score",
    ):
        assert said in words
    learns = [entry.learns for entry in contract.disclosures if entry.line == "train.spread"]
    assert learns == [
        "how wide bank and telco's parts of the final scores lie together, to a factor of 1.4",
        "how wide bank and bureau's parts of the final scores lie, of each",
    ]
    assert step_limit(contract, "counted/churn/spread") > step_limit(contract, "counted/churn/open")
    for step in ("counts", "open", "told"):
        assert step_limit(contract, f"listed/churn/{step}") > 0
    page = html.unescape((out / "report.html").read_text("utf-8"))
    assert "Who is on the list" in page


def test_a_kept_model_tells_a_list_too(done: tuple[Path, JobResult], tmp_path: Path) -> None:
    out, models = tmp_path / "out", done[0].parent / "models"
    found = {key: value for key, value in asked(LIST).items() if key != "train"}
    name = ModelStore(models / "bank").find("churn").id
    wanted = found | {"score": [{"task": "churn", "model": name, "score_bits": 0}]}
    wanted |= {"target": [LIST | {"score_bits": 3}]}
    result = run_job(Job.load(wanted), tables(), out, models=models)
    check_list(out)
    assert_agree(out)
    contract = result.federation.contract
    for each in PARTNERS:
        assert [r.bits for r in planned(contract, each)] == pytest.approx([3.9893], abs=1e-3)
    profiles = pq.read_table(out / "profiles.parquet")
    there = np.array([one is True for one in profiles["listed_churn"].to_pylist()])
    score, z = profiles["score_churn"].to_numpy(), tables()["bank.t"]["z"].to_numpy()
    # of the listed the joined score, with an eighth of the partners' deviations for noise
    odds = np.log(score / (1 - score))
    assert np.corrcoef(odds[there], total()[there])[0, 1] > 0.7
    assert np.corrcoef(odds[~there], z[~there])[0, 1] > 0.999
    learns = [entry.learns for entry in contract.disclosures if entry.line == "score.list"]
    assert "bureau and telco's part of the score (their sum only), with noise of 2^-3" in learns[0]
    assert all(recognised(one.learns, "learns") for one in contract.disclosures)
    assert "telco and bank who put together" in "\n".join(in_words(contract))
    assert step_limit(contract, "listed/churn/spread") > step_limit(contract, "listed/churn/open")
    text = job_text(ModelStore(models / "bank").find("churn"), top=40)
    assert 'tells = "list"' in text


@pytest.mark.parametrize("me", ["bank", "bureau", "telco"])
def test_a_training_of_several_is_rehearsed(me: str) -> None:
    draft = nameless_draft(Job.load(asked(LIST | {"top": 40}, folds=0, fold_evaluations=0)))
    mine = MemorySource({f"{me}.t": tables()[f"{me}.t"]})
    found = rehearse(draft, me, mine, ONE_PROCESS, rows=200)
    assert found.ended == ""
    sent = {(m.step, m.message) for m in found.messages if m.way == "sent"}
    wanted = {"bank": "Span", "bureau": "Padded", "telco": "Spread"}[me]
    assert ("counted/churn/spread", wanted) in sent
    answers = ("listed/churn/told", "WideAnswers") in sent
    assert answers == (me == "telco")


def test_a_plan_counts_what_answers_take(done: tuple[Path, JobResult]) -> None:
    (terms,) = done[1].federation.contract.train
    rates, rows = Rates(), 100_000
    plain, scored = (
        list_estimate(rates, rows, replace(terms, listed_bits=bits)).wire for bits in (0, 3)
    )
    assert scored - plain == rows * 1024
    alone = list_estimate(rates, rows, replace(terms, partners=("bureau",))).wire
    assert 0 < plain - alone < rows * 64
    # measured: 767 bytes a row of 30,000
    assert plain / rows == pytest.approx(767, rel=0.2)

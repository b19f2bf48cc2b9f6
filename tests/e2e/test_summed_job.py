"""Numbers predicted and no row's score told: from the job file to sums, lists and report."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.contract.release import planned
from federated.contract.summary import in_words
from federated.scoring.card import card
from federated.scoring.store import ModelStore
from profiles.job import Job
from profiles.language.recognised import recognised
from profiles.run import JobResult, run_job
from psi.protocol import JobError
from tests.e2e.ledgers import assert_agree
from tests.e2e.test_counted_job import DAY, ROWS, job
from tests.e2e.test_counted_job import tables as two_tables

TOP = 120
MONEY = {"task": "money", "label": "bank.money", "model": "linear", "folds": 2, "score_bits": 0}
MONEY |= {"noise": 0, "evaluations": 3, "fold_evaluations": 1}
MONEY |= {"time": "bank.on", "validate_from": DAY}
VISITS = MONEY | {"task": "visits", "label": "bank.visits", "model": "poisson", "evaluations": 5}
LIST = {"product": "x", "task": "money", "top": TOP, "tells": "list", "leave_out": "none"}
SCORED = LIST | {"product": "y", "task": "visits", "score_bits": 4}


def tables() -> dict[str, pa.Table]:
    found, rng = two_tables(), np.random.default_rng(4)
    z, a = found["bank.t"]["z"].to_numpy(), found["bureau.t"]["a"].to_numpy()
    money = 5000 + 300 * (z + 1.5 * a + rng.normal(size=ROWS))
    visits = rng.poisson(np.exp(0.4 + 0.3 * z + 0.5 * a)).astype(float)
    money[::50] = np.nan
    bank = found["bank.t"].append_column("money", pa.array(money))
    return found | {"bank.t": bank.append_column("visits", pa.array(visits))}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, JobResult]:
    out = tmp_path_factory.mktemp("summed") / "out"
    asked = Job.load(job(MONEY, VISITS, target=[LIST, SCORED]))
    models = out.parent / "models"
    return out, run_job(asked, tables(), out, models=models, baseline=True)


def test_the_parties_ledgers_agree(done: tuple[Path, JobResult]) -> None:
    assert_agree(done[0])


@pytest.mark.parametrize(("task", "share"), [("money", 0.76), ("visits", 0.35)])
def test_what_is_explained_is_that_of_one_process(
    done: tuple[Path, JobResult], task: str, share: float
) -> None:
    metrics = json.loads((done[0] / "metrics.json").read_text())
    numbers, told = metrics["models"][task]["numbers"], metrics["run"]["trainings"][task]["summed"]
    # of two folds of 440 rows: .033 and .063
    assert 0.001 < told["explained_noise"] < 0.09
    near = 6 * told["explained_noise"] + 0.02
    assert told["row_bits"] == 0.0875
    assert numbers["joined"]["mean_explained"] == pytest.approx(share, abs=near)
    assert numbers["joined"]["mae"] is None
    if task == "money":
        assert numbers["joined"]["mean_explained"] > numbers["bank alone"]["mean_explained"]
        assert numbers["joined"]["rmse"] == pytest.approx(300, rel=0.5)
    (found,) = [one for one in metrics["run"]["plaintext_baseline"] if one["task"] == task]
    assert abs(found["fold_auc_difference"]) < near
    later = metrics["models"][task]["out_of_time"]["numbers"]["joined"]
    assert later["explained"] == pytest.approx(share, abs=2 * near)


def test_lists_are_of_the_highest_joined_predictions(done: tuple[Path, JobResult]) -> None:
    profiles, found = pq.read_table(done[0] / "profiles.parquet"), tables()
    z, a = found["bank.t"]["z"].to_numpy(), found["bureau.t"]["a"].to_numpy()
    for task, score in (("money", z + 1.5 * a), ("visits", 0.3 * z + 0.5 * a)):
        there = profiles[f"listed_{task}"].to_numpy(zero_copy_only=False).astype(bool)
        assert TOP - 40 < there.sum() < TOP + 60
        best = np.argsort(-score)[: there.sum()]
        assert there[best].mean() > 0.8  # .95 and .93
    visits = profiles["score_visits"].to_numpy()
    # of those on the list the joined score in the label's unit, of others the own one
    assert np.corrcoef(np.log(visits[there]), score[there])[0, 1] > 0.8
    assert abs(np.corrcoef(np.log(visits[~there]), z[~there])[0, 1]) > 0.999
    for one in done[1].federation.outcome.counted:
        assert np.isnan(one.trained.scores).all()


def test_what_was_told_is_in_contract_words_and_report(done: tuple[Path, JobResult]) -> None:
    out, result = done
    contract = result.federation.contract
    bits = [release.bits for release in planned(contract, "bureau")]
    # two sums, an answer without and with a score, and counts that a threshold is found by
    assert bits == pytest.approx([0.0875 + 1.7213, 0.0875 + 4.141 + 0.7213], abs=2e-3)
    learns = [entry.learns for entry in contract.disclosures if entry.line == "train.counts"]
    assert "NO number of any row: 2 sums over the shared records with money, by fold" in learns[0]
    assert "0.087 bits a record at most in the mean" in learns[0]
    words = "\n".join(in_words(contract))
    assert "what the final score leaves unexplained is told by sums over rows" in words
    assert "these sums tell 0.087 bits of a record at most in the mean" in words
    page = html.unescape((out / "report.html").read_text("utf-8"))
    assert "what it explains is known by sums over rows" in page
    notes = [note for one in result.outputs.report.models for note in one.notes]
    assert all(recognised(said, "learns") for said in learns)  # and so said in Chinese
    assert all(recognised(said, "note") for said in notes)


def test_a_kept_model_says_what_it_explained(done: tuple[Path, JobResult]) -> None:
    models = done[0].parent / "models"
    for task in ("money", "visits"):
        said = dict(card(ModelStore(models / "bank").find(task)))["quality"]
        assert said.startswith("explains 0.")
        assert said.endswith("rows held out, by sums over them with noise of 1")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"target": [LIST | {"tells": "scores"}]}, "whose rows have no score"),
        ({"target": [LIST | {"leave_out": "positive"}]}, '"labelled" or "none" allowed'),
        ({"train": [MONEY | {"score_bits": 5}]}, "of score_bits = 5"),
    ],
)
def test_what_numbers_cannot_do_is_refused_before_anything(more: dict[str, Any], said: str) -> None:
    with pytest.raises(JobError, match=said):
        Job.load(job(MONEY) | {"target": [LIST]} | more)

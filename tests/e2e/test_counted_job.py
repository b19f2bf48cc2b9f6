"""A training that tells no row's score: from the job file to counts, metrics and report."""

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

from federated.contract.release import planned
from federated.contract.summary import in_words
from federated.ledger.lines import read_ledger
from federated.scoring.card import card
from federated.scoring.store import ModelStore
from profiles.job import Job
from profiles.run import JobResult, run_job
from psi.protocol import JobError, PeerError
from tests.e2e.ledgers import assert_agree

ROWS, DAY = 1200, "2025-10-01"
BANK = {"name": "bank", "table": "bank.t", "keys": [["id"]], "features": ["z"]}
BUREAU = {"name": "bureau", "table": "bureau.t", "keys": [["id"]], "features": ["a"]}
CHURN = {"task": "churn", "label": "bank.left", "folds": 2, "score_bits": 0, "noise": 0}
CHURN |= {"evaluations": 3, "fold_evaluations": 1}


def job(*trains: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "job": {"name": "j", "purpose": "p", "key_bits": 2048},
        "party": [BANK, BUREAU],
        "align": {"minimum_overlap": 20},
        "train": list(trains),
        **more,
    }


def tables() -> dict[str, pa.Table]:
    rng = np.random.default_rng(21)
    ids = [f"c{i}" for i in range(ROWS)]
    z, a = rng.normal(size=(2, ROWS))
    chance = 1 / (1 + np.exp(0.5 - z - 1.5 * a))
    left: Any = (rng.random(ROWS) < chance).astype(float)
    left[::50] = np.nan
    days = np.where(np.arange(ROWS) % 4 == 0, DAY, "2025-09-30")
    return {
        "bank.t": pa.table({"id": ids, "z": z, "left": left, "on": days}),
        "bureau.t": pa.table({"id": ids, "a": a}),
    }


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, JobResult]:
    out = tmp_path_factory.mktemp("counted") / "out"
    asked = job(CHURN | {"time": "bank.on", "validate_from": DAY})
    models = out.parent / "models"
    return out, run_job(Job.load(asked), tables(), out, models=models, baseline=True)


def test_the_parties_ledgers_agree(done: tuple[Path, JobResult]) -> None:
    assert_agree(done[0])


def test_metrics_come_from_counts_by_fold_and_class(done: tuple[Path, JobResult]) -> None:
    metrics = json.loads((done[0] / "metrics.json").read_text())
    model, found = metrics["models"]["churn"], metrics["run"]["trainings"]["churn"]
    counted = found["counted"]
    assert counted["noise"] == 1
    assert found["score_bits"] == 0
    assert len(counted["negatives"]) == 2
    both = np.array([counted["negatives"], counted["positives"]])
    # noise of 1 on each of 2 × 64 counts: the sums are off by 11 and 16 (one deviation)
    assert abs(both[1].sum() - model["positives"]) < 70
    assert abs(both.sum() - model["rows"]) < 100
    # the joined columns' AUC is .85 (.01 by the rows), the own ones' .70; noise moves it by .02
    assert model["scores"]["joined"]["mean_auc"] == pytest.approx(0.85, abs=0.12)
    assert model["scores"]["joined"]["mean_auc"] > model["scores"]["bank alone"]["mean_auc"]
    assert len(model["scores"]["joined"]["fold_aucs"]) == 2
    assert 0.005 < counted["auc_noise"] < 0.05
    later = model["out_of_time"]
    assert later["scores"]["joined"]["auc"] > 0.7
    assert later["rows"] == np.isfinite(tables()["bank.t"]["left"].to_numpy()[::4]).sum()


def test_a_baseline_compares_the_model_of_all_rows_and_the_folds_auc(
    done: tuple[Path, JobResult],
) -> None:
    metrics = json.loads((done[0] / "metrics.json").read_text())
    (found,) = metrics["run"]["plaintext_baseline"]
    assert found["score_difference"] < 0.1  # three evaluations; of eight 3e-5
    assert found["fold_score_difference"] is None
    assert found["central_mean_auc"] == pytest.approx(0.85, abs=0.03)
    # noise moves the AUC by counts by .02
    assert abs(found["fold_auc_difference"]) < 0.12
    page = html.unescape((done[0] / "report.html").read_text("utf-8"))
    assert "compared with the same model fitted on all data in one process" in page


def test_no_row_has_a_score_anywhere(done: tuple[Path, JobResult]) -> None:
    out, result = done
    assert not (out / "held_out.parquet").exists()
    assert not [n for n in pq.read_schema(out / "profiles.parquet").names if "score" in n]
    (counted,) = result.federation.outcome.counted
    assert np.isnan(counted.trained.scores).all()
    assert result.federation.outcome.trained == []
    page = html.unescape((out / "report.html").read_text("utf-8"))
    assert "No row's score is known here" in page
    assert "counts of churn" in page


def test_what_was_told_is_in_contract_book_and_ledger(done: tuple[Path, JobResult]) -> None:
    out, result = done
    contract = result.federation.contract
    (release,) = planned(contract, "bureau")
    assert (release.vectors, release.rounded) == (0, True)
    assert release.bits == pytest.approx(0.7213, abs=1e-4)  # ½ log2(e), noise of 1
    learns = [entry.learns for entry in contract.disclosures if entry.line == "train.counts"]
    assert "NO number of any row" in learns[0]
    assert "0.72 bits a record" in learns[0]
    words = "\n".join(in_words(contract))
    assert "nobody sees a row's number at all" in words
    assert "tells no score of a record" in words
    lines = read_ledger(out / "parties" / "bureau" / "ledger.jsonl")
    told = [line["body"] for line in lines if line["body"].get("line") == "train.counts"]
    assert [line["score_bits"] for line in told] == [0]


def test_a_partner_signs_no_counts_of_records_that_repeat(done: tuple[Path, JobResult]) -> None:
    """A receiver that writes such a contract itself: a record of m rows would be a count of m."""
    contract = done[1].federation.contract
    contract.check()
    align = tuple(replace(one, duplicates="join") for one in contract.align)
    with pytest.raises(PeerError, match="a record has many"):
        replace(contract, align=align).check()


def test_a_model_that_was_counted_is_kept_and_scores_later(
    done: tuple[Path, JobResult], tmp_path: Path
) -> None:
    models = done[0].parent / "models"
    kept = ModelStore(models / "bank").find("churn")
    said = dict(card(kept))
    assert f"AUC {kept.card['auc']:.3f}" in said["quality"]
    rows = kept.card["held_out_rows"]
    assert said["quality"].endswith(f"{rows} rows held out, by counts of them with noise of 1")
    metrics = json.loads((done[0] / "metrics.json").read_text())["models"]["churn"]
    assert kept.card["auc"] == metrics["scores"]["joined"]["mean_auc"]
    for whose in (kept, ModelStore(models / "bureau").find("churn")):
        told = dict(card(whose))["told then"]
        assert told.startswith("0.72 bits of a row of bureau at most, and no score of any row")
    asked = {key: value for key, value in job().items() if key != "train"}
    asked |= {"score": [{"task": "churn", "model": kept.id, "score_bits": 8}]}
    found = run_job(Job.load(asked), tables(), tmp_path / "out", models=models).outputs.profiles
    assert found is not None
    left, score = tables()["bank.t"]["left"].to_numpy(), found["score_churn"].to_numpy()
    there = np.isfinite(left)
    assert score[there & (left == 1)].mean() > score[there & (left == 0)].mean() + 0.2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"target": [{"product": "x", "task": "churn", "top": 5}]}, "whose rows have no score"),
        ({"train": [CHURN | {"model": "scorecard"}]}, "1 to 12 for scorecard"),
    ],
)
def test_what_needs_scores_is_refused_before_anything(more: dict[str, Any], said: str) -> None:
    with pytest.raises(JobError, match=said) as found:
        Job.load(job(CHURN) | more)
    assert found.value.hint

"""Trainings whose label is a number: from the job file to report, lists and held-out rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.contract.summary import in_words
from federated.releases.label_bits import label_words
from federated.scoring.store import ModelStore
from profiles.job import Job
from profiles.run import JobResult, run_job
from psi.protocol import InputError, JobError, Refused
from tests.e2e.ledgers import assert_agree

ROWS, DAY = 600, "2025-10-01"
BANK = {"name": "bank", "table": "bank.t", "keys": [["id"]], "features": ["z"]}
BUREAU = {"name": "bureau", "table": "bureau.t", "keys": [["id"]], "features": ["a"]}


def job(*trains: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "job": {"name": "j", "purpose": "p", "key_bits": 2048},
        "party": [BANK, BUREAU],
        "align": {"minimum_overlap": 20},
        "train": list(trains),
        **more,
    }


AMOUNT = {"task": "amount", "model": "linear", "label": "bank.spent", "folds": 2}
CALLS = {"task": "calls", "model": "poisson", "label": "bank.calls", "folds": 2}


def tables() -> dict[str, pa.Table]:
    rng = np.random.default_rng(21)
    ids = [f"c{i}" for i in range(ROWS)]
    z, a = rng.normal(size=(2, ROWS))
    spent = 5e4 + 800 * z + 900 * a + rng.normal(0, 500, ROWS)
    spent[::50] = np.nan
    calls = rng.poisson(np.exp(0.3 + 0.4 * z + 0.5 * a)).astype(float)
    days = np.where(np.arange(ROWS) % 4 == 0, DAY, "2025-09-30")
    bank = {"id": ids, "z": z, "spent": spent, "calls": calls, "on": days}
    return {
        "bank.t": pa.table(bank),
        "bureau.t": pa.table({"id": ids[:540], "a": a[:540]}),
    }


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, JobResult]:
    out = tmp_path_factory.mktemp("numbers") / "out"
    amount = AMOUNT | {"time": "bank.on", "validate_from": DAY}
    targets = [{"product": "card", "task": "amount", "top": 5, "leave_out": "labelled"}]
    targets += [{"product": "line", "task": "calls", "top": 7, "leave_out": "none"}]
    asked = job(amount, CALLS, target=targets)
    return out, run_job(Job.load(asked), tables(), out, baseline=True, models=out.parent / "models")


def test_partners_columns_explain_more_of_a_number(done: tuple[Path, JobResult]) -> None:
    assert_agree(done[0])
    metrics = json.loads((done[0] / "metrics.json").read_text())
    for task, low, high in (("amount", 0.75, 0.9), ("calls", 0.25, 0.7)):
        found = metrics["models"][task]["numbers"]
        assert low < found["joined"]["mean_explained"] < high
        assert found["bank alone"]["mean_explained"] < found["joined"]["mean_explained"] - 0.1
        assert len(found["joined"]["fold_explained"]) == 2
        assert metrics["models"][task]["scores"] == {}
    assert 400 < metrics["models"]["amount"]["numbers"]["joined"]["rmse"] < 600
    assert metrics["models"]["amount"]["gain"]["mean"] > 0.1
    later = metrics["models"]["amount"]["out_of_time"]
    assert later["numbers"]["joined"]["explained"] > 0.7
    assert "numbers" not in (metrics["models"]["calls"]["out_of_time"] or {})


def test_it_is_the_fit_of_one_process(done: tuple[Path, JobResult]) -> None:
    checks = json.loads((done[0] / "metrics.json").read_text())["run"]["plaintext_baseline"]
    for check in checks:
        assert check["coefficient_difference"] < 0.02
        assert check["fold_auc_difference"] < 0.01


def test_held_out_rows_lists_and_report_show_the_number(done: tuple[Path, JobResult]) -> None:
    out, result = done
    held = pq.read_table(out / "held_out.parquet").to_pandas()
    amount = held[held["task"] == "amount"]
    assert amount["label"].between(4e4, 6e4).all()
    assert np.corrcoef(amount["label"], amount["joined"])[0, 1] > 0.85
    listed = result.outputs.targets
    assert listed is not None
    card = listed.filter(pa.compute.equal(listed["product"], "card"))
    assert set(card["entity"].to_pylist()) <= {f"c{i}" for i in range(0, ROWS, 50)}
    assert min(card["score"].to_pylist()) > 4e4
    text = (out / "report.html").read_text()
    assert "spent is a number: bits say where it lies" in text
    words = in_words(result.federation.contract)
    assert [w for w in words if "'calls' is a number" in w and "1 counts as all of it" in w]
    (amount, calls) = result.federation.outcome.labels
    assert (amount.number, calls.number) == (True, True)
    assert "it is told without noise" in "\n".join(label_words(amount))
    assert "linear regression" in text
    assert "Poisson regression" in text
    assert "Root mean squared error" in text
    assert "positive (" not in text


def test_a_kept_model_of_numbers_scores_in_their_unit(
    done: tuple[Path, JobResult], tmp_path: Path
) -> None:
    models = done[0].parent / "models"
    kept = {task: ModelStore(models / "bank").find(task) for task in ("amount", "calls")}
    assert 400 < kept["amount"].card["rmse"] < 600
    asked = {key: value for key, value in job().items() if key != "train"}
    scores = [{"task": task, "model": one.id, "score_bits": 12} for task, one in kept.items()]
    asked |= {"align": {"minimum_overlap": 1}, "score": scores}
    found = run_job(Job.load(asked), tables(), tmp_path / "out", models=models).outputs.profiles
    assert found is not None
    matched, bank = found.column("matched").to_numpy(), tables()["bank.t"]
    for task, column in (("amount", "spent"), ("calls", "calls")):
        answer, score = bank[column].to_numpy(), found.column(f"score_{task}").to_numpy()
        there = matched & ~np.isnan(answer)
        assert score[there].mean() == pytest.approx(answer[there].mean(), rel=0.05)
        assert np.corrcoef(score[there], answer[there])[0, 1] > 0.6


def test_the_contract_names_the_model(done: tuple[Path, JobResult]) -> None:
    said = "\n".join(in_words(done[1].federation.contract))
    assert "fit 'amount' by private sums, linear regression" in said
    assert "fit 'calls' by private sums, Poisson regression" in said


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        (job(CALLS | {"label": "bank.spent"}), InputError, "values are no counts, whole numbers"),
        (job(AMOUNT | {"label": "bank.id"}), InputError, "not numeric"),
        (job(AMOUNT | {"label": "bank.flat"}), Refused, "the same value in all rows"),
        (job(AMOUNT | {"positive": "yes"}), JobError, "positive"),
        (job(AMOUNT | {"model": "gamma"}), JobError, "logistic or linear or poisson or trees"),
        (
            job(AMOUNT, target=[{"product": "card", "leave_out": "positive"}]),
            JobError,
            "predicts a number",
        ),
        (
            job(AMOUNT | {"split": "horizontal", "label": "spent"}),
            JobError,
            "linear regression: for columns at different parties",
        ),
    ],
)
def test_what_no_number_can_be_is_refused_before_anything_is_told(
    asked: dict[str, Any], error: type[Exception], words: str, tmp_path: Path
) -> None:
    if asked["train"][0].get("split"):
        asked = {k: v for k, v in asked.items() if k != "align"}
        asked["party"] = [{k: v for k, v in p.items() if k != "keys"} for p in asked["party"]]
    world = tables()
    world["bank.t"] = world["bank.t"].append_column("flat", pa.array(np.ones(ROWS)))
    with pytest.raises(error) as found:
        run_job(Job.load(asked), world, tmp_path / "out")
    assert words in str(found.value) + str(getattr(found.value, "hint", ""))
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_weights_and_offsets_are_those_of_one_process(tmp_path: Path) -> None:
    """Both stay with the receiver; the baseline is scikit-learn's, with an offset Newton's."""
    world, rng = tables(), np.random.default_rng(4)
    bank = world["bank.t"].append_column("w", pa.array(rng.uniform(0.5, 4.0, ROWS)))
    months = rng.integers(1, 12, ROWS)
    left = np.asarray(bank["calls"].to_numpy() > 2).astype(int)
    bank = bank.append_column("log_months", pa.array(np.log(months)))
    bank = bank.append_column("left", pa.array(left))
    counts = rng.poisson(months * np.exp(-1 + 0.3 * bank["z"].to_numpy()))
    world["bank.t"] = bank.append_column("events", pa.array(counts))
    plain = {"task": "left", "label": "bank.left", "folds": 2, "evaluations": 14}
    left_by = plain | {"weight": "bank.w", "class_weight": "balanced"}
    events = CALLS | {"task": "events", "label": "bank.events", "offset": "bank.log_months"}
    result = run_job(Job.load(job(left_by, events)), world, tmp_path / "out", baseline=True)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    for check in metrics["run"]["plaintext_baseline"]:
        assert check["coefficient_difference"] < 0.02
        assert check["fold_auc_difference"] < 0.01
    rate = metrics["models"]["events"]["numbers"]
    assert rate["joined"]["mean_explained"] > 0.4  # the months explain most
    assert result.outputs.profiles is not None
    assert "log_months" not in result.outputs.profiles.column_names
    contract = result.federation.contract
    assert contract.party("bank").weights == ("w", "log_months")
    said = "\n".join(in_words(contract))
    assert "each row counts by bank's w; rows of both classes of left count alike" in said
    assert "bank's log_months is added to each row's score" in said
    told = [d.learns for d in contract.disclosures if d.to == "bureau"]
    assert any("row that counts most does, to a power of two" in text for text in told)


@pytest.mark.parametrize(
    ("train", "words"),
    [
        ({"weight": "bureau.a"}, '"bank.COLUMN"'),
        ({"weight": "bank.z"}, "have no weight in 'z', a number above 0 needed"),
        ({"offset": "bank.holes"}, "have no offset in 'holes', a number needed"),
        ({"class_weight": "heavy"}, "balanced"),
        ({"class_weight": 2000}, "balanced"),
        (AMOUNT | {"weight": "bank.calls"}, "no key with model"),
    ],
)
def test_weights_that_no_row_can_have_are_refused_before_anything_is_told(
    train: dict[str, Any], words: str, tmp_path: Path
) -> None:
    world = tables()
    bank = world["bank.t"].append_column("left", pa.array(np.arange(ROWS) % 2))
    holes = [None if row == 7 else 1.0 for row in range(ROWS)]
    world["bank.t"] = bank.append_column("holes", pa.array(holes))
    asked = {"task": "left", "label": "bank.left", "folds": 0} | train
    with pytest.raises((InputError, JobError)) as found:
        run_job(Job.load(job(asked)), world, tmp_path / "out")
    assert words in str(found.value)

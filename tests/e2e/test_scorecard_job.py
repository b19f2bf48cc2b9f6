"""Jobs that ask for a scorecard, whole and in memory: bins and regression in one contract."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression

from federated.binning import point_lines
from federated.contract.completion import complete
from federated.contract.disclosures import disclosures
from federated.contract.summary import in_words
from federated.evaluation import auc
from federated.scoring.store import ModelStore
from federated.steps.outcome import Carded
from profiles.job import Job
from profiles.proposal import nameless_draft
from profiles.run import JobResult, run_job
from psi.protocol import JobError, PeerError
from tests.e2e.ledgers import assert_agree

ROWS, SHARED = 1600, 1500
BANK = {"name": "bank", "table": "bank.t", "keys": [["id"]], "features": ["z", "c"]}
BUREAU = {"name": "bureau", "table": "bureau.t", "keys": [["id"]], "features": ["a", "b"]}
SECTION = {"label": "bank.y", "columns": ["bureau.a", "bureau.b", "bank.z", "bank.c"], "bins": 5}


def job(binning: Any = None, **train: Any) -> dict[str, Any]:
    asked = {"task": "bad", "label": "bank.y", "model": "scorecard", "folds": 3, "score_bits": 12}
    found = {
        "job": {"name": "j", "purpose": "p", "key_bits": 2048},
        "party": [BANK, BUREAU],
        "align": {"minimum_overlap": 20},
        "train": [asked | train],
    }
    return found | ({"binning": [binning]} if binning else {})


def tables() -> dict[str, pa.Table]:
    """The label hangs on |a|, of which a regression of a sees nothing."""
    rng = np.random.default_rng(3)
    ids = [f"c{i}" for i in range(ROWS)]
    z, a, b = rng.normal(size=(3, ROWS))
    c = rng.choice(["x", "y"], ROWS)
    y = (rng.random(ROWS) < 1 / (1 + np.exp(3 - 2 * np.abs(a) - z - (c == "x")))).astype(float)
    y[::50], b[::7] = np.nan, np.nan
    return {
        "bank.t": pa.table({"id": ids, "z": z, "c": c, "y": y}),
        "bureau.t": pa.table({"id": ids[:SHARED], "a": a[:SHARED], "b": b[:SHARED]}),
    }


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, JobResult]:
    out = tmp_path_factory.mktemp("card") / "out"
    kept = out.parent / "models"
    return out, run_job(Job.load(job(SECTION)), tables(), out, baseline=True, models=kept)


def test_points_are_those_of_the_regression_on_the_joined_evidence(
    done: tuple[Path, JobResult],
) -> None:
    """scikit-learn on the joined columns, with the partner's own noisy evidence, without a fold."""
    federation = done[1].federation
    (trained,), partner = federation.outcome.trained, federation.outcomes["bureau"]
    assert isinstance(trained, Carded)
    theirs = tables()["bureau.t"].take(pa.array(partner.rows))
    matrix = np.hstack([trained.own_matrix, partner.coded["bad"].transform(theirs)[0]])
    fitted = (trained.label >= 0) & (trained.folds < 0)
    fit = LogisticRegression(C=1.0, tol=1e-10).fit(matrix[fitted], trained.label[fitted])
    expected = 487.123 - 28.854 * fit.decision_function(matrix)
    points = trained.scale.of(trained.model.link(trained.scores))
    # noise of 2^-12 of the score's spread, and a regression on a grid: ours .6 at most
    assert np.abs(points - expected).max() < 4
    mine = trained.lines()
    weights: Any = partner.parts["bad"]
    other = point_lines(partner.coded["bad"], weights.coefficients.tolist(), trained.scale)
    total = np.full(len(points), trained.base)
    for encoder, lines, rows in (
        (trained.encoder, mine, tables()["bank.t"].take(pa.array(federation.outcome.rows))),
        (partner.coded["bad"], other, theirs),
    ):
        for column in encoder.columns:
            one = np.array([line["exact"] for line in lines if line["column"] == column.name])
            total += one[column.groups(rows)]
    assert np.abs(total - expected).max() < 4, "bins of both sides and the base add up"


def test_neither_bins_nor_fit_have_seen_what_measures_them(done: tuple[Path, JobResult]) -> None:
    out, result = done
    (trained,), (binned,) = result.federation.outcome.trained, result.federation.outcome.binned
    held = trained.folds >= 0
    assert 0 < held.sum() < len(held) / 2
    assert (binned.label[held] == -1).all()
    assert isinstance(trained, Carded)
    counted = sum(line["positives"] + line["negatives"] for line in trained.lines()[:5])
    assert counted == (trained.label[~held] >= 0).sum()
    metrics = json.loads((out / "metrics.json").read_text())
    found = metrics["models"]["bad"]["scores"]["joined"]["auc"]
    assert found == pytest.approx(auc(trained.label[held], trained.scores[held]), abs=1e-4)
    # a regression of a itself is blind to |a|: .72 by the bank's own columns, .86 joined
    assert found > metrics["models"]["bad"]["scores"]["bank alone"]["auc"] + 0.05


def test_tables_report_and_profiles_have_points(done: tuple[Path, JobResult]) -> None:
    out, result = done
    with (out / "scorecard.csv").open(encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    assert lines[0]["bin"] == "the average record"
    assert {line["column"] for line in lines[1:]} == {"z", "c"}
    html = (out / "report.html").read_text()
    assert "Scorecard: bad" in html
    assert "a" not in {line["column"] for line in lines}, "a partner's bins stay with it"
    profiles = pq.read_table(out / "profiles.parquet")
    points = profiles.column("points_bad").to_numpy()
    chance = profiles.column("score_bad").to_numpy()
    assert np.abs(points - (487.123 - 28.854 * np.log(chance / (1 - chance)))).max() <= 0.51
    reasons = [text for one in profiles.column("reasons_bad").to_pylist() for text in one]
    assert any(text.startswith(("z below", "z from")) for text in reasons)
    assert any(text.startswith("partner bureau") for text in reasons)
    metrics = json.loads((out / "metrics.json").read_text())["run"]
    assert metrics["trainings"]["bad"]["factor"] == 28.854
    (check,) = metrics["plaintext_baseline"]
    assert abs(check["fold_auc_difference"]) < 0.01
    assert "scorecard.csv" in result.outputs.files


def test_a_scoring_by_the_kept_card_has_its_points(done: tuple[Path, JobResult]) -> None:
    out, result = done
    kept = ModelStore(out.parent / "models" / "bank").find("bad")
    scoring = job()
    del scoring["train"]
    scoring["score"] = [{"task": "bad", "model": kept.id, "score_bits": 12}]
    again = run_job(Job.load(scoring), tables(), out.parent / "again", models=out.parent / "models")
    assert_agree(out)
    assert_agree(out.parent / "again")
    both = []
    for found in (result, again):
        assert found.profiles is not None
        both.append(found.profiles["points_bad"].to_numpy(np.float64, na_value=np.nan))
    shared = np.isfinite(both[1])
    assert shared.sum() == SHARED, "who is not shared has no points here"
    # noise of 2^-12 of the partner's spread in the training: rounded to points 1 at most
    assert np.abs(both[0] - both[1])[shared].max() <= 1
    shown = pq.read_table(out.parent / "again" / "profiles.parquet").schema.field("points_bad")
    assert b"by scorecard" in shown.metadata[b"description"]


def test_the_contract_says_it_to_both(done: tuple[Path, JobResult]) -> None:
    said = "\n".join(in_words(done[1].federation.contract))
    assert "one of 3 parts of the labelled records, by a key of bank's own, is held out" in said
    assert "600 at odds of 50 to 1 for the negative class and 20 more where they double" in said
    assert "records that a scorecard holds out count as without a label" in said
    assert "which shared records have a label and are not held out" in said
    assert "its weight of evidence; each number with noise of bank's" in said
    assert "validation fold" not in said


def test_without_a_section_every_column_is_binned_as_sections_are_by_default() -> None:
    found = Job.load(job())
    (spec,) = found.binnings
    assert (spec.partner, spec.columns, spec.own) == ("bureau", ("a", "b"), ("z", "c"))
    assert (spec.bins, spec.minimum_group, spec.epsilon, spec.monotone) == (10, 20, 1000, False)
    assert Job.load(job(SECTION)).binnings[0].bins == 5
    part = SECTION | {"columns": ["bureau.a"]}
    assert [b.columns for b in Job.load(job(part)).binnings] == [("a",), ("a", "b")]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"folds": 0}, "folds: '0' found, 2 to 20 for scorecards allowed"),
        ({"fold_evaluations": 2}, "fold_evaluations: '2' found, 0 for a scorecard"),
        ({"points": 0}, "points: 0 found, 1 to 100000"),
        ({"high": "good"}, "high: 'good' found"),
        ({"trees": 3}, "trees"),
        ({"model": "logistic", "points": 600}, "points"),
    ],
)
def test_what_a_scorecard_cannot_be_is_refused_in_the_job_file(asked: Any, said: str) -> None:
    with pytest.raises(JobError, match=said):
        Job.load(job(**asked))


@pytest.mark.parametrize(
    "change",
    [{"folds": 0}, {"points": 0}, {"double": 0}, {"high": "x"}, {"model": "logistic"}, {"odds": 0}],
)
def test_a_partner_refuses_terms_that_make_no_scorecard(change: dict[str, Any]) -> None:
    made = nameless_draft(Job.load(job()))
    parties = tuple(
        replace(p, rows=5000, design_columns=(2,), protocols=("ecdh",)) for p in made.parties
    )
    made = complete(replace(made, parties=parties))
    made = replace(made, disclosures=disclosures(made))
    made.check()
    with pytest.raises(PeerError):
        replace(made, train=(replace(made.train[0], **change),)).check()
    with pytest.raises(PeerError, match="without a binning of all its columns of bureau"):
        replace(made, binning=(replace(made.binning[0], columns=("a",)),)).check()

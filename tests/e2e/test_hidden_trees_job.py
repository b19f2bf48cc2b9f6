"""A job by trees that tell nothing, whole and in memory: what is measured, told and refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from federated.contract.completion import complete
from federated.contract.disclosures import disclosures
from federated.contract.kinds import train_hidden
from federated.contract.release import given, planned
from federated.contract.rows import FLOOR
from federated.contract.summary import in_words
from federated.contract.terms import Contract
from federated.hidden_trees import party
from federated.releases.row_bits import row_bits, row_words
from federated.steps.byte_limits import step_limit
from federated.steps.outcome import HiddenGrown
from profiles.job import Job
from profiles.language import language
from profiles.proposal import nameless_draft
from profiles.run import JobResult, run_job
from profiles.trees_outputs import coarse_scores
from psi.protocol import JobError, PeerError, Refused
from tests.e2e.ledgers import assert_agree
from tests.e2e.trees_world import BUREAU, TELECOM, tables_of, trees_job

ROWS, SHARED, BITS = 900, 840, 6


def job(*partners: dict[str, Any], **given: Any) -> dict[str, Any]:
    return trees_job(*partners, **{"tells": "nothing", "trees": 2, "score_bits": BITS} | given)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, JobResult]:
    """Of few rows, which take less time; such as a node refuses, for they do not bear the noise."""
    out = tmp_path_factory.mktemp("trees") / "out"
    with pytest.MonkeyPatch.context() as patch:
        for module in (train_hidden, party):
            patch.setattr(module, "FEWEST_ROWS", 600)
        return out, run_job(Job.load(job()), tables_of(ROWS, SHARED), out, baseline=True)


def test_the_parties_ledgers_agree(done: tuple[Path, JobResult]) -> None:
    assert_agree(done[0])


def test_the_joined_model_is_measured_on_rows_that_were_held_out(
    done: tuple[Path, JobResult],
) -> None:
    out, _ = done
    metrics = json.loads((out / "metrics.json").read_text())
    model, ended = metrics["models"]["churn"], metrics["run"]["trainings"]["churn"]
    held = pq.read_table(out / "held_out.parquet").to_pandas()
    assert len(held) == ended["held_out_rows"] < model["rows"]
    assert model["scores"]["joined"]["auc"] > model["scores"]["bank alone"]["auc"] + 0.05
    (check,) = metrics["run"]["plaintext_baseline"]
    # the same trees in one process, without noise of four rows on each sum of some hundred
    assert abs(check["fold_auc_difference"]) < 0.15
    assert ended["score_bits"] == BITS
    assert ended["partner_splits"] > 0
    reasons = pq.read_table(out / "profiles.parquet").column("reasons_churn").to_pylist()
    assert not any(reasons[:SHARED])
    assert all(reasons[SHARED:])
    page = (out / "report.html").read_text()
    assert "no side of a split, so there are no reasons and no importance" in page


def test_steps_that_hide_what_scores_differ_by_are_blamed(done: tuple[Path, JobResult]) -> None:
    contract = done[1].federation.contract
    (grown,) = done[1].federation.outcome.trained
    assert isinstance(grown, HiddenGrown)
    rng = np.random.default_rng(5)
    own = 0.5 * rng.normal(size=20_000)
    said, steps = {}, {}
    for bits in (2, 3, 4):
        told = own + rng.uniform(-0.5, 0.5, own.size) * 8 / 2**bits
        terms = replace(grown.terms, score_bits=bits)
        found = replace(grown, terms=terms, scores=grown.model.predict(told))
        said[bits] = coarse_scores(found)
        row = row_bits(replace(contract, train=(terms,)), "bureau")
        assert row is not None
        steps[bits] = row_words(row)[-1]
    (coarse,) = said[2]
    assert "of up to 1 log odds, where the trees' own scores differ by about 0.5" in coarse
    assert "in steps of 2 log odds" in steps[2]
    assert "of AUC" not in steps[4]
    assert "AUC 和名单次序都因此变差" in language("zh").told(said[3][0], "note")
    assert not said[4]


def test_the_contract_and_the_books_say_what_is_told(done: tuple[Path, JobResult]) -> None:
    contract: Contract = done[1].federation.contract
    said = "\n".join(in_words(contract))
    assert "tell no record's side of a split: 2 boosted trees of 2 levels" in said
    told = {d.to: d.learns for d in contract.disclosures if d.step == "train churn"}
    assert f"its score by all trees, once, in {BITS} bits" in told["bank"]
    assert "how many bins each of bank's columns has" in told["bureau"]
    (release,) = [r for r in planned(contract, "bureau") if r.step == "train/churn"]
    # 14 nodes' and leaves' sums of two times 13 bits, and who won 6 nodes: over 16,384 rows, the
    # fewest there can be
    assert BITS < release.bits < BITS + 0.1
    assert (release.vectors, release.columns) == (1, ("a", "b"))
    assert not release.rounded, "earlier jobs' records are compared with these"
    (label,) = [r for _, r in given(contract) if r.step == "train/churn"]
    assert label.label_bits == 1
    assert contract.suites.trees == "hidden-trees-v3"
    metrics = json.loads((done[0] / "metrics.json").read_text())
    # as they were 840 rows in that run: 9 bits a sum, .36 a row
    assert metrics["leakage"]["bureau"]["bits_of_a_row"] == pytest.approx(BITS + 0.36, abs=0.01)


def test_messages_are_within_half_of_what_a_step_may_bring(done: tuple[Path, JobResult]) -> None:
    federation = done[1].federation
    limit = step_limit(federation.contract, "train/churn") - FLOOR
    for records in federation.records.values():
        (found,) = [one for one in records if one.step == "train/churn"]
        assert 0 < found.sent < limit / 2


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"row_bits": 4}, "score_bits says how finely"),
        ({"early_stop": 2}, "say how many trees"),
        ({"rising": ["bank.z"]}, "let trees tell sides"),
        ({"score_bits": 0}, "1 to 12"),
        ({"tells": "sides", "score_bits": 5}, 'tells = "nothing" tells scores'),
        ({"tells": "all"}, "sides"),
        ({"model": "logistic"}, 'model = "trees" has it'),
    ],
)
def test_what_such_trees_do_not_have_is_refused_when_the_job_is_read(
    more: dict[str, Any], words: str
) -> None:
    asked = job(**more)
    if more.get("model"):
        asked["train"][0] = {k: asked["train"][0][k] for k in ("task", "label", "model", "tells")}
    with pytest.raises(JobError) as found:
        Job.load(asked)
    assert words in f"{found.value.message} {found.value.hint}"


def test_several_partners_repeated_records_and_no_own_column_are_refused() -> None:
    with pytest.raises(JobError, match="of one partner allowed"):
        Job.load(job(BUREAU, TELECOM))
    with pytest.raises(JobError, match="one of the receiver's needed"):
        Job.load(job(features=["bureau.a", "bureau.b"]))
    other = job()
    other["train"].append(other["train"][0] | {"task": "other", "features": ["bank.z", "bureau.a"]})
    del other["train"][1]["tells"], other["train"][1]["score_bits"]
    with pytest.raises(JobError, match="trees of one kind"):
        Job.load(other)


def stated(asked: dict[str, Any], rows: int) -> Contract:
    draft = nameless_draft(Job.load(asked))
    parties = [replace(p, rows=rows, design_columns=(2,)) for p in draft.parties]
    made = complete(replace(draft, parties=tuple(parties)))
    return replace(made, disclosures=disclosures(made))


def test_too_few_and_too_many_rows_are_refused_before_a_contract() -> None:
    with pytest.raises(Refused, match="16,000 rows can be shared, trees that tell nothing need"):
        stated(job(), 16_000)
    with pytest.raises(Refused, match="262,144 allowed for trees that tell nothing"):
        stated(job(), 300_000)


def test_a_contract_with_other_terms_is_signed_by_nobody() -> None:
    made = stated(job(), 20_000)
    made.check()
    (terms,) = made.train
    for wrong in (
        {"row_bits": 3},
        {"score_bits": 13},
        {"early_stop": 2},
        {"rising": ("z",)},
        {"folds": 0},
        {"trees": 301},
        {"noise": "1"},
    ):
        with pytest.raises(PeerError):
            replace(made, train=(replace(terms, **wrong),)).check()

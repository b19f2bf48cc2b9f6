"""A training that tells who is on a list, and no row's score: from the job file to the list."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from federated.contract.release import planned
from federated.contract.summary import in_words
from federated.ledger.lines import read_ledger
from federated.steps.byte_limits import step_limit
from profiles.job import Job
from profiles.run import JobResult, run_job
from psi.protocol import JobError, PeerError
from tests.e2e.ledgers import assert_agree
from tests.e2e.test_counted_job import CHURN, ROWS, job, tables

TOP = 150
LIST: dict[str, Any] = {
    "product": "x",
    "task": "churn",
    "top": TOP,
    "tells": "list",
    "leave_out": "none",
}
GONE = {"product": "y", "task": "gone", "top": 100, "score_bits": 3}
ASKED: dict[str, Any] = {
    "target": [LIST, LIST | GONE],
    "campaign": {"name": "spring", "control": 0.1},
    "exclude": [{"reason": "too low", "column": "z", "below": -1, "stage": "suppression"}],
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, JobResult]:
    out = tmp_path_factory.mktemp("told") / "out"
    whole = CHURN | {"folds": 0, "fold_evaluations": 0}
    asked = Job.load(job(whole, whole | {"task": "gone", "label": "bank.gone"}, **ASKED))
    found = tables()
    z, a = found["bank.t"]["z"].to_numpy(), found["bureau.t"]["a"].to_numpy()
    gone = np.random.default_rng(8).random(ROWS) < 1 / (1 + np.exp(1 + z - 2 * a))
    found["bank.t"] = found["bank.t"].append_column("gone", pa.array(gone.astype(float)))
    return out, run_job(asked, found, out, campaigns=str(out.parent / "campaigns"))


def campaign_of(out: Path, product: str) -> list[str]:
    """Whom the list leaves out for the control group's sake."""
    table = pq.read_table(out / "campaign.parquet")
    held = table.filter((pc.field("arm") == "control") & (pc.field("product") == product))
    return [str(name) for name in held["entity"].to_pylist()]


def test_the_parties_ledgers_agree(done: tuple[Path, JobResult]) -> None:
    assert_agree(done[0])


def test_the_list_is_of_those_with_the_highest_joined_scores(done: tuple[Path, JobResult]) -> None:
    out, result = done
    z, a = tables()["bank.t"]["z"].to_numpy(), tables()["bureau.t"]["a"].to_numpy()
    profiles, targets = (
        pq.read_table(out / "profiles.parquet"),
        pq.read_table(out / "targets.parquet"),
    )
    listed = profiles["listed_churn"].to_numpy(zero_copy_only=False)
    asked = np.array([one is not None for one in listed])
    assert np.array_equal(asked, z >= -1)  # nothing is asked of whom a rule leaves out
    there = np.array([one is True for one in listed])
    # the joined model's score is z + 1.5 a, about: of the listed 96 of 100 are among the highest
    score = np.where(asked, z + 1.5 * a, -np.inf)
    best = np.argsort(-score)[: there.sum()]
    assert there[best].mean() > 0.8
    alone = np.argsort(-np.where(asked, z, -np.inf))[: there.sum()]
    assert there[alone].mean() < 0.6
    # 167 were wanted, a tenth of them to be held back; counts under noise of 1 are off by 5
    assert 167 - 40 < there.sum() < 167 + 60
    targets = targets.filter(pc.field("product") == "x")
    held = campaign_of(out, "x")
    names = {*targets["entity"].to_pylist(), *held}
    every = {str(name) for name in profiles["entity"].filter(there).to_pylist()}
    assert names <= every
    assert len(every - names) == max(0, len(every) - len(held) - TOP)
    assert targets.num_rows == min(TOP, len(every) - len(held))
    # in the order of own scores, which are what the receiver knows
    rank = targets["score"].to_numpy()
    assert (np.diff(rank) <= 0).all()
    assert result.metrics["targets"]["x"] == targets.num_rows


def test_of_those_on_the_list_alone_the_joined_score_is_known(done: tuple[Path, JobResult]) -> None:
    out, result = done
    profiles = pq.read_table(out / "profiles.parquet")
    z, a = tables()["bank.t"]["z"].to_numpy(), tables()["bureau.t"]["a"].to_numpy()
    there = profiles["listed_gone"].fill_null(False).to_numpy(zero_copy_only=False)
    score = profiles["score_gone"].to_numpy()
    odds = np.log(score / (1 - score))
    # the part that the partner adds, with noise of an eighth of it, and of all others nothing
    assert np.corrcoef(odds[there], (2 * a - z)[there])[0, 1] > 0.8
    assert abs(np.corrcoef(odds[~there], z[~there])[0, 1]) > 0.999
    best = np.argsort(-np.where(z >= -1, 2 * a - z, -np.inf))[: there.sum()]
    assert there[best].mean() > 0.8
    targets = pq.read_table(out / "targets.parquet").filter(pc.field("product") == "y")
    rank = targets["score"].to_numpy()
    assert (np.diff(rank) <= 0).all()
    assert set(targets["entity"].to_pylist()) <= set(profiles["entity"].filter(there).to_pylist())
    told = result.federation.outcome.counted[1].told
    assert told is not None
    assert told.scores is not None
    assert np.array_equal(np.isfinite(told.scores), told.listed)
    contract = result.federation.contract
    (_, learns) = [e.learns for e in contract.disclosures if e.line == "train.list"]
    assert "noise of 2^-3 of its standard deviation" in learns
    words = "\n".join(in_words(contract))
    assert "with a score of 3 bits of these alone" in words
    assert "3.3 bits (at a low one the score of every record)" in words
    page = html.unescape((out / "report.html").read_text("utf-8"))
    assert "the joined model's, with noise" in page
    assert "Their order and scores, marked *, are by bank's own columns alone." in page
    assert "They are ranked by the joined score for gone, with noise" in page
    assert "as partners told: by bank's own columns their score for churn is" in page
    assert "with a score for churn, of bank's own columns: no joined one is told" in page
    assert "*</td>" in page[: page.index("<h3>y</h3>")]
    assert "*</td>" not in page[page.index("<h3>y</h3>") :]
    notes = (out / "dictionary.csv").read_text("utf-8-sig")
    assert (
        "probability of the task; of x by bank's own columns; of y by the joined model, with noise"
        in notes
    )
    assert "scores are own ones" not in notes


def test_what_was_told_is_in_words_numbers_book_and_ledger(done: tuple[Path, JobResult]) -> None:
    out, result = done
    contract, metrics = result.federation.contract, json.loads((out / "metrics.json").read_text())
    # counts by class, an answer, and counts that the threshold is found by: noise of 1 for both
    bits = [release.bits for release in planned(contract, "bureau")]
    assert bits == pytest.approx([0.7213 + 1.0 + 0.7213, 0.7213 + 3.268 + 0.7213], abs=1e-3)
    (learns, _) = [entry.learns for entry in contract.disclosures if entry.line == "train.list"]
    assert "ONE BIT" in learns
    assert "for a list of 167" in learns
    assert "1.7 bits a record" in learns
    words = "\n".join(in_words(contract))
    assert "one bit a row says who is on a list" in words
    assert "sees neither it nor whom it asks about" in words
    lines = read_ledger(out / "parties" / "bureau" / "ledger.jsonl")
    assert [line["body"]["line"] for line in lines if line["body"].get("line") == "train.list"]
    found = metrics["run"]["trainings"]["churn"]["list"]
    assert found["row_bits"] == pytest.approx(1.7213, abs=1e-3)
    assert found["asked"] == int((tables()["bank.t"]["z"].to_numpy() >= -1).sum())
    left = metrics["left_out"]["x"]["rank"]
    assert left["below the list's threshold, or not shared"] > 0
    page = html.unescape((out / "report.html").read_text("utf-8"))
    assert f"{found['told']:,} of the {found['asked']:,} rows" in page
    assert "held_out.parquet" not in {path.name for path in out.iterdir()}
    for counted in result.federation.outcome.counted:
        assert np.isnan(counted.trained.scores).all()


def test_no_step_takes_more_than_its_terms_need(done: tuple[Path, JobResult]) -> None:
    contract = done[1].federation.contract
    for step in ("counts", "open", "told"):
        most = step_limit(contract, f"listed/churn/{step}")
        assert ROWS * 44 < most < (16 << 20) + ROWS * 2000
    assert step_limit(contract, "listed/gone/told") > step_limit(contract, "listed/churn/told")
    none = replace(contract, train=(replace(contract.train[0], listed=0),))
    assert step_limit(none, "listed/churn/told") == 0


def test_a_contract_with_a_list_beside_scores_or_of_one_partner_twice_is_no_contract(
    done: tuple[Path, JobResult],
) -> None:
    contract = done[1].federation.contract
    terms, scored = contract.train
    for wrong in (
        replace(terms, score_bits=5),
        replace(terms, partners=("bureau", "bureau")),
        replace(scored, listed=0),
        replace(scored, listed_bits=9),
    ):
        with pytest.raises(PeerError, match=r"a bit a record|partner twice|of a list|on a list"):
            replace(contract, train=(wrong, contract.train[wrong.task == "churn"])).check()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"train": [CHURN | {"score_bits": 5}]}, "of score_bits = 5"),
        (
            {"target": [LIST, LIST | {"product": "y", "tells": "scores"}]},
            "whose rows have no score|another list",
        ),
        ({"target": [LIST, LIST | {"product": "y"}]}, "another list ranks"),
        ({"target": [LIST | {"tells": "names"}]}, "scores or list"),
        ({"target": [LIST | {"tells": "scores", "score_bits": 2}]}, "none allowed without tells"),
        (
            {
                "target": [LIST | {"choose": "value"}],
                "offer": [{"name": "o", "channel": "call", "value": 2}],
            },
            "rule allowed with tells",
        ),
        (
            {"align": {"minimum_overlap": 20, "duplicates": "join"}},
            "score_bits: 0 found with .* 'join'",
        ),
    ],
)
def test_what_a_bit_a_row_cannot_do_is_refused_before_anything(
    more: dict[str, Any], said: str
) -> None:
    with pytest.raises(JobError, match=said):
        Job.load(job(CHURN) | {"target": [LIST]} | more)

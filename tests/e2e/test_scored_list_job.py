"""Who is on a list by a model that was trained before: one bit a row, and no score."""

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
from federated.contract.release import planned
from federated.contract.summary import in_words
from federated.counted import spread, wide_of
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
from psi.protocol import JobError, PeerError
from tests.e2e.ledgers import assert_agree
from tests.e2e.test_counted_job import CHURN, job
from tests.e2e.test_summed_job import MONEY, tables

TOP = 150
LIST: dict[str, Any] = {"product": "x", "task": "churn", "top": TOP, "tells": "list"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scored-list")
    whole = {"folds": 0, "fold_evaluations": 0}
    number = {key: value for key, value in MONEY.items() if key not in ("time", "validate_from")}
    asked = Job.load(job(CHURN | whole, number | whole))
    run_job(asked, tables(), out / "trained", models=out / "models")
    return out / "models"


def scoring(models: Path, *targets: dict[str, Any], **more: Any) -> dict[str, Any]:
    found = {key: value for key, value in job().items() if key != "train"}
    tasks = dict.fromkeys(target["task"] for target in targets) or {"churn": None}
    ids = {task: ModelStore(models / "bank").find(task).id for task in tasks}
    scores = [{"task": task, "model": name, "score_bits": 0} for task, name in ids.items()]
    return found | {"score": scores, "target": list(targets)} | more


@pytest.fixture(scope="module")
def done(models: Path) -> tuple[Path, JobResult]:
    second = LIST | {"product": "y", "task": "money", "score_bits": 3}
    rule = {"reason": "too low", "column": "z", "below": -1, "stage": "suppression"}
    asked = Job.load(scoring(models, LIST, second, exclude=[rule]))
    return models.parent / "out", run_job(asked, tables(), models.parent / "out", models=models)


def test_the_parties_ledgers_agree(done: tuple[Path, JobResult]) -> None:
    assert_agree(done[0])


def test_the_list_is_of_those_with_the_highest_joined_scores(done: tuple[Path, JobResult]) -> None:
    profiles, found = pq.read_table(done[0] / "profiles.parquet"), tables()
    z, a = found["bank.t"]["z"].to_numpy(), found["bureau.t"]["a"].to_numpy()
    told = profiles["listed_churn"].to_pylist()
    assert np.array_equal([one is not None for one in told], z >= -1)
    there = np.array([one is True for one in told])
    assert TOP - 40 < there.sum() < TOP + 60
    best = np.argsort(-np.where(z >= -1, z + 1.5 * a, -np.inf))[: there.sum()]
    assert there[best].mean() > 0.8
    # without a score of any row: what is shown is of own columns
    score = profiles["score_churn"].to_numpy()
    assert np.corrcoef(np.log(score / (1 - score)), z)[0, 1] > 0.999
    targets = pq.read_table(done[0] / "targets.parquet")
    listed = targets.filter(np.array(targets["product"].to_pylist()) == "x")
    assert listed.num_rows == min(TOP, there.sum())


def test_of_those_on_the_list_the_score_is_in_the_label_s_unit(
    done: tuple[Path, JobResult],
) -> None:
    profiles, found = pq.read_table(done[0] / "profiles.parquet"), tables()
    z, a = found["bank.t"]["z"].to_numpy(), found["bureau.t"]["a"].to_numpy()
    there = profiles["listed_money"].fill_null(False).to_numpy(zero_copy_only=False)
    score, money = profiles["score_money"].to_numpy(), 5000 + 300 * (z + 1.5 * a)
    off = score - money
    # noise of an eighth of the partner's 450, and a fit of three evaluations
    assert np.abs(off[there].mean()) < 40
    assert np.std(off[there]) < 100
    assert np.abs(score[~there] - (5000 + 300 * z)[~there]).max() < 80


def test_what_was_told_is_in_words_numbers_book_and_ledger(done: tuple[Path, JobResult]) -> None:
    out, result = done
    contract, metrics = result.federation.contract, json.loads((out / "metrics.json").read_text())
    bits = [release.bits for release in planned(contract, "bureau")]
    assert bits == pytest.approx([1.0 + 0.7213, 3.268 + 0.7213], abs=1e-3)
    learns = [entry.learns for entry in contract.disclosures if entry.line == "score.list"]
    assert "ONE BIT" in learns[0]
    assert "for a list of 150" in learns[0]
    assert "noise of 2^-3" in learns[1]
    assert all(recognised(one.learns, "learns") for one in contract.disclosures)
    words = "\n".join(in_words(contract))
    assert "one bit a row says who is on a list of 150" in words
    assert "sees neither it nor whom it asks about" in words
    lines = read_ledger(out / "parties" / "bureau" / "ledger.jsonl")
    assert [line["body"]["listed"] for line in lines if line["body"].get("line") == "score.list"]
    found = metrics["scored"]["churn"]
    assert found["mean"] is None
    assert found["list"]["row_bits"] == pytest.approx(1.7213, abs=1e-3)
    page = html.unescape((out / "report.html").read_text("utf-8"))
    assert "Who is on the list of churn was told by model" in page
    for step in ("spread", "counts", "open", "told"):
        assert step_limit(contract, f"listed/churn/{step}") > 1 << 19
    assert step_limit(contract, "score/churn") == 0


def test_noise_of_scores_is_as_wide_as_the_training_s_rows(done: tuple[Path, JobResult]) -> None:
    """Rows that the receiver has aligned for being alike have no finer scores for it."""
    from federated.counted import ScoreGrid, codes_of, scores_of

    alike, grid = np.full(500, 0.3), ScoreGrid(-6, 1, 5)
    for least, near in ((0.0, 2.0**-10), (2.0, 0.5)):  # noise of one code at least
        codes = codes_of(alike, grid, 2, b"n" * 32, least)
        found = scores_of((codes << 1 | 1).astype(np.uint16), grid)
        assert np.std(found) == pytest.approx(near, rel=0.3)
    del done


def test_how_scores_are_cut_says_nothing_of_the_rows_that_are_aligned(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver knows that all are alike but one, of whom it read 3.5 bits in no book."""
    told: list[int] = []

    def watched(deviation: float) -> int:
        told.append(wide_of(deviation))
        return told[-1]

    monkeypatch.setattr(spread, "wide_of", watched)
    whole, rows = tables(), 40
    own = np.zeros(rows)
    own[7] = 40.0
    few = pa.table({"id": [f"c{row}" for row in range(rows)], "a": own})
    run_job(
        Job.load(scoring(models, LIST | {"top": 20})),
        {"bank.t": whole["bank.t"].slice(0, rows), "bureau.t": few},
        tmp_path / "out",
        models=models,
    )
    assert told == [wide_of(ModelStore(models / "bureau").find("churn").of_part.deviation)]


def test_a_contract_of_a_list_beside_scores_or_of_several_is_none(
    done: tuple[Path, JobResult],
) -> None:
    contract = done[1].federation.contract
    terms, other = contract.score
    for wrong in (
        replace(terms, score_bits=5),
        replace(terms, listed=0),
        replace(terms, listed_bits=9),
        replace(terms, partners=("bureau", "other")),
    ):
        with pytest.raises(PeerError, match=r"who is on a list|score_bits|several|does not list"):
            replace(contract, score=(wrong, other)).check()


@pytest.mark.parametrize(
    ("targets", "more", "said"),
    [
        ([], {}, "found without a list of 'churn'"),
        ([LIST | {"tells": "scores"}], {}, "whose rows have no score"),
        ([LIST, LIST | {"product": "y"}], {}, "another list ranks"),
    ],
)
def test_what_a_bit_a_row_cannot_do_is_refused_before_anything(
    models: Path, targets: list[dict[str, Any]], more: dict[str, Any], said: str
) -> None:
    with pytest.raises(JobError, match=said) as found:
        Job.load(scoring(models, *targets) | more)
    assert found.value.hint


@pytest.mark.parametrize("me", ["bank", "bureau"])
def test_a_list_by_a_model_is_rehearsed(models: Path, me: str) -> None:
    draft = nameless_draft(Job.load(scoring(models, LIST | {"top": 40})))
    mine = MemorySource({f"{me}.t": tables()[f"{me}.t"]})
    found = rehearse(draft, me, mine, ONE_PROCESS, rows=200, models=models / me)
    assert found.ended == ""
    sent = {(m.step, m.message) for m in found.messages if m.way == "sent"}
    told = ("listed/churn/told", "Questions" if me == "bank" else "Answered")
    assert told in sent
    assert ("listed/churn/spread", "Stride" if me == "bank" else "Spread") in sent


def test_a_job_file_of_a_model_asks_for_a_list(models: Path, tmp_path: Path) -> None:
    part = ModelStore(models / "bank").find("churn")
    (tmp_path / "job.toml").write_text(job_text(part, top=40), "utf-8")
    asked = Job.load(tmp_path / "job.toml")
    assert [(one.top, one.tells) for one in asked.targets] == [(40, "list")]
    assert asked.scores[0].score_bits == 0

"""Boosted trees with two partners, whole and in memory: told, kept, scored, rehearsed."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.approval.policy import ONE_PROCESS
from federated.contract.completion import complete
from federated.contract.disclosures import disclosures
from federated.contract.release import planned
from federated.contract.rows import FLOOR
from federated.contract.summary import in_words
from federated.contract.terms import Contract
from federated.rehearsal import rehearse
from federated.scoring.card import importance, numbers
from federated.scoring.store import ModelStore
from federated.steps.byte_limits import step_limit
from federated.tables.source import MemorySource
from profiles.job import Job
from profiles.language.recognised import recognised
from profiles.proposal import nameless_draft
from profiles.run import JobResult, run_job
from profiles.score_job import job_text
from profiles.trees_outputs import trees_notes
from psi.protocol import MisuseError, PeerError, Refused
from tests.e2e.ledgers import assert_agree
from tests.e2e.trees_world import BUREAU, TELECOM, tables_of, trees_job

ROWS, SHARED, BITS = 700, 640, 3
PARTNERS = ("bureau", "telecom")


def job(**given: Any) -> dict[str, Any]:
    grown = {"trees": 4, "row_bits": BITS, "rising": ["bank.z", "telecom.q"]}
    return trees_job(BUREAU, TELECOM, **(grown | given))


def tables() -> dict[str, pa.Table]:
    """Half of those who have a label of 0 and a high q at the telecom have one of 1."""
    rng, found = np.random.default_rng(4), tables_of(ROWS, SHARED)
    q = rng.normal(size=ROWS)
    y = found["bank.t"]["y"].to_numpy(zero_copy_only=False).copy()
    y[(y == 0) & (q > 0) & (rng.random(ROWS) < 0.7)] = 1
    found["bank.t"] = found["bank.t"].drop_columns("y").append_column("y", pa.array(y))
    ids = found["bank.t"]["id"]
    found["telecom.t"] = pa.table({"id": ids, "q": q}).slice(20)
    return found


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, JobResult]:
    folder = tmp_path_factory.mktemp("three")
    models = folder / "models"
    return folder, run_job(Job.load(job()), tables(), folder / "out", baseline=True, models=models)


def test_each_partner_tells_its_bits_and_its_part_is_shown(done: tuple[Path, JobResult]) -> None:
    folder, result = done
    assert_agree(folder / "out")
    metrics = json.loads((folder / "out" / "metrics.json").read_text())
    ended, model = metrics["run"]["trainings"]["churn"], metrics["models"]["churn"]
    trained: Any = result.federation.outcome.trained[0]
    for number, name in enumerate(PARTNERS):
        said = ended["by_partner"][name]
        won = result.federation.outcomes[name].won["churn"]
        trained.saved().fits(won, number)
        assert len(won.splits) == said["splits"] > 0
        assert 0 < said["row_bits_told"] <= said["row_bits"] == BITS
        assert metrics["leakage"][name]["bits_of_a_row"] == BITS
        worth = said["auc_added"]
        assert worth["low"] < worth["mean"] < worth["high"]
        note = trees_notes(trained)[2 + number]
        said_of, told = note.split(" of AUC [")[0].split(" is worth ")
        assert said_of == f"What {name}'s splits move"
        assert float(told) == pytest.approx(worth["mean"], abs=6e-4)
    assert set(ended["gain"]) == {
        "z", "c", "partner data of bureau", "partner data of telecom",
    }  # fmt: skip
    assert model["scores"]["joined"]["auc"] > model["scores"]["bank alone"]["auc"]
    (check,) = metrics["run"]["plaintext_baseline"]
    assert abs(check["fold_auc_difference"]) < 0.1
    shown = result.outputs.report.models[0].importance
    assert [(p.party, p.columns) for p in shown if p.party in PARTNERS] == [
        ("bureau", 2), ("telecom", 1),
    ]  # fmt: skip
    reasons = pq.read_table(folder / "out" / "profiles.parquet")["reasons_churn"].to_pylist()
    words = {reason.rsplit(" (", 1)[0] for one in reasons for reason in one}
    assert {"partner bureau", "partner telecom"} <= words
    roots = sum(float(tree.value[0]) for tree in trained.trees.forest.trees)
    margin = np.log(trained.scores / (1 - trained.scores))
    assert np.allclose(trained.moved.sum(axis=1) + trained.trees.forest.base + roots, margin)
    page = (folder / "out" / "report.html").read_text()
    for note in result.outputs.report.models[0].notes:
        assert recognised(note, "note"), note  # and so said in Chinese
    for name in PARTNERS:
        assert f"splits of {name}'s. They told" in page.replace("&#39;", "'")


def test_the_contract_says_to_each_what_it_tells(done: tuple[Path, JobResult]) -> None:
    contract: Contract = done[1].federation.contract
    said = "\n".join(in_words(contract))
    assert "bank and bureau and telecom grow 'churn' by private sums: up to 4 boosted" in said
    assert "on each level bank asks one of them, in turns" in said
    told = [d for d in contract.disclosures if d.step == "train churn"]
    to_bank = [d.learns for d in told if d.to == "bank"]
    assert [
        f"in {BITS} bits at most, on which side of {name}'s split" in each
        for name, each in zip(PARTNERS, to_bank, strict=True)
    ] == [True, True]
    assert ["by a column with a way" in each for each in to_bank] == [False, True]
    assert all("turns, when their bits are spent" in d.learns for d in told if d.to in PARTNERS)
    assert all(recognised(d.learns, "learns") for d in told)
    for name, columns in zip(PARTNERS, (("a", "b"), ("q",)), strict=True):
        (release,) = [r for r in planned(contract, name) if r.step == "train/churn"]
        assert (release.bits, release.vectors, release.columns) == (BITS, 0, columns)


def test_messages_are_within_half_of_what_a_step_may_bring(done: tuple[Path, JobResult]) -> None:
    federation = done[1].federation
    limit = step_limit(federation.contract, "train/churn") - FLOOR
    for records in federation.records.values():
        (found,) = [one for one in records if one.step == "train/churn"]
        assert 0 < found.sent < limit / 2


def test_a_partner_refuses_terms_that_make_no_trees_of_several() -> None:
    made = nameless_draft(Job.load(job()))
    parties = tuple(
        replace(p, rows=5000, design_columns=(2,), protocols=("ecdh",)) for p in made.parties
    )
    made = complete(replace(made, parties=parties))
    made = replace(made, disclosures=disclosures(made))
    made.check()
    for partners in (("bureau", "bureau"), ("bureau", "telecom", "bank", "x"), ("bureau",)):
        with pytest.raises((PeerError, MisuseError)):
            replace(made, train=(replace(made.train[0], partners=partners),)).check()


def test_trees_that_were_not_kept_do_not_count_in_a_scoring(tmp_path: Path) -> None:
    """Of a model whose last trees were dropped each party keeps as many levels as it has splits
    on, and the receiver's part says how many `row_bits` a scoring takes."""
    rng, world = np.random.default_rng(7), tables()
    y = rng.permutation(world["bank.t"]["y"].to_numpy(zero_copy_only=False))  # nothing to learn
    world["bank.t"] = world["bank.t"].drop_columns("y").append_column("y", pa.array(y))
    asked = job(folds=4, trees=30, early_stop=2, row_bits=20)
    first = run_job(Job.load(asked), world, tmp_path / "out", models=tmp_path / "models")
    trained: Any = first.federation.outcome.trained[0]
    told = max(trained.told_levels)
    part = ModelStore(tmp_path / "models" / "bank").find("churn")
    assert part.told < told
    again = Job.load(scored_again(tmp_path))
    found = run_job(again, world, tmp_path / "again", models=tmp_path / "models")
    (scored,) = found.federation.outcome.scored
    assert np.allclose(scored.part.answers.predict(scored.scores), trained.scores, atol=1e-12)


# scoring


def scored_again(folder: Path, **more: Any) -> dict[str, Any]:
    asked = tomllib.loads(job_text(ModelStore(folder / "models" / "bank").find("churn")))
    return asked | {"job": asked["job"] | {"key_bits": 2048}} | more


@pytest.fixture(scope="module")
def again(done: tuple[Path, JobResult]) -> JobResult:
    folder, _ = done
    asked = Job.load(scored_again(folder))
    return run_job(asked, tables(), folder / "again", models=folder / "models")


def test_the_same_rows_have_the_scores_of_the_training(
    done: tuple[Path, JobResult], again: JobResult
) -> None:
    (folder, first), found = done, again
    assert_agree(folder / "again")
    (scored,), (trained,) = found.federation.outcome.scored, first.federation.outcome.trained
    assert np.allclose(scored.part.answers.predict(scored.scores), trained.scores, atol=1e-12)
    assert scored.moved is not None
    assert scored.moved.shape[1] == 2 + 2
    contract = found.federation.contract
    told = [d.learns for d in contract.disclosures if d.to == "bank" and d.step == "score churn"]
    assert [name in each for name, each in zip(PARTNERS, told, strict=True)] == [True, True]
    part = ModelStore(folder / "models" / "bank").find("churn")
    assert {name for name, _ in importance(part)} >= {"partner data of telecom"}
    whose = {row[2] for row in numbers(part)[1]}
    assert any(words.startswith("telecom's split") for words in whose)
    reasons = pq.read_table(folder / "again" / "profiles.parquet")["reasons_churn"].to_pylist()
    assert any(reason.startswith("partner telecom") for one in reasons for reason in one or ())


@pytest.mark.parametrize("me", ["bank", "bureau", "telecom"])
def test_training_and_scoring_are_rehearsed_by_each(done: tuple[Path, JobResult], me: str) -> None:
    folder, _ = done
    mine = MemorySource({f"{me}.t": tables()[f"{me}.t"]})
    training = nameless_draft(Job.load(job()))
    assert rehearse(training, me, mine, ONE_PROCESS, rows=700).ended == ""
    scoring = nameless_draft(Job.load(scored_again(folder)))
    models = folder / "models" / me
    found = rehearse(scoring, me, mine, ONE_PROCESS, rows=0, models=models)
    assert found.ended == ""


def test_a_scoring_of_fewer_levels_than_a_part_has_is_refused(done: tuple[Path, JobResult]) -> None:
    folder, _ = done
    asked = scored_again(folder)
    asked["score"] = [one | {"row_bits": 1} for one in asked["score"]]
    with pytest.raises(Refused, match="row_bits = 1 asked"):
        run_job(Job.load(asked), tables(), folder / "none", models=folder / "models")

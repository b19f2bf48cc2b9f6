"""Trees that tell nothing are kept, and score rows in a later job: whole jobs, in memory."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from federated.approval.policy import ONE_PROCESS
from federated.contract.kinds import train_hidden
from federated.contract.release import planned
from federated.contract.rows import FLOOR
from federated.contract.summary import in_words
from federated.hidden_trees import HiddenFeatureModel, HiddenLabelModel, party
from federated.ledger.lines import read_ledger
from federated.ledger.listing import messages_of
from federated.rehearsal import rehearse
from federated.scoring.model_file import ModelPart
from federated.scoring.store import ModelStore
from federated.steps.byte_limits import step_limit
from federated.steps.work import Work
from federated.tables.source import MemorySource
from profiles.cli import app
from profiles.job import Job
from profiles.proposal import nameless_draft
from profiles.run import JobResult, run_job
from profiles.score_job import job_text, receivers_part
from psi.protocol import FedprofileError, JobError, MisuseError, Refused
from tests.e2e.ledgers import assert_agree
from tests.e2e.trees_world import tables_of, trees_job

BITS, SHARED = 6, 840


def tables() -> dict[str, pa.Table]:
    return tables_of(900, SHARED)


def training(**more: Any) -> dict[str, Any]:
    return trees_job(tells="nothing", trees=3, score_bits=BITS, **more)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, JobResult]:
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        for module in (train_hidden, party):
            patch.setattr(module, "FEWEST_ROWS", 600)
        made = run_job(Job.load(training()), tables(), folder / "out", models=folder / "models")
    return folder, made


def part(folder: Path, name: str = "bank") -> ModelPart:
    return ModelStore(folder / "models" / name).find("churn")


def scoring(folder: Path, **more: Any) -> dict[str, Any]:
    asked = training() | {"align": {"minimum_overlap": 1}}
    del asked["train"]
    said = {"task": "churn", "model": part(folder).id, "score_bits": BITS, "trees": 3, "depth": 2}
    return asked | {"score": [said | more]}


@pytest.fixture(scope="module")
def again(trained: tuple[Path, JobResult]) -> tuple[Path, JobResult]:
    folder, _ = trained
    out = folder / "again"
    return out, run_job(Job.load(scoring(folder)), tables(), out, models=folder / "models")


def test_the_parties_ledgers_agree(again: tuple[Path, JobResult]) -> None:
    assert_agree(again[0])


def test_the_same_rows_have_the_scores_of_the_training(
    trained: tuple[Path, JobResult], again: tuple[Path, JobResult]
) -> None:
    (model,) = trained[1].federation.outcome.trained
    (scored,) = again[1].federation.outcome.scored
    assert len(scored.scores) == SHARED
    assert np.array_equal(scored.part.answers.predict(scored.scores), model.scores)
    assert len(np.unique(scored.scores)) > 3
    both = part(trained[0]), part(trained[0], "bureau")
    assert isinstance(both[0].trees, HiddenLabelModel)
    assert isinstance(both[1].trees, HiddenFeatureModel)
    assert both[0].trees.training == both[1].trees.training
    assert ((both[0].trees.splits < 0) == (both[1].trees.splits >= 0)).all()


def test_new_customers_are_scored_alike_alone_and_in_a_batch(
    trained: tuple[Path, JobResult],
) -> None:
    """A row's score hangs on no other row: of ten of them and of three of these the same."""
    folder, _ = trained
    found = []
    for rows in (range(10), range(4, 7)):
        some = {name: table.take(list(rows)) for name, table in tables().items()}
        name = f"new-{len(rows)}"
        made = run_job(Job.load(scoring(folder)), some, folder / name, models=folder / "models")
        (scored,) = made.federation.outcome.scored
        place = {made.federation.outcome.rows[at]: at for at in range(len(rows))}
        found.append([scored.scores[place[row]] for row in range(len(rows))])
    assert found[0][4:7] == found[1]


def test_each_scoring_is_booked_whole(
    trained: tuple[Path, JobResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The partner does not see what it tells, so it cannot leave out what it has told before."""
    folder, reserve = trained[0], Work.reserve
    seen = []

    def noted(work: Work, step: str, **given: Any) -> None:
        seen.append((work.session.name, step, given))
        reserve(work, step, **given)

    monkeypatch.setattr(Work, "reserve", noted)
    run_job(Job.load(scoring(folder)), tables(), folder / "noted", models=folder / "models")
    assert [one for one in seen if one[1] == "score/churn"] == [("bureau", "score/churn", {})]


def test_the_report_says_what_was_scored_and_gives_no_reasons(
    again: tuple[Path, JobResult],
) -> None:
    out, _ = again
    said = json.loads((out / "metrics.json").read_text())["scored"]["churn"]
    assert said["rows"] == SHARED
    assert said["moved"] == []
    assert said["drift_of_scores"] == 0
    why = pq.read_table(out / "profiles.parquet").column("reasons_churn").to_pylist()
    assert not any(why)
    assert "is scored by model" in (out / "report.html").read_text()


def test_the_contract_and_the_books_say_what_is_told(again: tuple[Path, JobResult]) -> None:
    contract = again[1].federation.contract
    assert contract.suites.trees == "hidden-trees-v3"
    told = {d.to: d.learns for d in contract.disclosures if d.step == "score churn"}
    assert f"the step that its score lies in, {BITS} bits" in told["bank"]
    assert told["bureau"] == "of records of bank nothing"
    assert "no record's side of a split is told" in "\n".join(in_words(contract))
    (release,) = [one for one in planned(contract, "bureau") if one.step == "score/churn"]
    assert (release.bits, release.vectors, release.columns) == (BITS, 1, ("a", "b"))
    metrics = json.loads((again[0] / "metrics.json").read_text())
    assert metrics["leakage"]["bureau"]["bits_of_a_row"] == BITS
    limit = step_limit(contract, "score/churn") - FLOOR
    for records in again[1].federation.records.values():
        (found,) = [one for one in records if one.step == "score/churn"]
        assert 0 < found.sent < limit / 2


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"trees": 4}, "is of 3 trees that tell nothing, 4 of depth 2 asked"),
        ({"depth": 3}, "trees = 3, depth = 2"),
        ({"trees": None, "depth": None}, "trees = 3, depth = 2"),
        ({"trees": None, "depth": None, "score_bits": None, "row_bits": 3}, "trees = 3, depth = 2"),
    ],
)
def test_another_model_than_is_kept_is_refused_before_anything_is_aligned(
    trained: tuple[Path, JobResult], more: dict[str, Any], words: str
) -> None:
    folder, _ = trained
    asked = scoring(folder, **more)
    asked["score"][0] = {k: v for k, v in asked["score"][0].items() if v is not None}
    with pytest.raises(Refused) as found:
        run_job(Job.load(asked), tables(), folder / "no", models=folder / "models")
    assert words in f"{found.value.message} {found.value.hint}"
    assert not (folder / "no" / "bank" / "ledger.jsonl").exists()


def test_other_columns_and_types_are_refused(trained: tuple[Path, JobResult]) -> None:
    folder, _ = trained
    texts = tables()
    texts["bureau.t"] = texts["bureau.t"].set_column(1, "a", pa.array(["x"] * SHARED))
    with pytest.raises(Refused, match="is a category, model"):
        run_job(Job.load(scoring(folder)), texts, folder / "no", models=folder / "models")
    less = scoring(folder)
    less["party"][1] = less["party"][1] | {"features": ["a"]}
    with pytest.raises(Refused, match="column 'b' is not asked"):
        run_job(Job.load(less), tables(), folder / "no", models=folder / "models")


def test_a_part_of_another_version_or_an_altered_one_is_refused(
    trained: tuple[Path, JobResult],
) -> None:
    kept = part(trained[0])
    assert ModelPart.from_bytes(kept.to_bytes()).digest == kept.digest
    text = json.loads(kept.to_bytes())
    for change in ({"version": 2}, {"part": text["part"] | {"version": 2}}):
        with pytest.raises(MisuseError, match="version"):
            ModelPart.from_bytes(json.dumps(text | change).encode())
    other = json.loads(part(trained[0], "bureau").to_bytes())["part"]
    with pytest.raises(MisuseError):
        ModelPart.from_bytes(json.dumps(text | {"part": other}).encode())


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"depth": None}, "trees with a depth"),
        ({"trees": None}, "trees with a depth"),
        ({"row_bits": 2, "score_bits": None}, "without row_bits"),
        ({"score_bits": 13}, "0 to 12"),
        ({"trees": 301}, "1 to 300"),
    ],
)
def test_a_section_that_is_no_scoring_is_refused_when_it_is_read(
    trained: tuple[Path, JobResult], more: dict[str, Any], words: str
) -> None:
    asked = scoring(trained[0], **more)
    asked["score"][0] = {k: v for k, v in asked["score"][0].items() if v is not None}
    with pytest.raises(JobError) as found:
        Job.load(asked)
    assert words in f"{found.value.message} {found.value.hint}"


def test_a_contract_with_other_terms_is_signed_by_nobody(again: tuple[Path, JobResult]) -> None:
    contract = again[1].federation.contract
    (terms,) = contract.score
    wrongs: tuple[dict[str, Any], ...] = (
        {"row_bits": 2}, {"score_bits": 0}, {"trees": 0}, {"trees": 301}, {"depth": 7},
    )  # fmt: skip
    for wrong in wrongs:
        with pytest.raises(FedprofileError):
            replace(contract, score=(replace(terms, **wrong),)).check()


def test_the_job_is_written_from_the_model_and_the_model_is_shown(
    trained: tuple[Path, JobResult],
) -> None:
    folder, _ = trained
    text = job_text(receivers_part(folder / "models", "churn"))
    assert "score_bits = 6\ntrees = 3\ndepth = 2\n" in text
    for name, words in (("bank", "to score"), ("bureau", "no side of a split")):
        place = str(folder / "models" / name)
        shown = CliRunner().invoke(app, ["model", "show", "churn", "--models", place])
        assert shown.exit_code == 0, shown.output
        assert words in " ".join(shown.output.split())
        out = folder / f"{name}.csv"
        given = ["model", "export", "churn", "--models", place, "--out", str(out)]
        made = CliRunner().invoke(app, given)
        assert made.exit_code == 0, made.output


@pytest.mark.parametrize("me", ["bank", "bureau"])
def test_it_is_rehearsed_with_the_messages_of_the_real_one(
    trained: tuple[Path, JobResult], again: tuple[Path, JobResult], me: str
) -> None:
    models = trained[0] / "models" / me
    mine = MemorySource({f"{me}.t": tables()[f"{me}.t"]})
    draft = nameless_draft(Job.load(scoring(trained[0])))
    found = rehearse(draft, me, mine, ONE_PROCESS, rows=0, models=models)
    assert found.ended == ""
    lines = read_ledger(again[0] / "parties" / me / "ledger.jsonl")
    told = [line for line in lines if line["kind"] in ("sent", "received")]
    real: Counter[tuple[str, str, str]] = Counter()
    for one in told:
        for kind, (count, _) in messages_of(one["body"]).items():
            real[one["body"]["step"], one["kind"], kind] += count
    counts = {(one.step, one.way, one.message): one.count for one in found.messages}
    of_score = {key: count for key, count in counts.items() if key[0] == "score/churn"}
    assert len(of_score) == 7
    assert of_score == {key: count for key, count in real.items() if key[0] == "score/churn"}

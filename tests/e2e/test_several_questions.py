"""One alignment, many questions: two trainings, two aggregates and three lists of one job."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from federated.contract.release import planned
from federated.evaluation import auc
from profiles.job import Job
from profiles.run import JobResult, run_job
from profiles.tables import open_tables
from tests.e2e.ledgers import assert_agree

MORE = """
[[train]]
task = "churn"
label = "bank.churned"
folds = 2
evaluations = 5
fold_evaluations = 1

[[train]]
task = "will borrow"
label = "bank.borrowed"
positive = "ja"
folds = 3
evaluations = 5
fold_evaluations = 1

[[train]]
task = "churn by half"
label = "bank.churned"
features = ["bank.balance", "bureau.loans", "bureau.overdue"]
folds = 2
evaluations = 5
fold_evaluations = 1
score_bits = 1

[[aggregate]]
by = "bank.zone, old"
measures = ["bureau.loans:sum"]
minimum_group = 10

[profile]
segments = 3
facts = ["id", "name"]
"""
TASKS = ["churn", "will borrow", "churn by half"]
LISTS = "".join(
    f'\n[[target]]\nproduct = "{product}"\ntask = "{task}"\ntop = {top}\n'
    for product, task, top in (
        ("stay", "churn", 20), ("loan", "will borrow", 15), ("loan, wide", "will borrow", 30)
    )
)  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, JobResult]:
    from tests.e2e.conftest import make_small

    folder = make_small(tmp_path_factory.mktemp("several"))
    bank = pd.read_csv(folder / "bank.csv")
    bureau = pd.read_csv(folder / "bureau.csv").set_index("id_no").reindex(bank["id"])
    rng = np.random.default_rng(8)
    wants = bureau["usage"].fillna(0).to_numpy() + rng.normal(size=len(bank)) > 0.3
    bank["borrowed"] = np.where(wants, "ja", "nein")
    bank.loc[:39, "borrowed"] = ""  # scored, not trained on
    bank["zone, old"] = rng.choice(["a", "b", "c"], len(bank))
    bank.to_csv(folder / "bank.csv", index=False)
    text = (folder / "job.toml").read_text()
    (folder / "job.toml").write_text(text[: text.index("[train]")] + MORE + LISTS)
    job, tables = Job.load(folder / "job.toml"), open_tables(folder / "tables.toml")
    return folder, run_job(job, tables, folder / "out", baseline=True)


def test_the_records_are_found_once_and_every_question_is_answered(
    done: tuple[Path, JobResult],
) -> None:
    folder, result = done
    steps = [record.step for record in result.federation.records["bank"]]
    assert sum(step.startswith("align/") for step in steps) == len({"align/bureau/0", "order"})
    assert [step for step in steps if step.startswith(("train/", "aggregate/"))] == [
        "aggregate/0/bureau", "aggregate/1/bureau", "train/churn", "train/will borrow",
        "train/churn by half",
    ]  # fmt: skip
    metrics = json.loads((folder / "out" / "metrics.json").read_text())
    assert list(metrics["models"]) == TASKS
    assert_agree(folder / "out")
    assert metrics["models"]["churn"]["rows"] == 220
    assert metrics["models"]["will borrow"]["rows"] < 220
    assert [c["task"] for c in metrics["run"]["plaintext_baseline"]] == TASKS
    assert [a["by"] for a in metrics["aggregates"]] == ["segment", "zone, old"]
    assert metrics["targets"] == {"stay": 20, "loan": 15, "loan, wide": 30}


def test_each_task_has_scores_reasons_lists_and_a_chapter_of_its_own(
    done: tuple[Path, JobResult],
) -> None:
    folder, _ = done
    profiles = pq.read_table(folder / "out" / "profiles.parquet")
    scores = [profiles.column(f"score_{task}").to_numpy() for task in ("churn", "will_borrow")]
    assert np.isfinite(scores).all()
    assert not np.array_equal(*scores)
    assert {"reasons_churn", "reasons_will_borrow"} <= set(profiles.column_names)
    lists = pq.read_table(folder / "out" / "targets.parquet").to_pandas()
    tasks = lists.groupby("product", sort=False)["task"].unique().map(list).to_dict()
    assert tasks == {"stay": ["churn"], "loan": ["will borrow"], "loan, wide": ["will borrow"]}
    by_id = profiles.to_pandas().set_index("entity")
    for row in lists.itertuples():
        column = "score_churn" if row.task == "churn" else "score_will_borrow"
        assert row.score == by_id.loc[row.entity, column]
        assert row.matched == by_id.loc[row.entity, "matched"]
    bank = pd.read_csv(folder / "bank.csv").set_index("id")
    listed = lists[lists["task"] == "will borrow"]["entity"]
    assert not (bank.loc[listed, "borrowed"] == "ja").any()
    report = (folder / "out" / "report.html").read_text("utf-8")
    assert ">churn</h2>" in report
    assert ">will borrow</h2>" in report
    assert "their score for will borrow is" in report


def test_what_all_trainings_tell_is_counted_together(done: tuple[Path, JobResult]) -> None:
    _, result = done
    told = result.outputs.metrics["leakage"]["bureau"]["bits_of_a_row"]
    contract = result.federation.contract
    assert [terms.label for terms in contract.train] == ["churned", "borrowed", "churned"]
    assert contract.party("bank").labels == ("churned", "borrowed")
    each = [release.bits for release in planned(contract, "bureau") if release.vectors]
    assert len(each) == len(contract.train)
    assert min(each) > 1
    assert told == pytest.approx(sum(each), abs=0.01)


def test_a_training_sees_and_tells_of_the_columns_it_chose_only(
    done: tuple[Path, JobResult],
) -> None:
    _, result = done
    contract = result.federation.contract
    whole, _, half = contract.train
    assert contract.features(whole, "bureau") == ("loans", "overdue", "usage", "queries")
    assert contract.features(half, "bureau") == ("loans", "overdue")
    assert contract.party("bureau").design_columns == (4, 4, 2)
    assert contract.party("bank").design_columns == (2, 2, 1)
    told = {release.step: release.columns for release in planned(contract, "bureau")}
    assert told["train/churn by half"] == ("loans", "overdue")
    trained = {one.terms.task: one for one in result.federation.outcome.trained}
    assert trained["churn by half"].columns == ["balance"]
    assert [trained[task].partner_columns for task in TASKS] == [4, 4, 2]
    (check,) = (
        one
        for one in result.outputs.metrics["run"]["plaintext_baseline"]
        if one["task"] == "churn by half"
    )
    assert check["coefficient_difference"] < 0.3  # one step, noise of half a bit


def test_every_column_of_the_outputs_says_what_it_is(done: tuple[Path, JobResult]) -> None:
    folder, result = done
    said = pd.read_csv(folder / "out" / "dictionary.csv")
    told = {(row.file, row.column): row.description for row in said.itertuples()}
    for file in ("profiles.parquet", "targets.parquet", "held_out.parquet"):
        assert file in result.outputs.files
        for field in pq.read_schema(folder / "out" / file):
            note = field.metadata[b"description"].decode()
            assert note == told.pop((file, field.name))
    assert told == {}


def test_held_out_scores_are_those_of_the_metrics(done: tuple[Path, JobResult]) -> None:
    folder, result = done
    held = pq.read_table(folder / "out" / "held_out.parquet").to_pandas()
    models = result.outputs.metrics["models"]
    assert held["task"].unique().tolist() == list(models)
    for task, rows in held.groupby("task"):
        assert len(rows) == models[task]["rows"]
        for column, name in (("joined", "joined"), ("own", "bank alone")):
            folds = [auc(part["label"], part[column]) for _, part in rows.groupby("fold")]
            np.testing.assert_allclose(folds, models[task]["scores"][name]["fold_aucs"], atol=1e-4)

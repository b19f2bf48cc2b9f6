"""A horizontal training ends with the common model at every party: each profiles its own rows."""

from __future__ import annotations

import json
import re
import shutil
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from federated.evaluation import auc
from federated.horizontal.model_file import RowsModel, read_rows_model
from federated.node.home import NodeHome
from federated.node.outputs import kept_outputs, output_folders
from federated.tables.matrix import numeric_matrix
from profiles import horizontal_outputs, run_job
from profiles.branch_rows import branch_job, copied, write_branch_rows
from profiles.cli import app
from profiles.horizontal_outputs import branch_model, worse_note
from profiles.job import Job
from profiles.language import language
from profiles.plan import planned
from profiles.plan_text import in_text
from profiles.report.measured import Model, scored
from profiles.tables import open_tables
from psi.protocol.errors import FedprofileError, InputError, JobError, MisuseError

JOB = """
[job]
name = "branches"
purpose = "retention"

[[party]]
name = "north"
table = "north.people"
features = ["a", "b"]

[[party]]
name = "south"
table = "south.people"
features = ["a", "b"]

[train]
task = "leaves"
split = "horizontal"
label = "left"
folds = 2
row_bits = 50

[profile]
facts = ["id"]
segments = 2

[[target]]
product = "call"
top = 20
managers = "north.managers"

[[exclude]]
stage = "suppression"
reason = "called lately"
table = "north.calls"
"""
BOUND = """
[{0}.people]
path = "people-{0}.parquet"
[{0}.managers]
path = "managers-{0}.csv"
[{0}.calls]
path = "calls-{0}.csv"
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two parties that have trained together; each its tables.toml, job.toml and out/parties/."""
    folder, rng = tmp_path_factory.mktemp("branches"), np.random.default_rng(1)
    (folder / "job.toml").write_text(JOB)
    for name, size in (("north", 300), ("south", 240)):
        x = rng.normal(size=(size, 2))
        left = pd.array((rng.random(size) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(int), "Int64")
        table = pd.DataFrame(
            {"id": [f"{name}{i}" for i in range(size)], "a": x[:, 0], "b": x[:, 1]}
        )
        table["left"] = left
        table.loc[:99, "left"] = pd.NA
        table.to_parquet(folder / f"people-{name}.parquet")
        (folder / f"managers-{name}.csv").write_text(f"manager\n{name[0]}1\n{name[0]}2\n")
        (folder / f"calls-{name}.csv").write_text(f"id\n{name}0\n")
        (folder / f"{name}.toml").write_text(BOUND.format(name))
    both = "".join(BOUND.format(name) for name in ("north", "south"))
    (folder / "both.toml").write_text(both)
    job = Job.load(folder / "job.toml")
    run_job(job, open_tables(folder / "both.toml"), folder / "out", baseline=False)
    return folder


def model_of(world: Path, party: str) -> Path:
    return world / "out" / "parties" / party / "model.json"


def said(world: Path, party: str, *more: str) -> str:
    """What the command says; raises what it ends with."""
    words = ["branch", str(world / "job.toml"), "--party", party, "--overwrite"]
    words += ["--model", str(model_of(world, party)), "--tables", str(world / f"{party}.toml")]
    found = CliRunner().invoke(app, [*words, *more])
    if isinstance(found.exception, FedprofileError):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.output


def written(world: Path, party: str, *more: str) -> Path:
    out = world / f"{party}-rows"
    said(world, party, "--out", str(out), *more)
    return out


def test_each_party_is_left_with_the_same_model(world: Path) -> None:
    one, other = (model_of(world, party) for party in ("north", "south"))
    assert one.stat().st_mode & 0o777 == 0o600
    a, b = read_rows_model(one), read_rows_model(other)
    assert replace(a, made=0).text() == replace(b, made=0).text()
    assert a.parties == ("north", "south")
    ledger = json.loads((world / "out" / "metrics.json").read_text())["run"]["contract"]
    assert a.contract == ledger


@pytest.mark.parametrize("party", ["north", "south"])
def test_every_party_profiles_its_own_rows_and_nobody_elses(world: Path, party: str) -> None:
    out = written(world, party)
    profiles = pq.read_table(out / "profiles.parquet").to_pandas()
    people = pd.read_parquet(world / f"people-{party}.parquet")
    assert profiles.entity.tolist() == people.id.tolist()
    fit = read_rows_model(model_of(world, party)).fit
    assert profiles.score_leaves.to_numpy() == pytest.approx(
        fit.predict(people[["a", "b"]].to_numpy())
    )
    assert profiles.reasons_leaves.str[0].str.startswith("a ").mean() > 0.5
    assert set(profiles.segment) == {1, 2}
    targets = pq.read_table(out / "targets.parquet").to_pandas()
    assert len(targets) == 20
    assert targets.entity.str.startswith(party).all()
    assert f"{party}0" not in set(targets.entity)  # called lately
    left = set(people.id[people.left.fillna(0) == 1])
    assert not left & set(targets.entity)  # whose outcome is known already
    assert set(targets.manager) == {f"{party[0]}1", f"{party[0]}2"}
    assert sorted(path.name for path in (out / "managers").iterdir())
    page = (out / "report.html").read_text()
    other = "south" if party == "north" else "north"
    assert f"{other}1" not in page
    until = language("en").form("date", date.today() + timedelta(30))
    for one in (page, next((out / "managers").iterdir()).read_text()):
        assert f"until {until} at most" in one
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["entity"] == {"table": f"{party}.people", "column": "id"}
    known = people.dropna()
    found = auc(known.left.to_numpy(int), fit.predict(known[["a", "b"]].to_numpy()))
    assert metrics["models"]["leaves"]["scores"]["all parties"]["auc"] == round(found, 4)
    assert f"{party} alone" in metrics["models"]["leaves"]["scores"]
    assert metrics["fold_aucs"] == [round(float(one), 4) for one in fit.fold_aucs]


def test_a_common_model_that_is_worse_than_the_own_one_is_said_in_both_languages() -> None:
    label = np.tile([0, 1], 50)
    good, bad = (label + 0.0, 1.0 - label)
    own, common = (scored(name, label, s) for name, s in (("a alone", good), ("all parties", bad)))
    model = Model(task="t", model="m", scores=(own, common), rows=100, positives=50,
                  split="horizontal")  # fmt: skip
    said = worse_note(model, 1)
    assert "an AUC of 0.000, a's own one 1.000" in said
    assert "row_bits = 1" in language("zh").told(said, "note")
    assert language("zh").told(said, "note") != said
    assert worse_note(replace(model, scores=(own, own)), 1) == ""


def test_a_partys_own_rows_have_segments_and_stages_by_rules(world: Path, tmp_path: Path) -> None:
    rules = """
[[segment]]
name = "much of a"
where = [{ column = "a", above = 0 }]

[[stage]]
name = "little of b"
where = [{ column = "b", below = 0 }]
"""
    model = read_rows_model(model_of(world, "north"))
    mine = branch_job(Job.load(JOB + rules), "north", model)
    with copied(mine, open_tables(world / "north.toml")) as tables:
        write_branch_rows(mine, model, tables, tmp_path / "out")
    found = pq.read_table(tmp_path / "out" / "profiles.parquet").to_pandas()
    assert ((found.segment_name == "much of a") == (found.a > 0)).all()
    assert ((found.stage == "little of b") == (found.b < 0)).all()
    assert found.stage[found.b >= 0].isna().all()


def test_many_rows_are_measured_in_blocks_and_an_own_model_is_fitted_on_some(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job.load(world / "job.toml")
    model = read_rows_model(model_of(world, "north"))
    mine, source = branch_job(job, "north", model), open_tables(world / "north.toml")
    whole = branch_model(mine, model.fit, source)
    monkeypatch.setattr(horizontal_outputs, "_BLOCK", 64)
    monkeypatch.setattr(horizontal_outputs, "OWN_ROWS", 120)  # of 200
    some = branch_model(mine, model.fit, source)
    assert whole is not None
    assert some is not None
    assert some.scores[1].auc == whole.scores[1].auc, "the common model, in blocks"
    assert some.scores[0].auc == pytest.approx(whole.scores[0].auc, abs=0.05)
    assert some.scores[0].auc != whole.scores[0].auc


def test_rows_that_are_made_up_are_told(world: Path) -> None:
    bound = BOUND.format("north").replace("path =", "synthetic = true\npath =", 1)
    (world / "made-up.toml").write_text(bound)
    out = world / "made-up"
    said(world, "north", "--tables", str(world / "made-up.toml"), "--out", str(out))
    assert json.loads((out / "metrics.json").read_text())["synthetic"] is True
    assert "ynthetic data" in (out / "report.html").read_text()
    plain = written(world, "north")
    assert json.loads((plain / "metrics.json").read_text())["synthetic"] is False
    assert "ynthetic data" not in (plain / "report.html").read_text()


def test_a_report_in_chinese_and_values_that_are_missing(world: Path) -> None:
    people = pd.read_parquet(world / "people-south.parquet")
    people.loc[5, "a"] = np.nan
    people.to_parquet(world / "people-south.parquet")
    out = written(world, "south", "--lang", "zh")
    profiles = pq.read_table(out / "profiles.parquet").to_pandas()
    assert profiles.score_leaves.isna().tolist() == [i == 5 for i in range(len(people))]
    assert profiles.reasons_leaves[5] is None
    page = (out / "report.html").read_text()
    assert 'lang="zh' in page
    assert "have no score" not in page
    sheet = (out / "targets.csv").read_text("utf-8-sig")
    assert sheet.startswith('"product","rank","entity",'), "names of columns are for formulas too"
    assert re.search(r" 高 \(\+\d", sheet)
    assert not re.search(r" (high|low|average)\b", sheet)
    assert "从 1 起，每份名单中最优者在前" in (out / "dictionary.csv").read_text("utf-8-sig")
    kept = pq.read_table(out / "targets.parquet").column("segment_name").to_pylist()
    assert not re.search("[\u4e00-\u9fff]", " ".join(kept)), "what effects are grouped by"


def test_a_plan_says_who_may_be_on_a_list_of_the_receivers_own_rows(world: Path) -> None:
    job = Job.load(world / "job.toml")
    found = planned(job, open_tables(world / "both.toml"))
    ((product, may, reasons),) = found.lists
    people = pd.read_parquet(world / "people-north.parquet")
    known = int((people.left.fillna(0) == 1).sum())
    called = [reason.people for reason in reasons if reason.words == "called lately"]
    assert (product, may, called) == ("call", 300 - known - 1, [1])
    assert "`fedprofile branch` writes its lists" in in_text(found)
    (world / "nameless.toml").write_text(JOB.replace('facts = ["id"]\n', ""))
    with pytest.raises(JobError, match="facts: none found, one needed with"):
        Job.load(world / "nameless.toml")


def test_rows_without_a_basis_are_in_nothing(world: Path) -> None:
    people = pd.read_parquet(world / "people-north.parquet")
    basis = pd.DataFrame({"id": people.id[100:150], "purpose": "retention"})
    basis.to_csv(world / "basis.csv", index=False)
    stated = BOUND.format("north").replace(
        'path = "people-north.parquet"',
        'path = "people-north.parquet"\nbasis = {table = "north.basis", of = "id", '
        'purpose = "purpose"}',
    )
    (world / "north.toml").write_text(stated + '[north.basis]\npath = "basis.csv"\n')
    try:
        out = written(world, "north")
    finally:
        (world / "north.toml").write_text(BOUND.format("north"))
    assert pq.read_table(out / "profiles.parquet").num_rows == 50


def test_a_model_of_another_job_is_refused(world: Path) -> None:
    job, model = Job.load(world / "job.toml"), read_rows_model(model_of(world, "north"))
    for other in (
        replace(model, task="stays"),
        replace(model, features=("b", "a")),
        replace(model, parties=("north", "west")),
    ):
        with pytest.raises(MisuseError, match="is of another task, label, features or parties"):
            branch_job(job, "north", other)
    with pytest.raises(MisuseError, match="no party 'west'"):
        branch_job(job, "west", model)
    mine = branch_job(job, "north", model)
    with copied(mine, open_tables(world / "north.toml")) as tables:
        table = tables.load("north.people", ["a", "b"])
        assert numeric_matrix(table, ["a", "b"], where="north").shape == (300, 2)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda said: said.pop("fit"),
        lambda said: said.update(version=2),
        lambda said: said["fit"].update(scale=[0.0, 1.0]),
        lambda said: said["fit"].update(coefficients=[1.0]),
        lambda said: said["fit"].update(intercept="1e999"),
    ],
)
def test_a_file_that_is_no_model_is_refused(world: Path, tmp_path: Path, spoil) -> None:  # type: ignore[no-untyped-def]
    said = json.loads(model_of(world, "north").read_text())
    spoil(said)
    (tmp_path / "model.json").write_text(json.dumps(said))
    with pytest.raises(InputError):
        read_rows_model(tmp_path / "model.json")
    (tmp_path / "model.json").write_bytes(b"\xff[")
    with pytest.raises(FedprofileError):
        read_rows_model(tmp_path / "model.json")
    assert isinstance(read_rows_model(model_of(world, "north")), RowsModel)


def test_a_node_forgets_what_was_made_when_its_time_is_over(world: Path, tmp_path: Path) -> None:
    home = NodeHome.create(tmp_path / "node", "north", "hub:1")
    out, job = tmp_path / "rows", home.jobs / ("ab" * 32)
    more = ("--out", str(out), "--home", str(home.path))
    assert "will not remove" in said(world, "north", *more), "no job here made the model"
    job.mkdir()
    shutil.copy(model_of(world, "north").parent / "ledger.jsonl", job / "ledger.jsonl")
    assert "will not remove" not in said(world, "north", *more)
    assert "will not remove" not in said(world, "north", *more), "twice is one folder"
    (kept,) = kept_outputs(home)
    assert kept.folder == out
    assert set(kept.files) == {file.name for file in out.iterdir()}
    made = time.time()
    assert made + 29 * 86400 < kept.until < made + 31 * 86400
    assert output_folders(home) == [out]
    note = out / "my-notes.txt"
    note.write_text("mine")
    kept.remove()
    assert [file.name for file in out.iterdir()] == ["my-notes.txt"]
    assert list(kept_outputs(home)) == []


def test_a_month_says_what_has_changed_since_the_last(world: Path, tmp_path: Path) -> None:
    said(world, "south", "--out", str(tmp_path / "2026-10"))
    people = pd.read_parquet(world / "people-south.parquet")
    tables = world / "moved.toml"
    tables.write_text(BOUND.format("south").replace("people-south", "moved-south"))
    moved = people.iloc[10:].assign(b=lambda table: table["b"] + 3)
    moved.to_parquet(world / "moved-south.parquet")
    more = ("--since", str(tmp_path / "2026-10"), "--tables", str(tables))
    said(world, "south", "--out", str(tmp_path / "2026-11"), *more)
    since = json.loads((tmp_path / "2026-11" / "metrics.json").read_text())["since"]
    assert (since["run"], since["came"], since["went"], since["stayed"]) == ("2026-10", 0, 10, 230)
    assert set(since["lists"]) == {"call"}
    assert "Since 2026-10" in (tmp_path / "2026-11" / "report.html").read_text("utf-8")
    with pytest.raises(MisuseError, match="one folder"):
        said(world, "south", "--out", str(tmp_path / "2026-10"), *more[:2])

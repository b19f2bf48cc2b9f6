"""Whole jobs that score by models which an earlier job has trained, and what these refuse."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from federated.approval.policy import ONE_PROCESS, Policy
from federated.ledger.lines import read_ledger
from federated.ledger.listing import messages_of
from federated.rehearsal import in_lines, rehearse
from federated.rehearsal.invented_parts import grown
from federated.scoring.model_file import FEATURE, Brought, ModelPart
from federated.scoring.paths import partner_levels
from federated.scoring.store import ModelStore
from federated.tables.source import MemorySource
from federated.trees import Column, Forest, Layout
from profiles.cli import app
from profiles.job import Job
from profiles.proposal import nameless_draft
from profiles.run import JobResult, run_job
from profiles.score_job import job_text, receivers_part
from psi.protocol import FedprofileError, JobError, Refused
from tests.unit.scoring.parts import part as made_part
from tests.unit.scoring.parts import table as made_table
from tests.unit.scoring.parts import trees as made_trees

ROWS, SHARED = 420, 400
PARTIES = [
    {"name": "bank", "table": "bank.t", "keys": [["id"]], "features": ["z", "c"]},
    {"name": "bureau", "table": "bureau.t", "keys": [["id"]], "features": ["a", "b"]},
]


def tables(rows: int = ROWS, seed: int = 3, name: str = "c") -> dict[str, pa.Table]:
    rng = np.random.default_rng(seed)
    ids = [f"{name}{i}" for i in range(rows)]
    z, a, b = rng.normal(size=(3, rows))
    c = rng.choice(["x", "y"], rows)
    y = (rng.random(rows) < 1 / (1 + np.exp(-2 * np.sign(a) * (z > 0) - b))).astype(float)
    y[::20] = np.nan
    return {
        "bank.t": pa.table({"id": ids, "z": z, "c": c, "y": y}),
        "bureau.t": pa.table({"id": ids[:SHARED], "a": a[:SHARED], "b": b[:SHARED]}),
    }


CONSENTS = """
[bank.consents]
path = "consents.csv"
[bank.t.basis]
table = "bank.consents"
of = "id"
purpose = "purpose"
recipient = "given_to"
withdrawn = "withdrawn"
"""


def training() -> dict[str, Any]:
    trees = {"task": "grown", "label": "bank.y", "model": "trees", "folds": 2, "row_bits": 3}
    return {
        "job": {"name": "j", "purpose": "p", "key_bits": 2048},
        "party": PARTIES,
        "align": {"minimum_overlap": 20},
        "train": [
            trees | {"trees": 3, "depth": 2, "features": ["bank.z", "bank.c", "bureau.a"]},
            {"task": "fitted", "label": "bank.y", "folds": 0, "evaluations": 6, "noise": 0},
        ],
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, JobResult]:
    folder = tmp_path_factory.mktemp("scored")
    return folder, run_job(Job.load(training()), tables(), folder / "out", models=folder / "models")


def part(folder: Path, task: str, party: str = "bank") -> ModelPart:
    return ModelStore(folder / "models" / party).find(task)


def job(folder: Path) -> dict[str, Any]:
    asked = training() | {"align": {"minimum_overlap": 1}}
    del asked["train"]
    grown, fitted = part(folder, "grown"), part(folder, "fitted")
    taken = {"features": ["bank.z", "bank.c", "bureau.a"]}
    return asked | {
        "score": [
            {"task": "grown", "model": grown.id, "row_bits": max(1, grown.told), **taken},
            {"task": "fitted", "model": fitted.id, "score_bits": 12},
        ]
    }


TRAINS = """
job = { name = "j", purpose = "p" }
party = [
    { name = "bank", table = "bank.t", keys = [["id"]], features = ["z"] },
    { name = "bureau", table = "bureau.t", keys = [["id"]], features = ["a"] },
]
train = { task = "fitted", label = "bank.y" }
"""


SCORES = """
job = { name = "j", purpose = "p" }
party = [
    { name = "bank", table = "bank.t", keys = [["id"]], features = ["a", "c"] },
    { name = "bureau", table = "bureau.t", keys = [["id"]], features = ["b", "c"] },
]
align = { minimum_overlap = 20 }
score = [{ task = "churn", model = "0000000000000000", row_bits = 3 }]
"""


@pytest.fixture(scope="module")
def again(trained: tuple[Path, JobResult]) -> JobResult:
    """The rows of the training, scored."""
    folder, _ = trained
    return run_job(Job.load(job(folder)), tables(), folder / "again", models=folder / "models")


def test_the_same_rows_have_the_scores_of_the_training(
    trained: tuple[Path, JobResult], again: JobResult
) -> None:
    (folder, first), found = trained, again
    ended = json.loads((folder / "out" / "metrics.json").read_text())["run"]["trainings"]
    assert {task: one["model"] for task, one in ended.items()} == {
        task: part(folder, task).id for task in ("grown", "fitted")
    }, "what a [[score]] names"
    grown, fitted = found.federation.outcome.scored
    trained_by = {one.terms.task: one for one in first.federation.outcome.trained}
    model = trained_by["grown"]
    assert np.allclose(grown.part.answers.predict(grown.scores), model.scores, atol=1e-12)
    # of the regression training told a number with noise; what parties keep adds up to the model
    own, theirs = part(folder, "fitted"), part(folder, "fitted", "bureau")
    rows = first.federation.outcome.rows
    taken = tables()["bank.t"].take(pa.array(rows))
    assert theirs.linear is not None
    assert theirs.encoder is not None
    of_bureau = theirs.encoder.transform(tables()["bureau.t"].take(pa.array(rows)))[0]
    exact = own.fixed(taken) * 2.0**-30 + theirs.linear.scores(of_bureau)
    step = 2.0 ** (theirs.shift(12) - 30)
    assert np.abs(fitted.scores - exact).max() <= step / 2 + 1e-8
    noisy = model.model.link(trained_by["fitted"].scores)
    assert np.abs(noisy - exact).max() < 7 * 2.0**-5 * theirs.of_part.deviation
    metrics = json.loads((folder / "again" / "metrics.json").read_text())["scored"]
    assert metrics["grown"]["drift_of_scores"] < 0.01
    assert max(metrics["fitted"]["drift"].values()) < 0.01
    for name, line in (("bank", "score.score_bits"), ("bureau", "score.model")):
        ledger = read_ledger(folder / "again" / "parties" / name / "ledger.jsonl")
        told = [one["body"]["line"] for one in ledger if one["kind"] == "disclosure"]
        assert line in told
    assert first.profiles is not None
    assert found.profiles is not None
    both = ["entity", "segment", "segment_name"]
    assert found.profiles[both].equals(first.profiles[both]), "of the training, not cut anew"
    assert first.profiles["segment"].nunique() == 6
    hashes = found.federation.contract.party("bureau").parts
    assert hashes == tuple(part(folder, task, "bureau").digest for task in ("grown", "fitted"))


@pytest.mark.parametrize("me", ["bank", "bureau"])
def test_a_scoring_is_rehearsed_and_has_the_messages_of_the_real_one(
    trained: tuple[Path, JobResult], again: JobResult, me: str
) -> None:
    """By the party's own parts, which stay as they are, and invented ones of the other."""
    (folder, _), models = trained, trained[0] / "models" / me
    before = {file.name: file.read_bytes() for file in models.iterdir()}
    mine = MemorySource({f"{me}.t": tables()[f"{me}.t"]})
    draft = nameless_draft(Job.load(job(folder)))
    found = rehearse(draft, me, mine, ONE_PROCESS, rows=0, models=models)
    assert found.ended == ""
    lines = read_ledger(folder / "again" / "parties" / me / "ledger.jsonl")
    told = [line for line in lines if line["kind"] in ("sent", "received")]
    real: Counter[tuple[str, str, str]] = Counter()
    for one in told:
        for kind, (count, _) in messages_of(one["body"]).items():
            real[one["body"]["step"], one["kind"], kind] += count
    counts = {(one.step, one.way, one.message): one.count for one in found.messages}
    for task in ("score/grown", "score/fitted"):
        assert {k: n for k, n in counts.items() if k[0] == task} == {
            k: n for k, n in real.items() if k[0] == task
        }
    assert before == {file.name: file.read_bytes() for file in models.iterdir()}
    assert draft.score[1].model in {file.name for file in models.iterdir()}
    with pytest.raises(Refused, match="keeps no part of model"):
        rehearse(draft, me, mine, ONE_PROCESS, models=folder / "none")


def test_a_scoring_with_several_partners_is_rehearsed_by_a_part_alone(tmp_path: Path) -> None:
    """No training is needed: the others' parts are invented in any case."""
    features = {"bank": ("a", "c"), "bureau": ("b", "c"), "telco": ("t",)}
    brought = tuple(Brought(n, f"{n}.t", (("id",),), (("text",),), f) for n, f in features.items())
    store, whole = ModelStore(tmp_path), made_table(rows=300)
    store.write(made_part(side=FEATURE, partners=("bureau", "telco"), brought=brought))
    asked = {
        "job": {"name": "j", "purpose": "p", "key_bits": 2048},
        "party": [
            {"name": n, "table": f"{n}.t", "keys": [["id"]], "features": list(f)}
            for n, f in features.items()
        ],
        "align": {"minimum_overlap": 1},
        "score": [{"task": "churn", "model": store.ids()[0], "score_bits": 5}],
    }
    mine = whole.append_column("id", pa.array([f"c{n}" for n in range(300)]))
    source, draft = MemorySource({"bureau.t": mine}), nameless_draft(Job.load(asked))
    found = rehearse(draft, "bureau", source, ONE_PROCESS, models=tmp_path)
    assert found.ended == ""
    sent = {
        (m.peer, m.message) for m in found.messages if (m.step, m.way) == ("score/churn", "sent")
    }
    assert sent == {("telco", "Joint"), ("bank", "Levels")}
    assert "are real, the others' are invented" in "\n".join(in_lines(found, Policy()))


def test_a_node_rehearses_by_the_models_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('version = 1\nname = "bureau"\nhub = "nowhere:1"\n')
    (tmp_path / "policy.toml").write_text("")
    bound = '[bureau.t]\npath = "t.csv"\nkeys = ["id"]\n'
    bound += 'permissions = { b = "feature", c = "feature" }\n'
    (tmp_path / "tables.toml").write_text(bound)
    rows = made_table(rows=100).append_column("id", pa.array([f"c{n}" for n in range(100)]))
    pyarrow.csv.write_csv(rows, tmp_path / "t.csv")
    ModelStore(tmp_path / "models").write(made_trees(FEATURE))
    (tmp_path / "job.toml").write_text(SCORES)
    asked = ["node", "rehearse", str(tmp_path / "job.toml"), "--home", str(tmp_path)]
    shown = CliRunner().invoke(app, asked)
    # what two columns hold is not enough for three bits at a new node
    assert "Policy: refuses: 3.0 bits of a row of bureau.t asked" in shown.output
    assert "this party's parts of models are real" in shown.output
    shutil.rmtree(tmp_path / "models")
    none = CliRunner().invoke(app, asked).exception
    assert "bureau keeps no part of model 0000000000000000" in str(none)


@pytest.mark.parametrize(("splits", "levels"), [(1, 1), (8, 1), (9, 2), (40, 43), (70, 5)])
def test_invented_trees_have_as_many_splits_and_levels(splits: int, levels: int) -> None:
    layout = Layout((Column(5, True, False),))
    trees = grown(splits, levels, layout, np.random.default_rng(1))
    forest = Forest(0.0, trees, layout)
    assert forest.partner_splits == splits
    assert len(partner_levels(forest)) == min(levels, splits)
    sides = np.zeros((splits, 7), np.bool_)
    assert np.isfinite(forest.scores([np.arange(7, dtype=np.uint16) % 5], sides)).all()


def test_new_rows_are_scored_by_the_command_alone_or_many(
    trained: tuple[Path, JobResult], tmp_path: Path
) -> None:
    """One new customer, and one with none: as the same rows among others."""
    folder, _ = trained
    shutil.copytree(folder / "models", tmp_path / "models")
    new = tables(60, seed=8, name="n")
    moved = new["bank.t"].column("z").to_numpy() + 4
    new["bank.t"] = new["bank.t"].set_column(1, "z", pa.array(moved)).drop_columns(["y"])
    scores, segments = [], []
    for name, rows in (("many", 60), ("one", 1)):
        asked = job(folder) | {"target": [{"product": "calls", "task": "fitted", "top": 5}]}
        mine = {"bank.t": new["bank.t"].slice(0, rows), "bureau.t": new["bureau.t"].slice(0, rows)}
        found = run_job(Job.load(asked), mine, tmp_path / name, models=tmp_path / "models")
        assert found.profiles is not None
        scores.append(found.profiles[["score_grown", "score_fitted"]].to_numpy())
        segments.append(found.profiles["segment"].tolist())
        listed, score = found.targets, found.profiles["score_fitted"]
        assert listed is not None
        assert listed["score"].tolist() == sorted(score, reverse=True)[:5]
        if rows == 60:
            assert "z" in found.metrics["scored"]["fitted"]["moved"]
            look = found.outputs.report.looks[-1]  # before the lists, not among the notes
            assert look.startswith("fitted is scored by model")
            page = found.report().read_text()
            assert page.index("Look before the scores are used") < page.index('id="segments')
    assert np.array_equal(scores[0][:1], scores[1])
    assert segments[0][:1] == segments[1], "a customer by himself is where he is among others"
    for at, table in enumerate(("bank", "bureau")):
        pyarrow.csv.write_csv(new[f"{table}.t"].slice(0, 40 + at), tmp_path / f"{table}.csv")
    bound = "".join(f'[{name}.t]\npath = "{name}.csv"\n' for name in ("bank", "bureau"))
    (tmp_path / "tables.toml").write_text(bound + CONSENTS)
    left = "".join(f"n{n},p,bureau,{'2026-01-02' * (n == 7)}\n" for n in range(40))
    (tmp_path / "consents.csv").write_text("id,purpose,given_to,withdrawn\n" + left)
    where = ["--tables", str(tmp_path / "tables.toml"), "--out", str(tmp_path / "cli"), "--quiet"]
    more = ["--lang", "zh", "--fact", "id", "--fact", "c"]
    ran = CliRunner().invoke(app, ["score", "fitted", *where, *more])
    assert ran.exit_code == 0, ran.output
    assert ran.output.index("report.html") < ran.output.index("disclosed to"), "results first"
    written = next(tmp_path.glob("score-fitted-*.toml"))
    part = receivers_part(tmp_path / "models", "fitted")
    assert written.read_text() == job_text(part, facts=["id", "c"])
    report = (tmp_path / "cli" / "report.html").read_text()
    assert "个字段用于评分" in report
    assert '<html lang="zh-Hans">' in report
    (tmp_path / "training.toml").write_text(TRAINS)
    trains = CliRunner().invoke(app, ["score", str(tmp_path / "training.toml"), *where])
    assert "no [[score]] found, one needed" in str(trains.exception)
    shown = pq.read_table(tmp_path / "cli" / "profiles.parquet").to_pandas().set_index("entity")
    assert "n7" not in shown.index, "who has withdrawn is scored by nobody"
    assert shown.segment["n3"] == segments[0][3]
    again = [shown.score_fitted[f"n{n}"] for n in range(40) if n != 7]
    # the command takes the training's score_bits, coarser steps than those above
    assert np.corrcoef(again, np.delete(scores[0][:40, 1], 7))[0, 1] > 0.99


ALL = ["bank.z", "bank.c", "bureau.a", "bureau.b"]


def asks(section: dict[str, Any], key: str, value: Any, instead: str = "") -> None:
    section[key] = value
    section.pop(instead, None)


def _other_version(folder: Path, asked: dict[str, Any]) -> None:
    store = ModelStore(folder / "bureau")
    name = asked["score"][1]["model"]
    text = store.read(name).to_bytes().replace(b'"version": 1', b'"version": 2', 1)
    store._vault.write(name, text, name.encode())


def _other_party(folder: Path, asked: dict[str, Any]) -> None:
    store = ModelStore(folder / "bureau")
    name = asked["score"][1]["model"]
    found = replace(store.read(name), receiver="shop")
    store.remove(name)
    store.write(found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f, j: j["score"][1].update(model="0" * 16), "bank keeps no part of model 0000"),
        (lambda f, j: shutil.rmtree(f / "bureau"), "bureau keeps no part of model"),
        (_other_version, "version 2 found, 1 is read here"),
        (_other_party, "for shop with bureau; 'fitted' for bank with bureau asked"),
        (lambda f, j: asks(j["score"][0], "features", ALL), "'b' is asked, which it was not"),
        (lambda f, j: asks(j["score"][1], "features", ALL[:1] + ALL[2:]), "'c' is not asked"),
        (lambda f, j: j["score"][0].update(task="other"), "is of 'grown' for bank"),
        (lambda f, j: asks(j["score"][1], "row_bits", 3, "score_bits"), "score_bits of it"),
        (lambda f, j: asks(j["score"][0], "score_bits", 3, "row_bits"), "row_bits of it"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_anything_is_aligned(
    trained: tuple[Path, JobResult], tmp_path: Path, change: Any, said: str
) -> None:
    folder, _ = trained
    shutil.copytree(folder / "models", tmp_path / "models")
    asked = job(folder)
    change(tmp_path / "models", asked)
    with pytest.raises(FedprofileError, match=said):
        run_job(Job.load(asked), tables(), tmp_path / "out", models=tmp_path / "models")
    for ledger in (tmp_path / "out.failed").glob("*/ledger.jsonl"):
        assert not [one for one in read_ledger(ledger) if one["kind"] == "disclosure"]


def test_columns_and_batches_that_do_not_fit(
    trained: tuple[Path, JobResult], tmp_path: Path
) -> None:
    folder, _ = trained
    whole = tables()
    text = whole["bureau.t"].set_column(1, "a", pa.array(["u", "v"] * (SHARED // 2)))
    nobody = whole["bank.t"].set_column(0, "id", pa.nulls(ROWS, pa.string()))
    for mine, said in (
        (whole | {"bureau.t": text}, "'a' is a category, model"),
        (whole | {"bureau.t": whole["bureau.t"].drop_columns(["b"])}, "b"),
        (whole | {"bank.t": whole["bank.t"].slice(0, 0)}, "bank.t: the table is empty"),
        (whole | {"bank.t": nobody}, "0 different usable keys"),
    ):
        with pytest.raises(FedprofileError, match=said):
            run_job(Job.load(job(folder)), mine, tmp_path / "out", models=folder / "models")
    for section, said in (
        ({"model": "x"}, "16 hexadecimal digits"),
        ({"row_bits": 2, "score_bits": 2}, "none beside score_bits"),
        ({"score_bits": 13}, "score_bits"),
    ):
        asked = job(folder)
        asked["score"][1] |= section
        with pytest.raises(JobError, match=said):
            Job.load(asked)
    with pytest.raises(JobError, match="found more than once"):
        Job.load(job(folder) | {"train": [training()["train"][1]]})
    joins = {"minimum_overlap": 1, "duplicates": "join"}
    with pytest.raises(JobError, match=r"collapse allowed with \[\[score\]\]"):
        Job.load(job(folder) | {"align": joins})

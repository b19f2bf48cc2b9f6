"""The same job gives the same outputs, bit for bit, from every source of tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from profiles.demo import build
from profiles.demo.jobs import JOBS
from profiles.job import Job
from profiles.run import run_job
from profiles.tables import open_tables
from tests.every import EVERY_JOB
from tests.seeded import outputs, seed_sessions
from tests.sources import KINDS, entry

JOB = """
[job]
name = "small churn"
purpose = "retention"
key_bits = 2048

[[party]]
name = "bank"
table = "bank.people"
keys = [["id"], ["phone", "name"]]
features = ["balance", "tenure", "town"]

[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id_no"], ["mobile", "called"]]
features = ["loans", "overdue", "usage", "queries"]

[align]
kinds = [["text"], ["phone", "name"]]
minimum_overlap = 50

[[aggregate]]
by = "bank.segment"
measures = ["bureau.loans:mean", "bureau.usage:share>0.5"]
minimum_group = 10

[train]
task = "churn"
label = "bank.churned"
positive = "left"
folds = 2
evaluations = 5
fold_evaluations = 1

[profile]
segments = 3
facts = ["customer", "since"]

[[target]]
product = "offer"
top = 40
managers = "bank.managers"
name = "name"
columns = ["phone"]
"""
Tables = Mapping[str, pa.Table]


def small() -> Tables:
    """Two parties' tables in no order; keys are repeated, missing, written in several ways."""
    rng = np.random.default_rng(11)
    rows = 320
    person = rng.permutation(np.concatenate([np.arange(280), rng.integers(0, 280, rows - 280)]))
    hidden = rng.normal(size=(280, 6))
    left = rng.random(280) < 1 / (1 + np.exp(-hidden @ [1.2, -0.8, 0.5, 0.0, 0.6, 0.0]))

    def without(values: list[str], share: float) -> pa.Array:
        return pa.array(values, pa.string(), mask=rng.random(len(values)) < share)

    bank = {
        "customer": [f"c{i:04d}" for i in range(rows)],
        "id": without([f"id{p:05d}" for p in person], 0.2),
        "phone": without([f"138{p:08d}" for p in person], 0.1),
        "name": [f"planted {p % 90}" for p in person],
        "segment": rng.choice(["gold", "basic"], rows),
        "town": rng.choice(["A", "B", "C"], rows),
        "branch": rng.choice(["north", "south"], rows),
        "since": rng.integers(1990, 2026, rows),
        "balance": hidden[person, 4] + rng.normal(size=rows) / 10,  # rows of one person differ
        "tenure": pa.array(hidden[person, 5], mask=rng.random(rows) < 0.1),
        "churned": pa.array(np.where(left, "left", "stays")[person], mask=rng.random(rows) < 0.1),
    }
    people = rng.permutation(260)
    bureau = {
        "id_no": without([f"id{p:05d}" for p in people], 0.2),
        "mobile": [f"138 {p:08d}" for p in people],
        "called": [f"planted {p % 90}" for p in people],
        **{n: hidden[people, i] for i, n in enumerate(("loans", "overdue", "usage", "queries"))},
    }
    managers = {"manager": ["Ann", "Bo", "Cy"], "branch": ["north", "south", "south"]}
    return {
        "bank.people": pa.table(bank),
        "bureau.people": pa.table(bureau),
        "bank.managers": pa.table(managers | {"capacity": [9, 20, 20]}),
    }


def results(
    kind: str, jobs: Mapping[str, str], tables: Tables, folder: Path, request: Any
) -> Iterator[tuple[str, dict[str, bytes], Any]]:
    """Each job's outputs, and its numbers, with every table in a source of this kind."""
    lines = [
        f"[{name}]\n{entry(kind, table, folder, name.replace('.', '_'), request)}\n"
        for name, table in tables.items()
    ]
    (folder / "tables.toml").write_text("\n".join(lines), encoding="utf-8")
    for name, text in jobs.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch:
            seed_sessions(patch)
            run_job(
                Job.load(folder / f"{name}.toml"),
                open_tables(folder / "tables.toml"),
                folder / name,
            )
        metrics = json.loads((folder / name / "metrics.json").read_text())
        metrics.pop("run")
        yield name, outputs(folder / name), metrics


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, request: Any) -> list[Any]:
    """What comes of the small job from CSV."""
    folder = tmp_path_factory.mktemp("csv")
    return list(results("csv", {"small": JOB}, small(), folder, request))


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_with_its_tables_in_each(
    kind: str, tmp_path: Path, expected: list[Any], request: pytest.FixtureRequest
) -> None:
    found = list(results(kind, {"small": JOB}, small(), tmp_path, request))
    assert found == expected
    ((_, files, metrics),) = found
    assert set(files) == {"profiles.parquet", "targets.parquet", "targets.csv"}
    assert metrics["matched"] > 200


# shorter trainings: what a source gives is the same in each
SHORT = {
    name: text.replace(
        "folds = 3\nevaluations = 6", "folds = 2\nevaluations = 3\nfold_evaluations = 1"
    )
    for name, text in JOBS.items()
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, request: Any) -> list[Any]:
    """What comes of the demo's jobs from CSV."""
    return list(results("csv", SHORT, build().tables, tmp_path_factory.mktemp("csv"), request))


@pytest.mark.slow
@EVERY_JOB  # the small job has each source too
@pytest.mark.parametrize("kind", KINDS[1:])
def test_the_demo_with_its_tables_in_each(
    kind: str, tmp_path: Path, demo: list[Any], request: pytest.FixtureRequest
) -> None:
    tables = {n: table for n, table in build().tables.items() if n != "bank.transactions"}
    for found, wanted in zip(results(kind, SHORT, tables, tmp_path, request), demo, strict=True):
        assert found == wanted

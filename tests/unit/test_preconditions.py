"""Slips that a party's own table shows end a job before anything is disclosed: each planted."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from federated.steps.runner import facts_of
from federated.tables.source import MemorySource
from profiles.federation import federate
from profiles.job import Job
from profiles.proposal import nameless_draft
from profiles.run import run_job
from psi.protocol import FedprofileError

ROWS = 200
JOB = """
[job]
name = "j"
purpose = "p"
key_bits = 2048
[[party]]
name = "bank"
table = "bank.t"
keys = [["id"]]
features = ["z"]
[[party]]
name = "bureau"
table = "bureau.t"
keys = [["id"]]
features = ["a", "b", "c", "d"]
[[aggregate]]
by = "bank.g"
measures = ["bureau.m:sum"]
[[aggregate]]
by = "bureau.k"
categories = ["x"]
measures = ["bank.z:sum[0,1]"]
[train]
task = "churn"
label = "bank.y"
folds = 2
"""


def world() -> dict[str, dict[str, object]]:
    rng = np.random.default_rng(5)
    ids = [f"c{i}" for i in range(ROWS)]
    bank = {"id": ids, "z": rng.normal(size=ROWS), "g": ["p", "q"] * 100, "y": [0, 1] * 100}
    bureau: dict[str, object] = {c: rng.normal(size=ROWS) for c in "abcdm"}
    return {"bank": bank, "bureau": bureau | {"id": ids, "k": ["x", "y"] * 100}}


SLIPS: dict[str, tuple[str, str, Callable[[], object], str]] = {
    "three classes": ("bank", "y", lambda: [0, 1, 2, 1] * 50, "found 3 classes"),
    "one class": ("bank", "y", lambda: [1] * ROWS, "found 1 classes"),
    "few of a class": ("bank", "y", lambda: [1] * 5 + [0] * 195, "5 rows of its rarer class"),
    "a continuous label": ("bank", "y", lambda: np.arange(ROWS) / 7, "found 200 classes"),
    "a label of lists": ("bank", "y", lambda: [[1]] * ROWS, "'y'.*cannot be a label"),
    "dates as features": ("bureau", "a", lambda: [datetime.date(2026, 1, 1)] * ROWS, "'a'"),
    "text numbers": ("bureau", "a", lambda: [f"{i:,}.5" for i in range(3000, 3200)], "'a'.*spell"),
    "infinite": ("bureau", "a", lambda: np.append(np.ones(ROWS - 1), np.inf), "'a'.*infinite"),
    "text as a measure": ("bureau", "m", lambda: ["x"] * ROWS, "'m'.*200 of 200.*not numeric"),
    "too large to add": ("bureau", "m", lambda: np.full(ROWS, 2.0**45), "'m'.*too large"),
    "structs as segments": ("bank", "g", lambda: [{"a": 1}] * ROWS, "'g'.*cannot be a segment"),
    "an empty segment": ("bank", "g", lambda: pa.nulls(ROWS), "'g' is empty"),
    "lists as a category": ("bureau", "k", lambda: [["x"]] * ROWS, "'k'.*cannot be a category"),
    "text as an amount": ("bank", "z", lambda: ["x", "1"] * 100, "'z'"),
    "bytes as keys": ("bureau", "id", lambda: [b"\x00\xff"] * ROWS, "key column 'id'"),
}


def source(tables: dict[str, dict[str, object]]) -> MemorySource:
    return MemorySource({f"{name}.t": pa.table(columns) for name, columns in tables.items()})


def loaded(folder: Path, text: str = JOB) -> Job:
    (folder / "job.toml").write_text(text)
    return Job.load(folder / "job.toml")


def test_the_world_without_a_slip_states_its_facts(tmp_path: Path) -> None:
    draft = nameless_draft(loaded(tmp_path))
    for name in ("bank", "bureau"):
        assert facts_of(draft.party(name), source(world()), b"", draft).rows == ROWS


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_told_with_the_facts(slip: str, tmp_path: Path) -> None:
    party, column, make, said = SLIPS[slip]
    tables = world()
    tables[party][column] = make()
    draft = nameless_draft(loaded(tmp_path))
    with pytest.raises(FedprofileError, match=said) as caught:
        facts_of(draft.party(party), source(tables), b"", draft)
    assert caught.value.exit_code in (4, 6)


@pytest.mark.parametrize("slip", ["three classes", "text numbers", "text as a measure"])
def test_nothing_was_disclosed_at_either_side(slip: str, tmp_path: Path) -> None:
    party, column, make, said = SLIPS[slip]
    tables = world()
    tables[party][column] = make()
    with pytest.raises(FedprofileError, match=said):
        federate(loaded(tmp_path), dict.fromkeys(tables, source(tables)), tmp_path / "home")
    for ledger in (tmp_path / "home").glob("*/ledger.jsonl"):
        kinds = [json.loads(line).get("kind") for line in ledger.read_text().splitlines()]
        assert "disclosure" not in kinds


@pytest.mark.parametrize("place", ["facts", "name", "columns", "branch", "managers"])
def test_odd_types_in_outputs_end_a_run_before_it_begins(place: str, tmp_path: Path) -> None:
    tables = world()
    tables["bank"] |= {"odd": [{"a": 1}] * ROWS, "branch": [["n"]] * ROWS}
    extra = '[[target]]\nproduct = "p"\n'
    if place == "facts":
        extra += '[profile]\nfacts = ["odd"]\n'  # the first fact names the entity
    elif place in ("name", "columns"):
        extra += 'name = "odd"\n' if place == "name" else 'columns = ["odd"]\n'
    if place != "branch":
        del tables["bank"]["branch"]
    made = {f"{name}.t": pa.table(columns) for name, columns in tables.items()}
    if place == "managers":
        extra += 'managers = "bank.m"\n'
        made["bank.m"] = pa.table({"manager": ["Ann"], "capacity": [datetime.date(2026, 1, 1)]})
    with pytest.raises(FedprofileError, match=r"cannot be a") as caught:
        run_job(loaded(tmp_path, JOB + extra), MemorySource(made), tmp_path / "out")
    assert caught.value.exit_code == 4
    assert not (tmp_path / "out.failed").exists()


def test_every_column_counts_that_sums_are_told_of_copies_too(tmp_path: Path) -> None:
    tables = world()
    bureau = tables["bureau"]
    bureau["d"] = np.asarray(bureau["a"]) + np.asarray(bureau["b"])
    draft = nameless_draft(loaded(tmp_path))
    assert facts_of(draft.party("bureau"), source(tables), b"", draft).design_columns == (4,)

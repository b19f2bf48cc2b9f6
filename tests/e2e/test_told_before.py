"""Whole jobs with one slip each, in the job, a table or a peer's shape: told before anything else.

Both parties play, over the memory router. A slip ends the job with an error of its own class before
any step but the negotiation of the contract has begun at any party, and no ledger has a disclosure.
What only the shared records show (which they are, and how many) is not known before.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from federated.session.session import Session
from federated.tables.frozen import FrozenColumns
from federated.tables.source import MemorySource
from profiles.job import Job
from profiles.looked import looked_at
from profiles.plan import planned
from profiles.run import run_job
from psi.protocol import FedprofileError
from tests.e2e.slips import (
    BANK,
    BINS,
    BUREAU,
    CATEGORY,
    LIST,
    ROWS,
    SEGMENT,
    SLIPS,
    SUMS,
    TRAIN,
    Tables,
    asked,
    world,
)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Every step that any party has begun."""
    found: set[str] = set()
    run = Session.run

    def noted(self: Session, step: str, *rest: Any) -> Any:
        found.add(step)
        return run(self, step, *rest)

    monkeypatch.setattr(Session, "run", noted)
    return found


def disclosures(folder: Path) -> int:
    """Disclosures in all ledgers of a run, ended well or not."""
    lines = [
        line for file in folder.rglob("ledger.jsonl") for line in file.read_text().splitlines()
    ]
    return sum(json.loads(line)["kind"] == "disclosure" for line in lines)


def source(tables: Tables) -> MemorySource:
    named = {name if "." in name else f"{name}.t": held for name, held in tables.items()}
    return MemorySource({name: pa.table(columns) for name, columns in named.items()})


def played(folder: Path, job: dict[str, Any], tables: Tables, **more: Any) -> None:
    run_job(Job.load(job), source(tables), folder / "out", **more)


def foretold(job: dict[str, Any], tables: Tables) -> tuple[str, str]:
    """What `plan` and `preflight` say of the job; a preflight needs keys."""
    try:
        found, held = Job.load(job), source(tables)
    except FedprofileError as error:
        return (str(error), str(error))
    planning = preflight = ""
    try:
        planned(found, held)
    except FedprofileError as error:
        planning = str(error)
    try:
        looked = [] if found.horizontal else [*looked_at(found, held, found.parties)]
        preflight = " ".join(said for one in looked for said in one.problems)
    except FedprofileError as error:
        preflight = str(error)
    return planning, planning if found.horizontal else preflight


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_is_told_before_anything_is_disclosed(
    name: str, begun: set[str], tmp_path: Path
) -> None:
    slip = SLIPS[name]
    with pytest.raises(FedprofileError, match=slip.said) as caught:
        played(tmp_path, slip.job, slip.tables)
    assert caught.value.exit_code in slip.code
    assert begun <= {"contract"}
    assert not disclosures(tmp_path)


@pytest.mark.parametrize("name", SLIPS)
def test_plan_and_preflight_say_the_same(name: str) -> None:
    slip = SLIPS[name]
    planning, preflight = foretold(slip.job, slip.tables)
    assert re.search(slip.said, planning)
    assert re.search(slip.said, preflight)


def test_without_a_slip_steps_are_seen_to_begin_and_to_disclose(
    begun: set[str], tmp_path: Path
) -> None:
    """What the tests above look at is there in a job that ends well."""
    played(tmp_path, asked(aggregate=[SEGMENT, CATEGORY], train=[TRAIN], target=[LIST]), world())
    assert {"contract", "align/bureau/0", "aggregate/0/bureau", "train/churn"} <= begun
    assert disclosures(tmp_path)


@pytest.mark.parametrize("job", [asked(aggregate=[CATEGORY]), asked(
    align={"reveal": "cardinality"}, join_sum=[SUMS]
), asked(binning=[BINS])], ids=["category", "join and sum", "binning"])  # fmt: skip
def test_noise_that_cannot_be_made_is_told_before(
    job: dict[str, Any], begun: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opendp", None)
    with pytest.raises(FedprofileError, match="OpenDP"):
        played(tmp_path, job, world())
    assert begun <= {"contract"}
    assert not disclosures(tmp_path)


@pytest.mark.parametrize("party", ["bank", "bureau"])
def test_a_table_that_is_another_next_month_is_told_before(
    party: str, begun: set[str], tmp_path: Path
) -> None:
    name = {"bank": "z", "bureau": "a"}[party]
    was, now = world(), world()
    now[party][name] = ["low", "high"] * (ROWS // 2)
    kept = tmp_path / "job.columns.json"
    noted = FrozenColumns(kept, lambda: 0.0)
    for one, features in (("bank", ["z", "y"]), ("bureau", ["a", "b"])):
        noted.check(f"{one}.t", pa.table(was[one]).select(features), features)
    assert noted.note()
    with pytest.raises(FedprofileError, match=f"'{name}' was numbers, is categories"):
        played(tmp_path, asked(), now, frozen=FrozenColumns(kept, lambda: 1e9))
    assert begun <= {"contract"}
    assert not disclosures(tmp_path)


SHAPES: dict[str, Callable[[Tables], dict[str, Any]]] = {
    "no columns of its own": lambda tables: asked(party=[BANK | {"features": []}, BUREAU]),
    "only constants of its own": lambda tables: (tables["bank"].update(z=[1.0] * ROWS), asked())[1],
    "nothing in its own column": lambda tables: (
        tables["bank"].update(z=pa.nulls(ROWS)), asked()
    )[1],
    "a column twice under another name": lambda tables: (
        tables["bureau"].update(b=tables["bureau"]["a"]), asked()
    )[1],
    "every key twice at the partner": lambda tables: (
        tables["bureau"].update({n: [*c, *c] for n, c in tables["bureau"].items()}), asked()
    )[1],
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_an_odd_shape_that_is_no_slip_ends_well(shape: str, tmp_path: Path) -> None:
    tables = world()
    job = SHAPES[shape](tables)
    played(tmp_path, job, tables)
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())["models"]["churn"]
    assert found["rows"] == ROWS

"""`preflight` says of a party's tables what the job itself would end with, before any contact."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from profiles.cli import app
from psi.protocol import EnvironmentFailed

JOB = """
[job]
name = "trial"
purpose = "test"
[[party]]
name = "bank"
table = "bank.t"
keys = [["id"]]
features = ["x"]
[[party]]
name = "bureau"
table = "bureau.t"
keys = [["id"]]
features = ["y"]
[align]
minimum_overlap = 2
[[aggregate]]
by = "bank.g"
measures = ["bureau.y:sum"]
[train]
task = "churn"
label = "bank.left"
folds = 2
[[target]]
product = "p"
managers = "bank.m"
"""


def write_world(folder: Path, party: str, section: str, changes: dict[str, Any]) -> None:
    rng = np.random.default_rng(2)
    bank = pd.DataFrame(
        {"id": range(90), "x": rng.normal(size=90), "g": ["a", "b"] * 45, "left": [0, 1, 0] * 30}
    )
    bureau = pd.DataFrame({"id": range(90), "y": rng.normal(size=90)})
    managers = pd.DataFrame({"manager": ["Ann", "Bo"]})
    for column, values in changes.items():
        table = {"y": bureau, "manager": managers}.get(column, bank)
        table[column] = values
    for name, table in (("bank", bank), ("bureau", bureau), ("managers", managers)):
        table.to_csv(folder / f"{name}.csv", index=False)
    files = {"bank.t": "bank", "bank.m": "managers", "bureau.t": "bureau"}
    (folder / "tables.toml").write_text(
        "".join(
            f'[{name}]\npath = "{file}.csv"\n{section * (name == f"{party}.t")}\n'
            for name, file in files.items()
        )
    )
    (folder / "job.toml").write_text(JOB)


def said(folder: Path, party: str, section: str = "", **changes: Any) -> tuple[int, str]:
    write_world(folder, party, section, changes)
    words = ["preflight", str(folder / "job.toml"), "--tables", str(folder / "tables.toml")]
    done = CliRunner().invoke(app, [*words, "--party", party, "--json"])
    (found,) = json.loads(done.output)
    return done.exit_code, " ".join(found["problems"])


def test_tables_in_which_nothing_is_in_the_way(tmp_path: Path) -> None:
    assert said(tmp_path, "bank") == (0, "")
    assert said(tmp_path, "bureau") == (0, "")


def test_a_package_for_the_noise_on_bins_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At both: it hides one's labels, and the other's records; `plan` says it too."""
    monkeypatch.setitem(sys.modules, "opendp", None)
    monkeypatch.setattr(f"{__name__}.JOB", JOB + '[[binning]]\nlabel = "bank.left"\n')
    write_world(tmp_path, "bank", "", {})
    for command, *more in (
        ["preflight"], ["preflight", "--party", "bureau"], ["plan"],
        ["run", "--out", str(tmp_path / "out")],
    ):  # fmt: skip
        words = [command, str(tmp_path / "job.toml"), "--tables", str(tmp_path / "tables.toml")]
        ended = CliRunner().invoke(app, [*words, *more]).exception
        assert isinstance(ended, EnvironmentFailed), (command, more)
        assert str(ended).removeprefix("bank: ").removeprefix("bureau: ") == (
            "noise needs OpenDP, which is not installed (pip install 'fedprofile[noise]')"
        )


@pytest.mark.parametrize(
    ("party", "column", "values", "message"),
    [
        ("bank", "left", [0, 1, 2] * 30, "found 3 classes, allowed: 2"),
        ("bank", "left", [0] * 90, "found 1 classes, allowed: 2: both outcomes are needed"),
        ("bank", "left", [1] * 5 + [0] * 85, "5 rows of its rarer class"),
        ("bank", "g", [f"g{i}" for i in range(90)], ""),
        ("bank", "manager", ["Ann", "Ann"], "1 repeat one"),
        ("bureau", "y", [3e13] * 90, "too large to add up"),
        ("bureau", "y", [5] * 80 + [6] * 10, "no usable column of bureau for 'churn'"),
    ],
)
def test_what_would_end_the_job_later_is_a_problem_now(
    tmp_path: Path, party: str, column: str, values: list[object], message: str
) -> None:
    changed: dict[str, Any] = {column: values}
    code, problems = said(tmp_path, party, **changed)
    assert message in problems
    assert code == (4 if message else 0)


@pytest.mark.parametrize(
    ("party", "section", "message"),
    [
        ("bank", 'permissions = { x = "never" }', "'x' of bank.t asked as feature, never allowed"),
        ("bureau", 'permissions = { y = "aggregate" }', "asked as feature, aggregate allowed"),
        ("bureau", 'keys = ["y"]', "column 'id' of bureau.t asked as key, no such key allowed"),
        ("bureau", 'keys = ["id"]\npermissions = { y = "feature" }', ""),
    ],
)
def test_what_its_owner_does_not_allow_is_said_by_preflight_and_plan(
    tmp_path: Path, party: str, section: str, message: str
) -> None:
    code, problems = said(tmp_path, party, section)
    assert message in problems
    assert code == (4 if message else 0)
    words = ["plan", str(tmp_path / "job.toml"), "--tables", str(tmp_path / "tables.toml")]
    done = CliRunner().invoke(app, words)
    assert message in str(done.exception)
    assert done.exit_code == bool(message)


@pytest.mark.parametrize("asked", ["epsilon = 20", "epsilon = 1", 'noise = "none"'])
def test_plan_of_all_tables_refuses_the_noise_that_run_refuses(tmp_path: Path, asked: str) -> None:
    """`run` alone said so, after the tables were prepared."""
    said(tmp_path, "bank")
    job, tables = tmp_path / "job.toml", tmp_path / "tables.toml"
    section = f"""
[[binning]]
label = "bank.left"
bins = 2
{asked}
"""
    job.write_text(JOB + section)
    done = CliRunner().invoke(app, ["plan", str(job), "--tables", str(tables)])
    if asked == "epsilon = 1":
        assert done.exit_code == 0, done.output
        return
    told = f"{done.output} {done.exception}"
    assert done.exit_code != 0
    assert "allowed by policy" in told
    done = CliRunner().invoke(app, ["preflight", str(job), "--tables", str(tables)])
    assert done.exit_code == 4
    assert "allowed by policy" in done.output
    one_bound = tables.read_text().split("[bureau.t]")[0]  # the other's policy is its own
    tables.write_text(one_bound)
    assert CliRunner().invoke(app, ["plan", str(job), "--tables", str(tables)]).exit_code == 0


def test_one_thing_in_the_way_hides_no_other_and_the_block_lists_all(tmp_path: Path) -> None:
    """Numbers with marks, a header in mid-file and a manager twice: one was told, or none."""
    marks = [f"{i}.{i + 100:03},5" for i in range(1, 91)]
    left = ["0", "1", "left"] * 30
    code, told = said(tmp_path, "bank", x=marks, left=left, manager=["Ann", "Ann"])
    assert code == 4
    for part in ("'x': 90 different texts that spell numbers", "found 3 classes", "1 repeat one"):
        assert told.count(part) == 1, told
    words = ["preflight", str(tmp_path / "job.toml"), "--tables", str(tmp_path / "tables.toml")]
    shown = CliRunner().invoke(app, [*words, "--party", "bank"])
    assert shown.exit_code == 4
    assert "nothing to mend" not in shown.output
    block = shown.output.split("the job cannot succeed with this table:")[1]
    assert "spell numbers" in block
    assert "3 classes" in block
    assert shown.output.count("spell numbers") == 1


@pytest.mark.parametrize("empty", [False, True])
def test_nothing_to_mend_is_said_where_there_is_no_remark_either(
    tmp_path: Path, empty: bool
) -> None:
    x = np.nan if empty else np.arange(90) / 7
    assert said(tmp_path, "bank", id=[f"c{i:02}" for i in range(90)], x=x) == (0, "")
    words = ["preflight", str(tmp_path / "job.toml"), "--tables", str(tmp_path / "tables.toml")]
    shown = CliRunner().invoke(app, [*words, "--party", "bank"])
    assert ("nothing to mend" in shown.output) == (not empty), shown.output

"""A job's label made of flows: rows of several cut-offs, nothing later in them, nobody in two."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from federated.tables.bindings import TablesFile
from profiles.cli.flows import app
from profiles.flows.flows import Flows
from profiles.flows.taxonomy import Taxonomy
from profiles.job import Job
from profiles.labelled import training_table
from profiles.plan import planned
from profiles.run import run_job
from profiles.tables import open_tables
from psi.protocol.errors import InputError, JobError, MisuseError

TABLES = """
[bank.tx]
path = "tx.csv"
[bank.levels]
path = "levels.csv"
[bank.accounts]
path = "accounts.csv"
[bank.consumers]
path = "consumers.csv"
[bank.training]
path = "training.parquet"
[bank.counts]
path = "training.counts.csv"
[flows.f]
taxonomy = ["few.toml"]
[flows.f.accounts]
table = "bank.accounts"
account = "account"
entity = "entity"
died = "died"
[flows.f.balances]
table = "bank.levels"
account = "account"
day = "day"
amount = "amount"
[[flows.f.source]]
table = "bank.tx"
id = "id"
account = "account"
time = "day"
amount = "amount"
text = "text"
"""
CUTS = ["2026-01-01", "2026-04-01", "2026-07-01"]
LABEL = {
    "task": "churn", "cut_offs": CUTS, "of": "bank.consumers", "by": "cust_no",
    "counted": "bank.counts", "fixed": ["born"],
}  # fmt: skip
NAME = "assets of 10000 or more halved in months 2 to 4"
PERSONS = 540
TIME: dict[str, Any] = {"time": "bank.cut_off", "validate_from": CUTS[2]}


def job(label: dict[str, Any] | None = None, **train: Any) -> dict[str, Any]:
    bank = {
        "name": "bank", "table": "bank.training", "keys": [["id_no"]],
        "features": ["view:products", "born"],
    }  # fmt: skip
    bureau = {"name": "bureau", "table": "bureau.t", "keys": [["id_no"]], "features": ["a"]}
    asked = {"task": "churn", "label": "task:churn", "folds": 2, "noise": 0, "score_bits": 2}
    return {
        "job": {"name": "j", "purpose": "p", "key_bits": 2048},
        "party": [bank, bureau],
        "align": {"minimum_overlap": 20, "duplicates": "join"},
        "label": LABEL | (label or {}),
        "train": [asked | train],
    }


def leaves(person: int) -> int:
    """In which month of 2026 a person's money goes: March, June or September, else never."""
    return {0: 3, 1: 6, 2: 9}.get(person % 6, 99)


def bank(folder: Path) -> Path:
    """A year and a half; one died, one never had much."""
    tx, levels, accounts, consumers = list[str](), list[str](), list[str](), list[str]()
    for i in range(PERSONS):
        accounts.append(f"A{i},p{i},{'2026-02-02' if i == 5 else ''}")
        consumers.append(f"p{i},11010119900{i:03d}11,{1950 + i % 40}")
        tx.append(f"t{i},A{i},2025-09-10,{5000 + i},代发工资")
        for m in range(15):
            year, month = 2025 + (8 + m) // 12, (8 + m) % 12 + 1
            level = 900 if year == 2026 and month >= leaves(i) else 50_000 + i
            levels.append(f"A{i},{year}-{month:02d}-01,{9 if i == 11 else level}")
    tx += ["end,A0,2026-12-31,1,zzz", "none,A0,2026-12-31,0,zzz"]
    levels.append("A0,2026-02-30,1")
    tables = {
        "tx": ["id,account,day,amount,text", *tx],
        "levels": ["account,day,amount", *levels],
        "accounts": ["account,entity,died", *accounts],
        "consumers": ["cust_no,id_no,born", *consumers],
    }
    for name, lines in tables.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", "utf-8")
    # few types, so that what the engine is asked stays short
    dropped = [code for code in Taxonomy.load().types if code not in ("C.salary", "C.reversal")]
    few = f'version = "t"\ndrop = {json.dumps(dropped)}\n'
    (folder / "few.toml").write_text(few, "utf-8")
    (folder / "tables.toml").write_text(TABLES, "utf-8")
    (folder / "job.toml").write_text(_toml(job(**TIME)), "utf-8")
    return folder / "tables.toml"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank's folder in which `fedprofile flows labels` has written the table."""
    folder = tmp_path_factory.mktemp("bank")
    file, out = bank(folder), folder / "training.parquet"
    job_file = str(folder / "job.toml")
    done = CliRunner().invoke(
        app, ["labels", job_file, "--tables", str(file), "--out", str(out)], catch_exceptions=False
    )
    assert done.exit_code == 0
    assert f"label {NAME!r}" in done.output
    assert "  the amount is zero: 1" in done.stderr.splitlines()
    assert "balances] day: 1 days cannot be read: left out" in done.stderr
    return folder


def test_before_it_is_written_a_plan_names_the_command(tmp_path: Path) -> None:
    bank(tmp_path)
    with pytest.raises(InputError, match=r"no file .*training\.parquet") as error:
        planned(Job.load(tmp_path / "job.toml"), open_tables(tmp_path / "tables.toml"))
    assert "fedprofile flows labels" in error.value.hint
    assert "--out FILE" in error.value.hint


def test_cut_offs_stack_each_entity_on_one_side_of_the_validation_period(made: Path) -> None:
    rows = pq.read_table(made / "training.parquet").to_pandas()
    rows["person"] = rows.entity.str[1:].astype(int)
    days = rows.cut_off.astype(str)
    assert sorted(set(days)) == CUTS
    # money that goes in the outcome halves it; so it does a month or two before the cut-off; when
    # it was gone all through the base nobody is judged
    ones = {CUTS[0]: {3}, CUTS[1]: {3, 6}, CUTS[2]: {6, 9}}
    there = {CUTS[0]: {3, 6, 9, 99}, CUTS[1]: {3, 6, 9, 99}, CUTS[2]: {6, 9, 99}}
    for day in CUTS:
        of = rows[days == day]
        assert {leaves(i) for i in of.person[of[NAME] == 1]} == ones[day]
        assert {leaves(i) for i in of.person} == there[day]
    assert not {5, 11} & set(rows.person[days == CUTS[0]])
    assert 11 not in set(rows.person)
    late = days == CUTS[2]
    assert not set(rows.person[late]) & set(rows.person[~late])
    # 448 persons have labels on both sides, a third of them is drawn for the later: 149, sd 10
    assert 85 <= late.sum() <= 215


def test_who_has_no_label_is_counted_by_reason(made: Path) -> None:
    with (made / "training.counts.csv").open() as file:
        told = {(r["cut_off"], r["what"]): int(r["entities"]) for r in csv.DictReader(file)}
    assert told[CUTS[0], "died"] == 1
    assert told[CUTS[0], "a base too small"] == 1
    assert told[CUTS[0], "label 1"] == 90
    for day in CUTS:
        assert sum(n for (cut, _), n in told.items() if cut == day) == PERSONS


def test_a_job_trains_on_the_table_and_its_report_has_the_counts(made: Path) -> None:
    rows = pq.read_table(made / "training.parquet")
    counts = pa_csv.read_csv(made / "training.counts.csv")
    ids = [f"11010119900{i:03d}11" for i in range(PERSONS)]
    a = np.random.default_rng(3).normal(size=PERSONS)
    tables = {
        "bank.training": rows, "bank.counts": counts, "bureau.t": pa.table({"id_no": ids, "a": a}),
    }  # fmt: skip
    out = made / "out"
    found = run_job(Job.load(made / "job.toml"), tables, out)
    assert found.metrics["labels"][CUTS[0]]["died"] == 1
    assert found.metrics["models"]["churn"]["out_of_time"]["rows"] > 0
    assert f"Label as of {CUTS[0]}: 448 label 0, 90 label 1" in (out / "report.html").read_text()
    held = pq.read_table(out / "held_out.parquet").to_pandas()
    assert len(held) == len(rows)
    # the key deals folds: all rows of an entity are in one
    held = held[~held.out_of_time]
    assert len(held) > held.entity.nunique()
    assert (held.groupby("entity").fold.nunique() == 1).all()
    # counts of other cut-offs: the table was made by another section
    other = Job.load(job({"cut_offs": CUTS[:2]}))
    with pytest.raises(InputError, match="the job has 2026-01-01, 2026-04-01, the"):
        run_job(other, tables, made / "other")


@pytest.mark.parametrize(
    ("label", "train", "match"),
    [
        ({"gap": -1}, {}, "-1 found, 0 to 24"),
        ({"cut_offs": ["2026-01-15"]}, {}, "first days of months"),
        ({"task": "bought"}, {}, "product: '' found"),
        ({"fixed": []}, {}, "'born' found beside"),
        ({"task": "default", "arrears": "bank.late"}, {}, '"task:default" allowed'),
        (
            {},
            {"task": "other", "time": "bank.cut_off", "validate_from": CUTS[0]},
            "after the first",
        ),
        ({"of": "bureau.t"}, {}, "the receiver makes the labels|bank.TABLE"),
    ],
)
def test_what_cannot_be_a_label_is_refused(
    label: dict[str, Any], train: dict[str, Any], match: str
) -> None:
    with pytest.raises(JobError, match=match):
        Job.load(job(label, **train))


def test_a_label_needs_a_training_and_rows_of_their_own(made: Path) -> None:
    asked = job()
    asked["train"][0]["label"] = "bank.y"
    with pytest.raises(JobError, match="no training asks for it"):
        Job.load(asked)
    with pytest.raises(JobError, match="'collapse' found, 'join' needed with 3 cut-offs"):
        Job.load(job() | {"align": {"minimum_overlap": 20}})
    late = Job.load(job({"cut_offs": [*CUTS, "2026-10-01"]}))
    file = made / "tables.toml"
    with pytest.raises(MisuseError, match=r"its outcome ends on 2027-01-31, the data on 2026"):
        training_table(late, Flows.load(file), dict(TablesFile.load(file).tables))


def _toml(data: dict[str, Any]) -> str:
    lines = list[str]()
    for name, value in data.items():
        several = isinstance(value, list)
        for table in value if several else [value]:
            lines.append(f"[[{name}]]" if several else f"[{name}]")
            lines += [f"{key} = {json.dumps(one)}" for key, one in table.items()]
    return "\n".join(lines) + "\n"

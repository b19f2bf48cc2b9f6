"""Labels other than churn from tables to a trained model: default, a product, payroll."""

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

from profiles.cli.flows import app
from profiles.flows.taxonomy import Taxonomy
from profiles.job import Job
from profiles.run import run_job
from psi.protocol.errors import MisuseError
from tests.unit.profiles.test_labelled import TABLES, _toml
from tests.unit.profiles.test_labelled import job as churn_job

CUTS, PERSONS = ["2026-01-01", "2026-04-01"], 240
MORE = """
[bank.arrears]
path = "arrears.csv"
"""
FEW = ("C.salary", "C.reversal")


def months(first: int, last: int) -> list[str]:
    """First days of months; 1 is January 2025, 13 that of 2026."""
    return [f"{2025 + (m - 1) // 12}-{(m - 1) % 12 + 1:02d}" for m in range(first, last + 1)]


def bank(folder: Path) -> None:
    """By a person's number over 4. Wages: 0 lose theirs in May, 1 in March, 2 never, and 3 has a
    payer who stops paying everybody in June. Wealth: 0 buys in June, 1 in March, 2 never, 3 in
    January. Days past due: 0 from June on, 1 in March."""
    tx, levels, late = list[str](), list[str](), list[str]()
    for i in range(PERSONS):
        kind = i % 4
        last = {0: 16, 1: 14, 2: 20, 3: 17}[kind]
        payer = f"all {i % 3}" if kind == 3 else f"firm {i % 9}"
        for month in months(8, last):
            tx.append(f"t{i}{month},A{i},{month}-10,{5000 + i},代发工资,{payer}")
        levels.append(f"A{i},2025-09-01,{1000 + i},deposit")
        bought = {0: "06", 1: "03", 2: "", 3: "01"}[kind]
        levels += [f"A{i},2026-{bought}-05,500,wealth"] * (kind != 2)
        for m, month in enumerate(months(11, 20), start=11):
            days = {0: 95 * (m >= 18), 1: 120 * (m == 15), 2: 20, 3: 0}[kind]
            late.append(f"p{i},{month}-28,{days}")
    tx.append("end,A0,2026-08-31,1,zzz,")
    people = [f"p{i},110101199{i:04d}11,{1950 + i % 40}" for i in range(PERSONS)]
    tables = {
        "tx": ["id,account,day,amount,text,payer", *tx],
        "levels": ["account,day,amount,product", *levels],
        "accounts": ["account,entity,died", *(f"A{i},p{i}," for i in range(PERSONS))],
        "consumers": ["cust_no,id_no,born", *people],
        "arrears": ["entity,day,past_due", *late],
    }  # fmt: skip
    for name, lines in tables.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", "utf-8")
    dropped = [code for code in Taxonomy.load().types if code not in FEW]
    (folder / "few.toml").write_text(f'version = "t"\ndrop = {json.dumps(dropped)}\n', "utf-8")
    text = TABLES.replace('text = "text"', 'text = "text"\ncounterparty_name = "payer"')
    text = text.replace('amount = "amount"\n[[', 'amount = "amount"\nproduct = "product"\n[[')
    (folder / "tables.toml").write_text(text + MORE, "utf-8")


def job(label: dict[str, Any], **train: Any) -> dict[str, Any]:
    asked = churn_job({"cut_offs": CUTS} | label, **train)
    asked["party"][0]["features"] = ["view:products", "born"]
    asked["train"][0] |= {"task": label["task"], "label": f"task:{label['task']}"}
    return asked


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    bank(folder)
    return folder


def written(folder: Path, asked: dict[str, Any]) -> tuple[Any, dict[tuple[str, str], int]]:
    """The training table by `fedprofile flows labels`, and its counts."""
    (folder / "job.toml").write_text(_toml(asked), "utf-8")
    words = [folder / "job.toml", "--tables", folder / "tables.toml", "--out"]
    arguments = ["labels", *map(str, words), str(folder / "training.parquet")]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    with (folder / "training.counts.csv").open() as file:
        told = {(r["cut_off"], r["what"]): int(r["entities"]) for r in csv.DictReader(file)}
    return pq.read_table(folder / "training.parquet").to_pandas(), told


LATE = {"task": "default", "arrears": "bank.arrears", "past_due": 90}


@pytest.mark.parametrize(
    ("label", "column", "ones", "there", "left_out"),
    [
        (
            {"task": "bought", "product": "wealth"}, "wealth bought in months 2 to 4",
            ({1}, {0}), ({0, 1, 2}, {0, 2}),
            [(CUTS[0], "bought before the outcome", 60), (CUTS[1], "has it already", 120)],
        ),
        (
            {"task": "payroll"}, "payroll moved in months 2 to 4", ({1}, {0}),
            ({0, 1, 2, 3}, {0, 2}),
            # the firm of the third kind left as a whole; who stopped in March is judged no more
            [(CUTS[1], "the payer's staff left together", 60),
             (CUTS[1], "the pay stopped before the outcome", 60)],
        ),
    ],
    ids=["bought", "payroll"],
)  # fmt: skip
def test_labels_are_of_what_happens_in_the_outcome(
    made: Path, label: dict[str, Any], column: str, ones: tuple[set[int], ...],
    there: tuple[set[int], ...], left_out: list[tuple[str, str, int]],
) -> None:  # fmt: skip
    rows, told = written(made, job(label))
    kinds = rows.entity.str[1:].astype(int) % 4
    for cut, one, some in zip(CUTS, ones, there, strict=True):
        of = rows.cut_off.astype(str) == cut
        assert set(kinds[of & (rows[column] == 1)]) == one
        assert set(kinds[of]) == some
        assert (rows[column][of & kinds.isin(one)] == 1).all()
        assert sum(n for (day, _), n in told.items() if day == cut) == PERSONS
    for cut, why, count in left_out:
        assert told[cut, why] == count


def test_a_default_is_trained_on_with_a_validation_period(made: Path) -> None:
    asked = job(LATE, time="bank.cut_off", validate_from=CUTS[1])
    rows, _ = written(made, asked)
    late = rows.cut_off.astype(str) == CUTS[1]
    kinds = rows.entity.str[1:].astype(int) % 4
    ones = rows["90 days past due in months 2 to 4"] == 1
    assert set(kinds[~late & ones]) == {1}
    assert set(kinds[late & ones]) == {0}
    assert set(kinds[late]) == {0, 2, 3}
    assert not set(rows.entity[late]) & set(rows.entity[~late])
    ids = [f"110101199{i:04d}11" for i in range(PERSONS)]
    a = np.random.default_rng(3).normal(size=PERSONS)
    tables = {
        "bank.training": pq.read_table(made / "training.parquet"),
        "bank.counts": pa_csv.read_csv(made / "training.counts.csv"),
        "bureau.t": pa.table({"id_no": ids, "a": a}),
    }
    found = run_job(Job.load(made / "job.toml"), tables, made / "out")
    assert found.metrics["labels"][CUTS[1]]["in default already"] == 60
    model = found.metrics["models"]["default"]
    assert model["out_of_time"]["rows"] == late.sum()
    words = (made / "out" / "report.html").read_text()
    assert "90 days past due in months 2 to 4" in words


def test_a_break_that_nobody_can_know_yet_is_no_label_of_wages(made: Path) -> None:
    """Wages that stop in the outcome's last month are told 45 days after they last came."""
    asked = job({"task": "payroll", "cut_offs": ["2026-05-01"]})
    with pytest.raises(MisuseError, match="ends on 2026-08-31, the data on 2026-08-31") as error:
        written(made, asked)
    assert "45 days" in error.value.hint

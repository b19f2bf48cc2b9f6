"""What columns are taken for is said of every column, with counts, and no value is shown."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from federated.tables.bindings import TablesFile
from federated.tables.column_report import columns_taken, in_lines
from federated.tables.source import FileSource, MemorySource
from profiles.cli import app

CANARY = "CANARY7Q"
ROWS = 400


def reports(table: pa.Table, **roles: list[str]) -> dict[str, str]:
    loaded = MemorySource({"p.t": table}).load("p.t", table.column_names)
    found = columns_taken(loaded, {name: roles.get(name, []) for name in table.column_names})
    return {one.column: " ".join([one.taken, *one.wrong]) for one in found}


def test_every_column_is_said_and_what_looks_wrong() -> None:
    rng = np.random.default_rng(1)
    heavy = np.append(rng.normal(size=ROWS - 1), 1e9)
    table = pa.table(
        {
            "n": pa.array(range(ROWS)), "x": rng.normal(size=ROWS), "heavy": heavy,
            "amount": [f"{1000 + i:,}.50" for i in range(ROWS)],
            "zone": [("NA", "EU")[i % 2] for i in range(ROWS)],
            "city": [f"{CANARY}{i}" for i in range(ROWS)],
            "digits": [str(i) for i in range(ROWS)],
            "none": pa.nulls(ROWS), "flag": [True, False] * (ROWS // 2),
            "day": pa.array([0] * ROWS, pa.date32()), "tags": [["a"]] * ROWS,
            "blank": [" a"] * ROWS,
        }
    )  # fmt: skip
    features = {name: ["feature"] for name in table.column_names}
    found = reports(table, **features)
    assert found["n"].startswith("whole numbers, 400 different")
    assert "far beyond all others" in found["heavy"]
    assert "far beyond" not in found["x"] + found["n"]
    assert 'thousands = { amount = "," }' in found["amount"]
    assert '200 rows hold "NA"' in found["zone"]
    assert "400 categories: those with fewer than 20 rows are pooled" in found["city"]
    assert found["digits"].startswith("numbers in text")
    assert found["none"].startswith("empty no row has a value")
    assert found["flag"] == "yes or no"
    assert "cannot be a feature" in found["day"]
    assert "cannot be a feature" in found["tags"]
    assert "blanks around" in found["blank"]
    assert CANARY not in " ".join(found.values())
    facts = reports(table)
    assert "cannot be" not in " ".join(facts.values())


def test_in_lines() -> None:
    loaded = MemorySource({"p.t": pa.table({"g": ["a", None]})}).load("p.t", ["g"])
    lines = in_lines(columns_taken(loaded, {"g": ["segment"]}))
    assert lines == ["g (segment): text, 1 different, 1 of 2 missing"]


JOB = """
[job]
name = "j"
purpose = "p"
[[party]]
name = "bank"
table = "bank.t"
keys = [["id"]]
[[party]]
name = "bureau"
table = "bureau.t"
keys = [["id"]]
features = ["amount", "x"]
[train]
task = "churn"
label = "bank.y"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ids = [f"c{i}" for i in range(ROWS)]
    bank = {"id": ids, "y": [i % 2 for i in range(ROWS)]}
    pq.write_table(pa.table(bank), tmp_path / "bank.parquet")
    bureau = {"id": ids, "amount": [f"{1000 + i:,}.50" for i in range(ROWS)], "x": ids}
    pq.write_table(pa.table(bureau), tmp_path / "bureau.parquet")
    (tmp_path / "job.toml").write_text(JOB)
    (tmp_path / "tables.toml").write_text(
        '[bank.t]\npath = "bank.parquet"\n[bureau.t]\npath = "bureau.parquet"\n'
    )
    return tmp_path


def test_preflight_ends_with_4_where_a_column_cannot_be_what_it_is_taken_for(folder: Path) -> None:
    words = ["preflight", str(folder / "job.toml"), "--tables", str(folder / "tables.toml")]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 4
    bank, bureau = json.loads(done.output)
    assert (bank["ok"], bureau["ok"]) == (True, False)
    amount = next(one for one in bureau["taken"] if one["column"] == "amount")
    assert amount["problem"]
    assert "400 different texts that spell numbers" in amount["wrong"][0]
    with (folder / "tables.toml").open("a") as file:
        file.write('thousands = { amount = "," }\n')
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert "amount (feature): numbers, 400 different" in done.output
    table = FileSource(TablesFile.load(folder / "tables.toml")).load("bureau.t", ["amount"])
    assert table["amount"][0].as_py() == 1000.5

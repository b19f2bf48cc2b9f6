"""A file of views beside a table, and `view:NAME` among a job's features."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from federated.tables.bindings import Table, TablesFile
from federated.tables.view_file import VIEW_FILE
from profiles import Job, views
from profiles.cli.flows import app
from profiles.flows.taxonomy import Taxonomy
from profiles.proposal import nameless_draft
from psi.protocol.errors import InputError, JobError
from tests.unit.profiles.views.world import CUT, write

LINKS = [column.name for column in views.columns_of(["links"], "C")]
JOB = """
[job]
name = "churn"
purpose = "retention"
purpose_class = "marketing"
{entity}
[[party]]
name = "bank"
table = "bank.people"
keys = [["cust"]]
features = ["view:links", "balance"]
[[party]]
name = "other"
table = "other.people"
keys = [["id"]]
features = ["tenure", "view:basic_facts@1"]
[[train]]
task = "all"
label = "bank.gone"
[[train]]
task = "some"
label = "bank.left"
features = ["bank.balance", "other.view:basic_facts"]
"""


def bound(folder: Path, views_: str = '{ path = "f.parquet", by = "cust" }') -> Table:
    (folder / "people.csv").write_text("cust,balance\np1,10\n nobody,20\n p0 ,30\n", "utf-8")
    text = f'[bank.people]\npath = "people.csv"\nkeys = ["cust"]\nviews = {views_}\n'
    (folder / "tables.toml").write_text(text, "utf-8")
    return TablesFile.load(folder / "tables.toml")["bank.people"]


def test_what_the_command_writes_stands_beside_a_table(tmp_path: Path) -> None:
    tables, out = write(tmp_path / "world", planted=False), tmp_path / "f.parquet"
    asked = ["views", "--tables", tables, "--as-of", CUT, "--view", "links", "--out", out]
    told = CliRunner().invoke(app, [str(one) for one in asked])
    assert told.exit_code == 0, told.output
    assert f"5 entities, {len(LINKS)} columns, as of {CUT}" in told.output
    assert out.stat().st_mode & 0o077 == 0
    table = bound(tmp_path)
    assert table.columns() == ["cust", "balance", *LINKS]
    found = table.load(["payroll_staff", "balance"]).to_pydict()
    assert found == {"payroll_staff": [5.0, None, 5.0], "balance": [10, 20, 30]}
    assert table.load().column_names == table.columns()
    assert table.load(["balance"]).column_names == ["balance"]
    said = table.views and table.views.said(out)
    assert said == {
        "views": ["links@1"], "kind": "C", "cut_off": str(CUT), "currency": "CNY",
        "taxonomy": f"{Taxonomy.load().version}/t1",
    }  # fmt: skip


def test_columns_are_listed_without_tables() -> None:
    told = CliRunner().invoke(app, ["views", "--view", "links", "--kind", "B"])
    assert "staff_here" in told.output
    assert "payroll_staff" not in told.output


def features(path: Path, entities: list[str], said: dict[str, str], name: str = "x") -> None:
    table = pa.table({"entity": entities, name: [1.0] * len(entities)})
    pq.write_table(table.replace_schema_metadata(said), path)


def test_a_file_that_cannot_stand_beside_a_table_is_refused(tmp_path: Path) -> None:
    file, said = tmp_path / "f.parquet", {VIEW_FILE: json.dumps({})}
    table = bound(tmp_path)
    with pytest.raises(InputError, match="no file"):
        table.columns()
    file.write_text("cust,x", "utf-8")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        table.columns()
    features(file, ["p1"], {})
    with pytest.raises(InputError, match="does not say which views"):
        table.columns()
    features(file, ["p1"], said, "balance")
    with pytest.raises(InputError, match="column 'balance' is the table's own"):
        table.load(["balance"])
    features(file, ["p1", "p1"], said)
    with pytest.raises(InputError, match="an entity twice"):
        table.load(["x"])
    with pytest.raises(InputError, match="no column 'id'"):
        bound(tmp_path, '{ path = "f.parquet", by = "id" }').columns()
    for wrong in ('"f.parquet"', '{ path = "f.parquet" }', '{ path = "", by = "cust" }'):
        with pytest.raises(JobError, match="views"):
            bound(tmp_path, wrong)


def test_the_contract_names_the_columns_of_a_view() -> None:
    contract = nameless_draft(Job.load(JOB.format(entity="")))
    facts = [column.name for column in views.columns_of(["basic_facts"], "C")]
    assert contract.party("bank").features == (*LINKS, "balance")
    assert contract.party("other").features == ("tenure", *facts)
    some = {one.party: one.columns for one in contract.train[1].features}
    assert some == {"bank": ("balance",), "other": tuple(facts)}


def test_a_view_has_the_columns_of_whom_a_job_is_about() -> None:
    job = Job.load(JOB.format(entity='entity = "company"'))
    assert "staff_here" in job.party("bank").features
    assert "payroll_staff" not in job.party("bank").features
    text = JOB.format(entity="")
    for wrong, said in (
        ("view:link", "did you mean links"),
        ("view:links@9", "links@1 allowed"),
        (f"view:links', '{LINKS[0]}", "each column once"),
    ):
        features_ = f'features = ["{wrong}"]'.replace("', '", '", "')
        with pytest.raises(JobError, match=r"\[\[party\]\] 1 features") as caught:
            Job.load(text.replace('features = ["view:links", "balance"]', features_))
        assert said in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("names", "said"),
    [(["001", "002", "4"], "2 of 3 rows .* leading zeros.* 1 as it is"), (["x"], "none of 1 rows")],
)
def test_a_file_of_other_people_or_others_spelling_is_refused(
    tmp_path: Path, names: list[str], said: str
) -> None:
    table = pa.table({"entity": ["1", "2", "3", "4"], "staff": [1.0, 2.0, 3.0, 4.0]})
    schema = table.schema.with_metadata({VIEW_FILE: json.dumps({"views": []})})
    pq.write_table(table.cast(schema), tmp_path / "f.parquet")
    found = bound(tmp_path)
    (tmp_path / "people.csv").write_text("cust,balance\n" + "".join(f"{n},1\n" for n in names))
    with pytest.raises(InputError, match=said):
        found.load(["staff"])

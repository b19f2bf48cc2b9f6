"""`node table add` opens, shows and writes; no name in it becomes a path, TOML or SQL."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from federated.cli.node import app
from federated.node.home import NodeHome
from federated.tables.bindings import TablesFile
from federated.tables.source import FileSource
from federated.tables.table_file import put_table, remove_table
from psi.protocol import FedprofileError, InputError, JobError, MisuseError

ROWS = pa.table(
    {"id": ["a", "b", "b", None], "loans": [1, 2, 3, 4], "income": [9.0, 8.0, 7.0, 6.0]}
)


@pytest.fixture
def home(tmp_path: Path) -> NodeHome:
    pq.write_table(ROWS, tmp_path / "people.parquet")
    return NodeHome.create(tmp_path / "node", "bureau", "hub:1")


def add(home: NodeHome, *words: str) -> str:
    """The command's output; raises what it raised."""
    done = CliRunner().invoke(app, ["table", "add", *words, "--home", str(home.path)])
    if isinstance(done.exception, FedprofileError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_a_table_is_opened_shown_and_bound(home: NodeHome, tmp_path: Path) -> None:
    home.tables.write_text('# by hand\n[bureau.old]\npath = "x.csv" # stays\n')
    people = str(tmp_path / "people.parquet")
    shown = add(home, "people", "--path", people, "--key", "id", "--column", "loans=feature")
    assert "bureau.people: 4 rows" in shown
    assert "key id: 3 usable, 2 distinct" in shown
    assert "as the policy says" in shown
    held = "a row holds 2.0 bits in what is offered for training (1 columns); 0.0 may be told"
    assert held in shown
    text = home.tables.read_text()
    assert text.startswith('# by hand\n[bureau.old]\npath = "x.csv" # stays\n')
    table = TablesFile.load(home.tables)["bureau.people"]
    assert (table.keys, dict(table.permissions)) == (("id",), {"loans": "feature"})
    assert table.load(["id"], keys=["id"]).num_rows == 4
    with pytest.raises(MisuseError, match="is bound already"):
        add(home, "bureau.people", "--path", people, "--key", "id")
    add(home, "people", "--path", people, "--key", "id", "--column", "loans=never", "--replace")
    assert TablesFile.load(home.tables)["bureau.people"].permissions["loans"] == "never"
    remove_table(home.tables, "bureau.people")
    assert list(TablesFile.load(home.tables)) == ["bureau.old"]


def test_what_keys_look_like_is_one_line(home: NodeHome, tmp_path: Path) -> None:
    mobile = [f"138{number:08d}" for number in range(40)]
    pq.write_table(pa.table({"tel": mobile, "mobile": mobile}), tmp_path / "phones.parquet")
    words = (
        "phones",
        "--path",
        str(tmp_path / "phones.parquet"),
        "--key",
        "tel",
        "--key",
        "mobile",
    )
    shown = add(home, *words)
    assert "suggestion: --kind tel=phone --kind mobile=phone, as these keys look" in shown
    assert shown.count("suggestion:") == 1
    assert "suggestion:" not in add(
        home, *words, "--kind", "tel=phone", "--kind", "mobile=phone", "--replace"
    )


def test_a_table_that_says_who_may_be_in_jobs_needs_nobody_s_leave(
    home: NodeHome, tmp_path: Path
) -> None:
    people = str(tmp_path / "people.parquet")
    first = ("consents", "--path", people, "--key", "id")
    assert "A table that only says who may be in jobs needs none" in add(home, *first)
    basis = ("--basis", "table=consents", "--basis", "of=id", "--basis", "purpose=loans")
    shown = add(home, "people", "--path", people, "--key", "id", "--column", "loans=never", *basis)
    assert "no lawful basis" not in shown
    assert "no lawful basis" not in add(home, *first, "--replace")  # another's basis, and no more
    other = add(home, "other", "--path", people, "--key", "id", "--column", "loans=feature")
    assert "[bureau.other.basis] in tables.toml" in other


def test_a_table_whose_rows_another_admits_comes_after_it(home: NodeHome, tmp_path: Path) -> None:
    """Else the job fails for it once an officer has approved, and the others are there."""
    words = ("--path", str(tmp_path / "people.parquet"), "--key", "id")
    basis = ("--basis", "table=consents", "--basis", "of=id", "--basis", "purpose=loans")
    with pytest.raises(InputError, match=r"admitted by bureau\.consents, which is not bound"):
        add(home, "people", *words, *basis)
    add(home, "consents", *words)
    add(home, "people", *words, *basis)
    with pytest.raises(MisuseError, match=r"says who of bureau\.people may be in jobs"):
        remove_table(home.tables, "bureau.consents")
    text = home.tables.read_text()
    home.tables.write_text(text[text.index("[bureau.people]") :])
    with pytest.raises(JobError, match=r"no table 'bureau\.consents' is bound"):
        TablesFile.load(home.tables)


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (["../../etc/passwd"], MisuseError, "letters, digits"),
        (['a"]\npath = "/etc/passwd'], MisuseError, "letters, digits"),
        (["a; drop table x"], MisuseError, "letters, digits"),
        (["\x1b[2J"], MisuseError, "letters, digits"),
        (["bank.people"], MisuseError, "letters, digits"),
        (["a", "--path", "none.parquet"], InputError, "no file"),
        (["a", "--key", "nobody"], InputError, "no column 'nobody'"),
        (["a", "--column", "loan=feature"], InputError, "did you mean 'loans'"),
        (["a", "--column", "loans=all"], JobError, "found 'all', allowed: never"),
        (["a", "--column", "loans"], MisuseError, "NAME=VALUE"),
        (["a", "--kind", "id=passport"], JobError, "kinds.id"),
        (["a", "--connection", "duckdb:///x.db", "--table", "t"], JobError, "exactly one of"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    home: NodeHome, tmp_path: Path, words: list[str], error: type[Exception], said: str
) -> None:
    path = [] if "--path" in words else ["--path", str(tmp_path / "people.parquet")]
    key = [] if "--key" in words else ["--key", "id"]
    with pytest.raises(error, match=said):
        add(home, *words, *path, *key)
    assert not home.tables.exists()


def test_a_database_and_names_with_sql_in_them(home: NodeHome, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "w.db")) as database:
        database.execute('create table people (id text, "drop table people; --" integer)')
        database.execute("insert into people values ('a', 1), ('b', 2)")
    url = f"duckdb:///{tmp_path / 'w.db'}"
    odd = "drop table people; --"
    shown = add(
        home, "p", "--connection", url, "--table", "people", "--key", "id",
        "--column", f"{odd}=feature",
    )  # fmt: skip
    assert "bureau.p: 2 rows" in shown
    found = FileSource(TablesFile.load(home.tables))
    assert found.load("bureau.p", [odd]).column(odd).to_pylist() == [1, 2]
    for table in ('people"; drop table people; --', "people; select 1", "../people", "no"):
        with pytest.raises(InputError, match="cannot open table"):
            add(home, "q", "--connection", url, "--table", table, "--key", "id")
    assert list(TablesFile.load(home.tables)) == ["bureau.p"]
    assert found.load("bureau.p", ["id"]).num_rows == 2


def test_a_running_node_sees_a_change_of_the_file(home: NodeHome, tmp_path: Path) -> None:
    people = str(tmp_path / "people.parquet")
    put_table(home.tables, "bureau.one", {"path": people})
    source = FileSource(TablesFile.load(home.tables))
    with pytest.raises(JobError, match="no table"):
        source.columns("bureau.two")
    put_table(home.tables, "bureau.two", {"path": people, "permissions": {"income": "never"}})
    assert source.permission("bureau.two", "income") == "never"
    remove_table(home.tables, "bureau.two")
    with pytest.raises(JobError, match="no table"):
        source.permission("bureau.two", "income")


def test_texts_survive_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tables.toml"
    odd = 'a"b\\c\n\x7f\u202e[x]\u00e9'
    put_table(file, "p.t", {"path": odd, "permissions": {odd: "never"}, "keys": [odd]})
    assert tomllib.loads(file.read_text())["p"]["t"]["permissions"] == {odd: "never"}
    file.write_text('p.t.path = "x"\n')
    with pytest.raises(MisuseError, match="by hand"):
        put_table(file, "p.t", {"path": "y"})
    assert file.read_text() == 'p.t.path = "x"\n'
    with pytest.raises(InputError, match=r"no table 'p\.u'"):
        remove_table(file, "p.u")


def test_ls(home: NodeHome, tmp_path: Path) -> None:
    people = str(tmp_path / "people.parquet")
    put_table(home.tables, "bureau.one", {"path": people, "keys": ["id"]})
    put_table(home.tables, "bureau.gone", {"path": "/nowhere.parquet"})
    done = CliRunner().invoke(app, ["table", "ls", "--json", "--home", str(home.path)])
    rows = {row["name"]: row for row in json.loads(done.output)}
    assert rows["bureau.one"]["columns"] == ["id", "loans", "income"]
    assert "no file" in rows["bureau.gone"]["problem"]


@pytest.mark.postgres
def test_postgresql(home: NodeHome, cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import psycopg

    with psycopg.connect(host=cluster, user="postgres", dbname="postgres") as database:
        database.execute("create schema facts")
        database.execute('create table facts.people (id text, loans int, "select" numeric(9,2))')
        database.execute(
            "insert into facts.people values ('007', 1, 1.5), ('b', 2, 2.5), (null, 3, 0)"
        )
        database.execute("create role reader login; grant usage on schema facts to reader")
        database.execute("grant select on facts.people to reader")
    monkeypatch.setenv("PG_PASSWORD", "planted secret")
    url = "postgres://reader:${PG_PASSWORD}@/postgres?host=" + cluster
    shown = add(
        home, "people", "--connection", url, "--table", "facts.people", "--key", "id",
        "--column", "loans=feature", "--column", "select=aggregate",
    )  # fmt: skip
    assert "bureau.people: 3 rows" in shown
    assert "key id: 2 usable, 2 distinct" in shown
    assert "planted secret" not in shown + home.tables.read_text()
    source = FileSource(TablesFile.load(home.tables))
    table = source.load("bureau.people", ["id", "loans", "select"], keys=["id"])
    assert set(table.column("id").to_pylist()) == {"007", "b", None}
    assert source.permission("bureau.people", "select") == "aggregate"
    for name in ('facts.people"; drop table facts.people; --', "facts.none", "people"):
        with pytest.raises(InputError, match="cannot open table"):
            add(home, "q", "--connection", url, "--table", name, "--key", "id")
    monkeypatch.setenv("PG_PASSWORD", "planted secret")
    with pytest.raises(InputError, match="cannot connect to postgres") as raised:
        add(
            home,
            "r",
            "--connection",
            url.replace(cluster, "/nowhere"),
            "--table",
            "t",
            "--key",
            "id",
        )
    assert "planted secret" not in str(raised.value)
    assert source.load("bureau.people", ["id"]).num_rows == 3

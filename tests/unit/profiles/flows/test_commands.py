"""`fedprofile flows` on the command line."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from federated.tables.bindings import TablesFile
from profiles.cli import app
from profiles.flows import Flows
from psi.protocol.errors import EnvironmentFailed, InputError, JobError, MisuseError
from tests.unit.profiles.flows.made import HEAD, few_types, opened_once

ROWS = "1,A,2024-01-31,5,D,CNY,BANK FEE\n2,A,2024-02-01,7,D,CNY,zzz\n3,A,2024-02-01,0,D,CNY,z\n"


PLAIN = """
[bank.tx]
path = "tx.csv"
[flows.f]
[[flows.f.source]]
table = "bank.tx"
id = "id"
account = "acct"
time = "day"
amount = "amt"
direction = "dc"
in = ["C"]
out = ["D"]
text = "text"
"""


def bank(folder: Path, rows: str) -> str:
    """A tables file over these rows, without accounts or rates."""
    (folder / "tx.csv").write_text(f"{HEAD}\n{rows}", "utf-8")
    (folder / "tables.toml").write_text(PLAIN, "utf-8")
    return str(folder / "tables.toml")


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    app([*words], standalone_mode=False)
    return capsys.readouterr().out


def test_check_type_and_explain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened_once(monkeypatch)
    file = bank(tmp_path, ROWS)
    found = json.loads(said(capsys, "flows", "check", "--tables", file, "--json"))
    assert (found["rows"], found["read"]) == (3, 2)
    out = tmp_path / "typed.parquet"
    said(capsys, "flows", "type", "--tables", file, "--out", str(out))
    assert pq.read_table(out)["type"].to_pylist() == ["C.fee", ""]
    assert out.stat().st_mode & 0o077 == 0
    text = said(capsys, "flows", "explain", "1", "--tables", file)
    assert "C.fee rule 'text', priority 30, by text ('bank fee') <- this one decides" in text
    assert "text: BANK FEE" in text
    text = said(capsys, "flows", "explain", "1", "--tables", file, "--lang", "zh")
    assert "C.fee 的规则 'text'，优先级 30，依据 text ('bank fee') <- 由它决定" in text
    lost = r"no readable row has this id: left out \(the amount is zero\)"
    with pytest.raises(InputError, match=lost):
        said(capsys, "flows", "explain", "3", "--tables", file)
    with pytest.raises(InputError, match=r"no readable row has this id \("):
        said(capsys, "flows", "explain", "9", "--tables", file)
    assert "\nbank.tx: 金额为零: 1\n" in said(
        capsys, "flows", "check", "--tables", file, "--lang", "zh"
    )


def test_rows_left_out_are_told_beside_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened_once(monkeypatch)
    file = bank(tmp_path, ROWS)
    few_types(tmp_path, "C.fee")
    few = PLAIN.replace("[flows.f]\n", '[flows.f]\ntaxonomy = ["few.toml"]\n')
    Path(file).write_text(few, "utf-8")
    page = ["--out", str(tmp_path / "page.html")]
    for words in (["type"], ["map"], ["leaks"], ["breaks"], ["report", *page]):
        app(["flows", *words, "--tables", file], standalone_mode=False)
        told = capsys.readouterr()
        assert told.err == (
            "1 of 3 rows are left out, since they cannot be read: fedprofile flows check says why\n"
        ), words
        assert "left out" not in told.out
    views = ["--view", "flow_behaviour", "--as-of", "2024-02-02", "--out", str(tmp_path / "v")]
    app(["flows", "views", *views, "--tables", file], standalone_mode=False)
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        "1 of 3 rows are left out, since they cannot be read: fedprofile flows check says why",
        "  the amount is zero: 1",
    ]


BACK = """1,A,2024-01-10,100,D,CNY,POS
2,A,2024-01-11,100,C,CNY,冲正
3,A,2024-01-12,50,D,CNY,POS
4,A,2024-01-13,20,C,CNY,冲正
5,A,2024-01-14,7,C,CNY,冲正
6,A,2024-01-15,7,D,CNY,POS
"""


@pytest.mark.parametrize(("lang", "line"), [
    ("en", "Rows that reverse another: 3. Of them 2 (27.00 CNY) found none to cancel: "),
    ("zh", "冲正 3 笔，其中 2 笔（27.00 CNY）没有找到被冲的交易："),
])  # fmt: skip
def test_reversals_of_a_part_and_early_ones_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lang: str, line: str
) -> None:
    file = bank(tmp_path, BACK)
    few_types(tmp_path, "C.reversal")
    few = PLAIN.replace("[flows.f]\n", '[flows.f]\ntaxonomy = ["few.toml"]\n')
    Path(file).write_text(few, "utf-8")
    assert f"\n{line}" in said(capsys, "flows", "type", "--tables", file, "--lang", lang)


@pytest.mark.parametrize("command", ["type", "map", "leaks", "breaks", "links", "report", "views"])
def test_no_readable_row_is_an_error(tmp_path: Path, command: str) -> None:
    file = bank(tmp_path, "3,A,2024-02-01,0,D,CNY,z\n")
    few_types(tmp_path, "C.fee")
    few = PLAIN.replace("[flows.f]\n", '[flows.f]\ntaxonomy = ["few.toml"]\n')
    Path(file).write_text(few, "utf-8")
    words = ["flows", command, "--tables", file]
    if command == "views":
        views = ["--view", "flow_behaviour", "--as-of", "2024-02-01"]
        words += [*views, "--out", str(tmp_path / "views.parquet")]
    with pytest.raises(InputError, match=r"no row can be read") as error:
        app(words, standalone_mode=False)
    assert "flows check" in error.value.hint
    assert not list(tmp_path.glob("*.parquet"))


def test_a_cut_off_before_the_data_is_refused(tmp_path: Path) -> None:
    flows = Flows.load(bank(tmp_path, ROWS))
    assert (flows.given, flows.days) == (3, (dt.date(2024, 1, 31), dt.date(2024, 2, 1)))
    with pytest.raises(MisuseError, match="cut-off 2024-01-31: the data begin on 2024-01-31"):
        flows.before(dt.date(2024, 1, 31))
    early = flows.before(dt.date(2024, 2, 1))
    assert early.days == (dt.date(2024, 1, 31), dt.date(2024, 1, 31))


MONEY = """1,A,2024-01-10,100,C,CNY,工资
2,A,2024-01-12,60,D,CNY,本人他行转出
3,A,2024-02-10,100,C,CNY,工资
4,A,2024-03-10,100,C,CNY,工资
5,A,2024-06-01,1,D,CNY,房租
"""


def test_map_leaks_and_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened_once(monkeypatch)
    file = bank(tmp_path, MONEY)
    few_types(tmp_path, "C.salary", "C.own_elsewhere_out", "C.rent_paid")
    few = PLAIN.replace("[flows.f]\n", '[flows.f]\ntaxonomy = ["few.toml"]\n')
    Path(file).write_text(few, "utf-8")
    page, base = tmp_path / "map.html", tmp_path / "map.duckdb"
    text = said(
        capsys, "flows", "map", "--tables", file, "--html", str(page), "--out", str(base)
    )  # fmt: skip
    lines = [line.split() for line in text.splitlines()]
    assert lines[2] == ["Month", "From", "To", "Transactions", "Sum,", "CNY"]
    assert ["2024-01", "consumers", "own,", "at", "other", "banks", "1", "60.00"] in lines
    assert ["2024-01", "outside", "consumers", "1", "100.00"] in lines
    assert "<path" in page.read_text("utf-8")
    with duckdb.connect(str(base), read_only=True) as made:
        sums = made.execute("select count(*), sum(minor) from flows").fetchone()
        assert sums == made.execute("select sum(rows), sum(minor) from flow_map").fetchone()
        assert sums == (5, 36_100)
    text = said(capsys, "flows", "leaks", "--tables", file, "--days", "3")
    first, *_, last = text.splitlines()[3:]
    assert first.startswith("2024-01  Salary (C.salary)  To an own account elsewhere (C.own_else")
    assert first.endswith(" 60.00")
    assert last == "Brought by no inflow in the data: 0.00 CNY"
    asked = ("flows", "breaks", "--tables", file, "--as-of")
    head, _, heads, line = said(capsys, *asked, "2024-05-01").splitlines()
    assert head == "f: what came every month and had stopped by 2024-05-01"
    assert heads.split() == ["Month", "Type", "What", "Series", "CNY", "a", "month"]
    assert line.split() == ["2024-04", "Salary", "(C.salary)", "stopped", "1", "100.00"]
    line = said(capsys, *asked, "2024-05-01", "--lang", "zh").splitlines()[-1]
    assert line.split() == ["2024-04", "工资", "(C.salary)", "中断", "1", "100.00"]
    none = said(capsys, *asked, "2024-03-20")
    assert none.startswith("Nothing that came every month had stopped by 2024-03-20")
    with pytest.raises(MisuseError, match="--lang: 'fr' found"):
        said(capsys, *asked, "2024-05-01", "--lang", "fr")
    for words in (["map"], ["leaks"], ["breaks"]):
        with pytest.raises(MisuseError, match="memory: '4 gigs' found"):
            said(capsys, "flows", *words, "--tables", file, "--memory", "4 gigs")


def test_taxonomy_lists_and_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "C.salary" in said(capsys, "flows", "taxonomy")
    layer = tmp_path / "bank.toml"
    layer.write_text('version = "b-1"\ndrop = ["C.lottery"]\n')
    assert said(capsys, "flows", "taxonomy", "--diff", str(layer)) == "- C.lottery\n"


def test_what_an_engine_says_of_a_value_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object) -> None:
        raise duckdb.OutOfRangeException("planted 123")

    monkeypatch.setattr("profiles.flows.check.check_flows", fails)
    with pytest.raises(InputError, match=r"cannot be worked through \(OutOfRange") as error:
        app(["flows", "check", "--tables", bank(tmp_path, ROWS)], standalone_mode=False)
    assert "planted" not in str(error.value) + error.value.hint
    assert error.value.__cause__ is None


def test_memory_that_runs_out_ends_in_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object) -> None:
        raise duckdb.OutOfMemoryException("failed to pin block of planted 123")

    monkeypatch.setattr("profiles.flows.check.check_flows", fails)
    with pytest.raises(EnvironmentFailed, match="ran out of memory") as error:
        app(["flows", "check", "--tables", bank(tmp_path, ROWS)], standalone_mode=False)
    assert "--memory" in error.value.hint
    assert "planted" not in str(error.value)


def test_duckdb_gets_its_share_of_the_memory_that_is_named(tmp_path: Path) -> None:
    file = bank(tmp_path, ROWS)
    for named, share in (("4GB", "2.3 GiB"), ("8 gb", "6.0 GiB"), ("512MiB", "319.4 MiB")):
        connection = Flows.load(file, memory=named).engine.connection
        found = connection.raw_sql("SELECT current_setting('memory_limit')").fetchone()
        assert found == (share,), named


def test_jobs_and_nodes_pass_these_sections_over(tmp_path: Path) -> None:
    assert list(TablesFile.load(bank(tmp_path, ROWS))) == ["bank.tx"]


def test_the_chapters_tables_file_is_understood(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chapter = (Path(__file__).parents[4] / "docs/FLOWS.md").read_text("utf-8")
    block = chapter.split("A whole `tables.toml`")[1].split("```toml\n")[1].split("```")[0]
    (tmp_path / "tables.toml").write_text(block, "utf-8")
    head = "流水号,账号,交易日期,金额,借贷,对方账号,对方户名,摘要,附言\n"
    rows = "1,A,20260629,9000.00,贷,X,某厂,工资,六月\n2,A,20260630,5.00,借,Y,某店,消费,\n"
    (tmp_path / "流水.csv").write_text(head + rows, "utf-8")
    (tmp_path / "账户.csv").write_text(
        "账号,客户号,类型,户名,开户日\nA,K1,个人,甲,2020-01-01\n", "utf-8"
    )
    (tmp_path / "余额.csv").write_text("账号,日期,余额,产品\nA,2026-06-01,100.00,理财\n", "utf-8")
    tables = str(tmp_path / "tables.toml")
    found = json.loads(said(capsys, "flows", "check", "--tables", tables, "--json"))
    assert found["read"] == 2
    flows = Flows.load(tables)
    assert flows.base.balances is not None
    assert flows.base.balances.product.to_pyarrow().to_pylist() == ["wealth"]
    wrong = block.replace('in = ["贷"]', 'in = "贷"')
    (tmp_path / "tables.toml").write_text(wrong, "utf-8")
    with pytest.raises(JobError, match=r"\[\[flows\.mine\.source\]\] 1 in: "):
        Flows.load(tables)
    less = block.split("[flows.mine.balances]")[0]
    (tmp_path / "tables.toml").write_text(less, "utf-8")
    asked = ("flows", "views", "--tables", tables, "--out", str(tmp_path / "f.parquet"))
    with pytest.raises(JobError, match="needs") as none:
        said(capsys, *asked, "--as-of", "2026-07-01")
    assert "--view" in none.value.hint
    with pytest.raises(MisuseError, match="the data end on 2026-06-30") as late:
        said(capsys, *asked, "--view", "flow_behaviour", "--as-of", "2026-08-01")
    assert "2026-07-01" in late.value.hint

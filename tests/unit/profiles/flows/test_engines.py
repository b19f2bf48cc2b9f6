"""The same tables in PostgreSQL and Spark give the same answers as in DuckDB."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.readers import arrow_expression, duckdb_connection
from profiles import views
from profiles.flows import export
from profiles.flows.breaks import breaks
from profiles.flows.check import check_flows
from profiles.flows.engine import Engine
from profiles.flows.flows import Flows
from profiles.flows.leaks import leaks, unattributed
from profiles.flows.map import by_month, flow_map
from profiles.flows.settings import Bound, Terms
from profiles.flows.summary import type_table
from profiles.flows.taxonomy import Taxonomy
from profiles.flows.times import add_day, carries_zone, drops_clock, half_days
from profiles.flows.values import add_minor, shape
from profiles.label_tasks import assets_of
from profiles.labels import churn
from profiles.views.frame import LOOKED_AT
from tests.unit.profiles.flows.made import few_types
from tests.unit.profiles.flows.test_base import BARE, CLOCKS, ZONES
from tests.unit.profiles.flows.test_breaks import paid, tenth
from tests.unit.profiles.flows.test_leaks import CASE, moves
from tests.unit.profiles.views.world import USED

EXTRA = [
    ("ＡＮＮＵＡＬ　ＦＥＥ", -12.345),
    ("POS消费", -77.0),
    ("coffee (house)", -3.2),
    ("10% \\ off_", -1.0),
    ("冲正 POS消费", 77.0),
    ("zzz", -0.01),
]


def tables() -> tuple[pa.Table, pa.Table]:
    rows = [*moves(*CASE), *paid("P1", "P", 9000, *tenth(1, 2, 3, 4, 5, 6))]
    rows += [
        {"id": f"x{i}", "account": "X", "time": dt.date(2026, 9, i + 1), "amount": a, "text": t}
        for i, (t, a) in enumerate(EXTRA)
    ]
    rows.append({**rows[-1], "amount": -0.02})  # an id that comes again, with another amount
    names = ("id", "account", "time", "amount", "text", "counterparty_account")
    given = pa.table(
        {n: [row.get(n, None if n == "amount" else "") for row in rows] for n in names}
    )
    accounts = pa.table({"account": ["A", "P1", "X"], "entity": ["e1", "e2", "e3"]})
    return given, accounts


CUT = dt.date(2026, 9, 7)
LEVELS = [
    ("A", dt.date(2026, 1, 1), 50_000.0, "deposit"),
    ("A", dt.date(2026, 6, 11), 20_000.0, "deposit"),
    ("P1", dt.date(2026, 2, 1), 12_000.0, "deposit"),
    ("P1", dt.date(2026, 4, 1), 0.125, "deposit"),
    ("P1", dt.date(2026, 4, 1), 11_000.0, "wealth"),
    ("X", dt.date(2026, 5, 2), 400.0, "loan"),
]


def bank(put: Callable[[str, pa.Table], Any], connection: Any, folder: Path) -> Flows:
    """The bank on an engine; `put` makes a table there. Few types, so that queries stay short."""
    given, accounts = tables()
    names = ("account", "day", "amount", "product")
    levels = pa.table({name: [row[i] for row in LEVELS] for i, name in enumerate(names)})
    layer = few_types(folder, *USED)
    flows = Flows.of(put("given", given), accounts=put("accounts", accounts), taxonomy=(layer,))
    settings = replace(
        flows.settings, terms=Terms(deposit=0.012),
        balances=Bound(where="levels", table="levels", columns={n: n for n in levels.schema.names}),
    )  # fmt: skip
    held = {**flows.engine._tables, "levels": put("levels", levels)}
    return Flows(settings, Engine(connection, held))


def answers(flows: Flows, *, breaks_apart: bool = True) -> dict[str, list[dict[str, Any]]]:
    """All that is told of a bank; the rows of each table in one order."""
    then = flows.before(CUT)
    typed, end = then.kept(*LOOKED_AT), dt.date(2026, 9, 1)
    found = {
        "typed": typed,
        "leaks": leaks(typed, flows.taxonomy).select("inflow", "outflow", "minor", "lag"),
        "left": unattributed(typed, flows.taxonomy),
        "types": type_table(typed),
        "map": by_month(
            flow_map(typed.mutate(branch=ibis.literal("")), flows.taxonomy, then.base.accounts)
        ),
        "views": views.feature_frame(flows, list(views.VIEWS), CUT),
        "churn": churn(assets_of(then.base.balances), dt.date(2026, 4, 1), CUT),
    }
    if breaks_apart:
        found["breaks"] = breaks(then.base, typed, flows.taxonomy, end, keep=flows.stored)
    rows = {name: table.to_pyarrow().to_pylist() for name, table in found.items()}
    return {name: sorted(told, key=repr) for name, told in rows.items()}


def same(there: dict[str, list[dict[str, Any]]], here: dict[str, list[dict[str, Any]]]) -> None:
    """Money, counts, texts and days are equal, floats to 1e-9."""
    assert there.keys() == here.keys()
    for name, rows in here.items():
        assert rows, name
        assert [list(row) for row in there[name]] == [list(row) for row in rows], name
        for one, other in zip(there[name], rows, strict=True):
            assert one == {
                k: pytest.approx(v, rel=1e-9, abs=1e-9, nan_ok=True) if isinstance(v, float) else v
                for k, v in other.items()
            }, name


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    connection = duckdb_connection()
    put = partial(arrow_expression, connection)
    return answers(bank(put, connection, tmp_path_factory.mktemp("here")))


def test_of_kept_rows_duckdb_knows_how_many_there_are() -> None:
    given, accounts = tables()
    flows = Flows.of(given, accounts=accounts)
    kept = flows.kept("id", "type")
    connection = flows.engine.connection
    plan = connection.raw_sql(f"EXPLAIN {connection.compile(kept)}").fetchall()[0][1]
    # of a scan of memory it takes one row for the whole, and chooses joins by that
    assert "SEQ_SCAN" in plan
    assert "ARROW_SCAN" not in plan
    assert kept.count().to_pyarrow().as_py() == len(given) - 1


@pytest.mark.postgres
def test_postgresql_says_the_same(
    cluster: str, here: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    connection = ibis.postgres.connect(host=cluster, user="postgres", database="postgres")
    same(answers(bank(connection.create_table, connection, tmp_path)), here)


@pytest.mark.postgres
def test_postgresql_types_the_wheels_own_texts_the_same(cluster: str) -> None:
    texts = [(one, text) for one in Taxonomy.load() for text in (*one.match, *one.near)]
    given = pa.table({
        "id": [f"{i:04d}" for i in range(len(texts))],
        "account": [one.kind for one, _ in texts],
        "time": [CUT] * len(texts),
        "amount": [1.0 if one.way == "in" else -1.0 for one, _ in texts],
        "text": [text for _, text in texts],
        "counterparty_name": [text[::-1] if i % 2 else text for i, (_, text) in enumerate(texts)],
    })  # fmt: skip
    accounts = pa.table({name: ["C", "B", "G"] for name in ("account", "entity", "kind")})
    there = ibis.postgres.connect(host=cluster, user="postgres", database="postgres")

    def rules(put: Callable[[str, pa.Table], Any]) -> list[dict[str, Any]]:
        flows = Flows.of(put("texts", given), accounts=put("holders", accounts))
        rows: list[dict[str, Any]] = flows.kept("id", "type", "rule").to_pyarrow().to_pylist()
        return sorted(rows, key=lambda row: str(row["id"]))

    assert rules(there.create_table) == rules(partial(arrow_expression, duckdb_connection()))


WIDE = ("１，２３４．５０", "－￥７", "\u22125.005", "５ 元", "12,34", "", "(7.1)", "123456.7")


def read_times(put: Callable[[str, pa.Table], Any]) -> list[tuple[Any, ...]]:
    """What is made of texts with and without a zone, and of amounts in full width."""
    times = [f"2026-06-30{clock}{zone}" for clock in CLOCKS for zone in ZONES]
    times += [f"2026-06-30{clock}" for clock in BARE]
    amounts = [WIDE[i % len(WIDE)] for i in range(len(times))]
    table = put(
        "times", pa.table({"id": [*map(str, range(len(times)))], "time": times, "of": amounts})
    )
    table = add_minor(table.mutate(digits=ibis.literal(2, "int64")), "of", "minor", thousands=",")
    table = table.mutate(shape=shape(table.of))
    form = "yyyy-mm-dd"
    zoned, dropped = carries_zone(table.time, form), drops_clock(table.time, form)
    half = half_days(table.time, "yyyy-mm-dd hh")
    table = add_day(
        table.mutate(zoned=zoned, dropped=dropped, half=half), "time", "day", form, "UTC", "UTC"
    )
    rows = (
        table.select(
            "time", "zoned", "dropped", "half", "day", "day_second", "of", "minor", "shape"
        )
        .to_pyarrow()
        .to_pylist()
    )
    return sorted(tuple(row.values()) for row in rows)


@pytest.mark.postgres
def test_postgresql_sees_the_same_zones_in_texts(cluster: str) -> None:
    there = ibis.postgres.connect(host=cluster, user="postgres", database="postgres")
    assert read_times(there.create_table) == read_times(
        partial(arrow_expression, duckdb_connection())
    )


MONEY = [*(f"{i}.{i + 100}" for i in range(1, 24)), "950", "７"]
CODES = ("", "cny", "ＣＮＹ", "RMB", "人民币", "156", "usd", "CNH", "美元", "NULL", "CNY")


def checked(put: Callable[[str, pa.Table], Any], kind: pa.DataType) -> dict[str, Any]:
    """What `flows check` says of amounts, currencies and accounts that lost their zeros."""
    rows = range(len(MONEY))
    amounts = MONEY if pa.types.is_string(kind) else [float(one) for one in MONEY]
    given = pa.table({
        "id": [str(i) for i in rows],
        "account": [("1", "02", "A-3", "x")[i % 4] for i in rows],
        "time": [CUT] * len(MONEY),
        "amount": pa.array(amounts, kind),
        "currency": [CODES[i % len(CODES)] for i in rows],
    })  # fmt: skip
    accounts = pa.table({"account": ["001", "2.0", "a3", "7"]})
    under = f"of_{'text' if kind == pa.string() else 'float'}"
    flows = Flows.of(put(under, given), accounts=put(f"owners_{under}", accounts))
    return check_flows(flows).as_dict()


@pytest.mark.postgres
@pytest.mark.parametrize("kind", [pa.string(), pa.float64()], ids=["text", "numbers"])
def test_postgresql_counts_amounts_and_currencies_the_same(cluster: str, kind: pa.DataType) -> None:
    there = ibis.postgres.connect(host=cluster, user="postgres", database="postgres")
    here = checked(partial(arrow_expression, duckdb_connection()), kind)
    assert checked(there.create_table, kind) == here
    assert sum("leading zeros" in note or " amount: " in note for note in here["notes"]) == 3


@pytest.mark.spark
def test_spark_sees_the_same_zones_in_texts(spark: Any) -> None:
    def put(name: str, table: pa.Table) -> Any:
        return spark.create_view(name, ibis.memtable(table))

    assert read_times(put) == read_times(partial(arrow_expression, duckdb_connection()))


@pytest.mark.spark
@pytest.mark.filterwarnings("ignore:PySpark does not yet")
def test_spark_says_the_same(
    spark: Any, here: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    def put(name: str, table: pa.Table) -> Any:
        return spark.create_view(name, ibis.memtable(table))

    # a view counts breaks: to plan them a second time takes Spark ten seconds
    less = {name: rows for name, rows in here.items() if name != "breaks"}
    same(answers(bank(put, spark, tmp_path), breaks_apart=False), less)


@pytest.mark.spark
def test_a_result_comes_out_of_spark_in_chunks(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyspark.sql.classic.dataframe import DataFrame

    def whole(*_: object) -> None:
        raise AssertionError("the whole result was asked for")

    given = tables()[0].append_column("day", pa.array([CUT] * len(tables()[0])))
    spark.create_view("given_in_chunks", ibis.memtable(given))
    rows = spark.table("given_in_chunks")
    rows = rows.mutate(flag=rows.amount > 0, count=ibis.literal(7, "int64"))
    wanted = sorted(rows.to_pyarrow().to_pylist(), key=repr)
    for name in ("toPandas", "toArrow", "collect", "_collect_as_arrow"):
        monkeypatch.setattr(DataFrame, name, whole)
    monkeypatch.setattr(export, "CHUNK", 3)
    assert max(batch.num_rows for batch in export.batches(rows)) == 3
    assert export.write_parquet(rows, tmp_path / "rows.parquet") == len(wanted)
    found = pq.read_table(tmp_path / "rows.parquet")
    assert found.schema.types == rows.schema().to_pyarrow().types
    assert sorted(found.to_pylist(), key=repr) == wanted


@pytest.mark.spark
def test_a_tables_file_names_the_session(spark: Any, tmp_path: Path) -> None:
    spark.create_view("given_here", ibis.memtable(tables()[0]))
    lines = ["[bank.tx]", 'connection = "pyspark://"', 'table = "given_here"', "[flows.f]"]
    lines += ["[[flows.f.source]]", 'table = "bank.tx"']
    lines += [f'{name} = "{name}"' for name in ("id", "account", "time", "amount", "text")]
    (tmp_path / "tables.toml").write_text("\n".join(lines), "utf-8")
    flows = Flows.load(tmp_path / "tables.toml")
    assert flows.engine.connection.name == "pyspark"
    assert flows.last_day == CUT - dt.timedelta(days=1)

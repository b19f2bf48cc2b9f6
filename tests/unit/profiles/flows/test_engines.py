"""The same tables in PostgreSQL give the same types, leaks and breaks as in DuckDB."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from profiles.flows.breaks import breaks
from profiles.flows.flows import Flows
from profiles.flows.leaks import leaks, unattributed
from profiles.flows.map import by_month, flow_map
from profiles.flows.summary import type_table
from tests.unit.profiles.flows.test_breaks import paid, tenth
from tests.unit.profiles.flows.test_leaks import CASE, moves

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
    names = ("id", "account", "time", "amount", "text", "counterparty_account")
    given = pa.table(
        {n: [row.get(n, None if n == "amount" else "") for row in rows] for n in names}
    )
    accounts = pa.table({"account": ["A", "P1", "X"], "entity": ["e1", "e2", "e3"]})
    return given, accounts


def answers(flows: Flows) -> dict[str, Any]:
    typed = flows.stored(flows.typed(), "typed")
    end = dt.date(2026, 9, 1)
    found = {
        "typed": typed.select("id", "way", "minor", "day", "type", "rule", "entity"),
        "leaks": leaks(typed, flows.taxonomy).select("inflow", "outflow", "minor", "lag"),
        "left": unattributed(typed, flows.taxonomy),
        "types": type_table(flows.kept()),
        "breaks": breaks(flows.base, typed, flows.taxonomy, end),
        "map": by_month(flow_map(typed, flows.taxonomy)),
    }
    return {
        name: sorted(map(repr, table.to_pyarrow().to_pylist())) for name, table in found.items()
    }


def test_of_kept_rows_duckdb_knows_how_many_there_are() -> None:
    given, accounts = tables()
    flows = Flows.of(given, accounts=accounts)
    kept = flows.kept("id", "type")
    connection = flows.engine.connection
    plan = connection.raw_sql(f"EXPLAIN {connection.compile(kept)}").fetchall()[0][1]
    # of a scan of memory it takes one row for the whole, and chooses joins by that
    assert "SEQ_SCAN" in plan
    assert "ARROW_SCAN" not in plan
    assert kept.count().to_pyarrow().as_py() == len(given)


@pytest.mark.postgres
def test_postgresql_says_the_same(cluster: str) -> None:
    import ibis

    given, accounts = tables()
    here = answers(Flows.of(given, accounts=accounts))
    assert all(here.values())
    connection = ibis.postgres.connect(host=cluster, user="postgres", database="postgres")
    there = answers(
        Flows.of(
            connection.create_table("flows_given", given),
            accounts=connection.create_table("flows_accounts", accounts),
        )
    )
    assert there == here

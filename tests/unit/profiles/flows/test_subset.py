"""The subset of Ibis that means the same on DuckDB, PostgreSQL and Spark (docs/FLOWS.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import ibis
import pytest

from profiles.flows.values import plain_text

ROOM = Path(__file__).parents[4] / "profiles" / "flows"
EXPRESSIONS = sorted(ROOM.glob("*.py"))
FORBIDDEN = {
    "round", "median", "mode", "arbitrary", "first", "last", "quantile", "approx_nunique",
    "nunique", "try_cast", "strftime", "collect", "group_concat", "sql", "nullif_zero",
    "sample", "rlike", "ilike", "capitalize",
}  # fmt: skip


@pytest.mark.parametrize("file", EXPRESSIONS, ids=lambda file: file.name)
def test_expressions_keep_to_the_subset(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in FORBIDDEN, f"{file.name}:{node.lineno} {node.func.attr}"


def test_the_room_is_looked_at() -> None:
    assert len(EXPRESSIONS) > 8


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "pyspark"])
def test_a_text_is_made_plain_in_each_dialect(dialect: str) -> None:
    table = ibis.table({"text": "string"}, name="t")
    assert "LOWER" in ibis.to_sql(plain_text(table.text), dialect=dialect)

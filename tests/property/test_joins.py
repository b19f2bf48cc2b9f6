"""Alignments against DuckDB's joins: duplicates, composite keys, levels, in both directions."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psi.identifiers import clean, combine
from tests.unit.test_align import Keys, pairs, run

Columns = list[list[str | None]]
NEXT_LEVEL = """
insert into pairs select m.row, t.row, LEVEL from mine m join theirs t using (COLUMNS)
where m.row not in (select a from pairs) and t.row not in (select b from pairs)
"""
COLLAPSED = """
with m as (select min(row) as row, COLUMNS from mine group by COLUMNS),
     t as (select min(row) as row, COLUMNS from theirs group by COLUMNS)
select m.row, t.row, 0 from m join t using (COLUMNS) order by 1
"""
word = st.one_of(st.none(), st.sampled_from(["a", "b", "ab", "1:a", " b"]))


def tables(columns: int) -> st.SearchStrategy[tuple[Columns, Columns]]:
    def side(size: int) -> st.SearchStrategy[Columns]:
        column = st.lists(word, min_size=size, max_size=size)
        return st.lists(column, min_size=columns, max_size=columns)

    one = st.integers(1, 9).flatmap(side)
    return st.tuples(one, one)


def keyed(columns: Columns, shape: list[int]) -> Keys:
    """Keys of each level, of so many columns, as a job makes them."""
    parts = [clean(pa.array(column, pa.string()), "text") for column in columns]
    levels = [combine(parts[low:high]) for low, high in pairwise([0, *np.cumsum(shape)])]
    return [level.to_pylist() for level in levels]


def database(mine: Columns, theirs: Columns) -> Any:
    """Both tables, cleaned as text is, with row numbers."""
    db = duckdb.connect()
    for name, columns in (("mine", mine), ("theirs", theirs)):
        cleaned = [clean(pa.array(column, pa.string()), "text").values for column in columns]
        numbered = {f"c{i}": column for i, column in enumerate(cleaned)}
        db.register(name, pa.table({"row": range(len(columns[0])), **numbered}))
    return db


def joined(mine: Columns, theirs: Columns, shape: list[int]) -> list[tuple[int, int, int]]:
    """SQL's inner join, level by level among rows that no earlier level matched."""
    db = database(mine, theirs)
    db.execute("create table pairs (a bigint, b bigint, level int)")
    for level, (low, high) in enumerate(pairwise([0, *np.cumsum(shape)])):
        columns = ", ".join(f"c{i}" for i in range(low, high))
        db.execute(NEXT_LEVEL.replace("LEVEL", str(level)).replace("COLUMNS", columns))
    return [tuple(row) for row in db.execute("select * from pairs order by a, b").fetchall()]


def collapsed(mine: Columns, theirs: Columns) -> list[tuple[int, int, int]]:
    """The join of the first rows with each key."""
    columns = ", ".join(f"c{i}" for i in range(len(mine)))
    found = database(mine, theirs).execute(COLLAPSED.replace("COLUMNS", columns))
    return [tuple(row) for row in found.fetchall()]


@pytest.mark.parametrize("shape", [[1], [2], [1, 1], [1, 2]])
def test_all_pairs_are_those_of_an_inner_join(shape: list[int]) -> None:
    @settings(deadline=None, max_examples=6)
    @given(tables(sum(shape)))
    def equal(sides: tuple[Columns, Columns]) -> None:
        left, right = (keyed(columns, shape) for columns in sides)
        wanted = joined(*sides, shape)
        receiver, sender = run(left, right, duplicates="join")
        assert pairs(receiver, sender) == wanted
        turned = pairs(*run(right, left, duplicates="join"))
        assert sorted((b, a, level) for a, b, level in turned) == wanted
        # a left join has, besides, each row of the receiver's that is in no pair, once
        rows = database(*sides).execute("select row from mine").fetchall()
        alone = {row for (row,) in rows} - {a for a, _, _ in wanted}
        assert alone == set(range(len(left[0]))) - set(receiver.rows.tolist())

    equal()


@pytest.mark.parametrize("columns", [1, 2])
def test_collapsed_first_is_the_join_of_first_rows(columns: int) -> None:
    @settings(deadline=None, max_examples=6)
    @given(tables(columns))
    def equal(sides: tuple[Columns, Columns]) -> None:
        left, right = (keyed(side, [columns]) for side in sides)
        wanted = collapsed(*sides)
        assert pairs(*run(left, right)) == wanted
        turned = pairs(*run(right, left))
        assert sorted((b, a, level) for a, b, level in turned) == wanted

    equal()

"""Columns that say the same, asked one after the other: nobody lies.

A copy, another unit or other codes under another name had answers, an epsilon and differences of
its own: the difference of a sum and of its copy's over one record fewer was that record's value.
"""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from federated.releases.budget import OverBudget
from federated.releases.likeness import Likeness, same
from federated.tables.source import MemorySource
from psi.protocol import Refused
from tests.attacks.test_join_sum_differencing import GROUPS, HEAD
from tests.attacks.world import World

ROWS, VALUE = 240, 4321.0
DRAW = np.random.default_rng(2)
DEBT = DRAW.integers(0, 5000, ROWS).astype(float)
DEBT[0] = VALUE
SECTOR = DRAW.choice(["public", "private", "own"], ROWS)
COLUMNS = {
    "debt": DEBT,
    "owed_in_cents": 100 * DEBT + 3,
    "age": DRAW.integers(18, 90, ROWS).astype(float),
    "sector": SECTOR,
    "branch_code": np.array([{"public": "P", "private": "Q", "own": "R"}[s] for s in SECTOR]),
}
CATEGORY = """
[align]
minimum_overlap = 100

[[aggregate]]
by = "bureau.sector"
categories = ["public", "private", "own"]
epsilon = 0.6
"""


def world(folder: Path) -> World:
    table = pa.table({"id": [f"{i:06d}" for i in range(ROWS)], **COLUMNS})
    return World(folder, table, {"id": "never", **dict.fromkeys(COLUMNS, "aggregate")})


def bank(first: int = 0) -> pa.Table:
    ids = [f"{i:06d}" for i in range(first, ROWS)]
    return pa.table({"id": ids, "seg": ["all"] * len(ids)})


def test_a_copy_with_one_record_fewer_does_not_tell_that_records_value(tmp_path: Path) -> None:
    here = world(tmp_path)
    first = here.run(GROUPS, bank())
    assert first.outcome is not None, first.errors
    second = here.run(GROUPS.replace("bureau.debt", "bureau.owed_in_cents"), bank(1))
    assert second.outcome is None
    assert isinstance(second.errors["bureau"], OverBudget)
    assert "'owed_in_cents' and 'debt' of bureau.people say the same" in str(
        second.errors["bureau"]
    )
    other = here.run(GROUPS.replace("bureau.debt", "bureau.age"), bank(1))
    assert other.outcome is not None, other.errors  # another column is another question


def test_a_flag_that_is_a_threshold_of_a_number_is_told_of_one_record_by_two_answers(
    tmp_path: Path,
) -> None:
    """What is left, and said: neither column determines the other, so the two are not one. The
    owner lets one of them be asked."""
    owed = (DEBT > 4000).astype(float)
    table = pa.table({"id": [f"{i:06d}" for i in range(ROWS)], "debt": DEBT, "owes": owed})
    here = World(tmp_path, table, {"id": "never", "debt": "aggregate", "owes": "aggregate"})
    sums = [
        here.run(GROUPS.replace("bureau.debt:sum", each), bank(less))
        for less, each in enumerate(("bureau.owes:sum", "bureau.debt:share>4000"))
    ]
    assert all(run.outcome for run in sums), [run.errors for run in sums]
    whole, share = (run.outcome.aggregates[0][1].values[0][0] for run in sums if run.outcome)
    assert whole - share * (ROWS - 1) == pytest.approx(1.0)  # the record that the second lacks owes


def test_two_segments_over_a_column_and_its_copy_are_refused_before_a_signature(
    tmp_path: Path,
) -> None:
    here = world(tmp_path)
    more = '\n[[aggregate]]\nby = "bank.other"\nmeasures = ["bureau.owed_in_cents:sum"]\n'
    table = bank().append_column("other", pa.array(["one"] + ["all"] * (ROWS - 1)))
    run = here.run(GROUPS + more, table)
    assert run.outcome is None
    assert "say the same" in str(run.errors["bureau"])
    assert here.releases.lines() == []


def test_epsilon_is_one_for_columns_that_say_the_same(tmp_path: Path) -> None:
    here = world(tmp_path)
    assert here.run(HEAD + CATEGORY, bank()).outcome is not None
    coded = CATEGORY.replace("bureau.sector", "bureau.branch_code")
    run = here.run(HEAD + coded.replace('["public", "private", "own"]', '["P", "Q", "R"]'), bank())
    assert isinstance(run.errors["bureau"], Refused | OverBudget)
    assert "'branch_code' of bureau.people and 'sector', which say the same: epsilon 1.2" in str(
        run.errors["bureau"]
    )


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        (DEBT, True),
        (-3.7 * DEBT + 1, True),
        (np.log1p(DEBT), True),
        (np.round(DEBT, -2), True),
        (DEBT + DRAW.normal(0, 20, ROWS), True),
        (DEBT + DRAW.normal(0, 1500, ROWS), False),
        (DRAW.permutation(DEBT), False),
        (np.ones(ROWS), False),
        (DEBT > 2500, False),
        ([datetime.date(2000, 1, 1) + datetime.timedelta(int(d)) for d in DEBT], True),
        ([None] * 230 + [1.0] * 10, False),
    ],
)
def test_what_says_the_same_as_a_number(other: object, alike: bool) -> None:
    assert same(pa.array(DEBT), pa.array(other)) is alike


def test_what_says_the_same_as_a_name() -> None:
    sector, code = pa.array(SECTOR), pa.array(COLUMNS["branch_code"])
    assert same(sector, code)
    assert same(sector.dictionary_encode().cast(pa.string()), code)
    assert not same(sector, pa.array(DRAW.permutation(SECTOR)))
    assert not same(sector, pa.array(["one"] * ROWS))
    names = pa.array([f"{n}" for n in range(ROWS)])
    assert same(names, names)
    assert not same(names, pa.array([f"other {n}" for n in DRAW.permutation(ROWS)]))


def test_a_large_table_is_measured_in_a_moment_and_gone_columns_are_like_none(
    tmp_path: Path,
) -> None:
    rows = 300_000
    values = np.random.default_rng(1).normal(size=rows)
    table = pa.table({"a": values, "b": 2 * values, "c": values[::-1]})
    me = type("Me", (), {"table": "t", "keys": ()})()
    found = Likeness(MemorySource({"t": table}), me)
    assert found("a", ["b", "c", "gone"]) == {"a", "b"}
    assert "a" not in repr(found).split("of")[0]

"""The demo's transactions against their truth: texts of another hand than the taxonomy's."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from federated.readers import arrow_expression
from profiles.demo import World, build
from profiles.demo.texts import LINES
from profiles.flows import Flows, Taxonomy
from profiles.flows.breaks import breaks
from profiles.flows.links import payroll_links
from profiles.flows.score import score_pairs, score_types

FEW = {"C": 220, "B": 60, "G": 30}


@pytest.fixture(scope="module")
def world() -> World:
    return build()


@pytest.fixture(scope="module")
def some(world: World) -> Flows:
    """The flows of a few customers of each kind."""
    accounts = world.tables["bank.accounts"].to_pandas()
    accounts = pd.concat([accounts[accounts.kind == kind][:n] for kind, n in FEW.items()])
    rows = world.tables["bank.transactions"].to_pandas()
    rows = rows[rows.account.isin(set(accounts.account))]
    return Flows.of(
        rows,
        accounts=accounts.rename(columns={"customer": "entity"}),
        inward=("贷",),
        outward=("借",),
        columns={"id": "serial", "counterparty_name": "counterparty", "text": "remark"},
    )


def test_types_and_breaks_are_found_by_texts_alone(world: World, some: Flows) -> None:
    typed = some.kept()
    here = set(typed.id.to_pyarrow().to_pylist())
    truth = world.truth["types"].to_pandas()
    truth = truth[truth.id.isin(here)]
    found = score_types(typed, _beside(some, "truth", truth))
    # before the taxonomy had seen any of these texts: .854, .960, 1.000
    assert (found.macro or 0) >= 0.95
    assert (found.precision or 0) >= 0.98
    assert (found.undecided or 0) >= 0.90
    real = world.truth["breaks"].to_pandas()
    entities = set(typed.entity.to_pyarrow().to_pylist())
    real = real[real.entity.isin(entities)].assign(month=lambda t: _number(t.month))
    stopped = breaks(some.base, typed, some.taxonomy, some.last_day, keep=some.stored)  # type: ignore[arg-type]
    stopped = stopped.filter(stopped.change == "break").select("entity", "month")
    given = _beside(some, "stopped", real)
    assert score_pairs(stopped, given, ("entity", "month")).both >= 0.85


def test_employers_are_known_by_the_wages_that_persons_get(some: Flows) -> None:
    payers = payroll_links(some.kept(), 2025 * 12 + 11).to_pandas()
    assert len(payers) >= 1
    assert payers.staff.min() >= 5


def test_the_truth_is_in_no_table_and_each_type_is_one(world: World) -> None:
    assert not {"type", "code"} & {n for t in world.tables.values() for n in t.column_names}
    rows, truth = world.tables["bank.transactions"], world.truth["types"]
    assert rows.column("serial").to_pylist() == truth.column("id").to_pylist()
    kinds = {one.code: one for one in Taxonomy.load()}
    assert set(LINES) <= set(kinds)
    share = pd.Series(truth.column("type").to_pylist()).eq("").mean()
    assert 0.08 < share < 0.12


def _beside(flows: Flows, name: str, frame: pd.DataFrame) -> Any:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return arrow_expression(flows.engine.connection, name, table)


def _number(months: pd.Series) -> pd.Series:
    return months.str[:4].astype(int) * 12 + months.str[5:].astype(int) - 1

"""Columns that single out a row, at a party that lies: what the other's software cannot see.

Each attack changes one party's own checks and no message. It works: the chapter, the contract's
words and the threat model say that a party that lies reads one row for each column and pass. What
honest software refuses, and how many columns the other side takes at most, is tested beside it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.models.logistic import sigmoid
from federated.vertical import fit_logistic, guards, label_party
from federated.vertical.messages import Setup
from federated.vertical.system import System
from psi.protocol import Pair, Refused, decode
from tests.unit.vertical.world import (
    World,
    deliver,
    feature_parties,
    make_world,
)
from tests.unit.vertical.world import label_party as bank

ROWS, COLUMNS = 240, 4


def singled(rows: int, count: int) -> np.ndarray:
    """`count` columns, each 1 in a row of its own."""
    return np.eye(rows)[:, :count]


def test_a_label_party_that_lies_reads_a_row_for_each_own_column(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = make_world(ROWS, 2, (COLUMNS,), seed=4)
    count = ROWS // guards.ROWS_A_COLUMN - COLUMNS - 1  # as many as the partner takes
    lying = replace(world, own=singled(ROWS, count))
    monkeypatch.setattr(label_party, "check_label", lambda label, own: np.asarray(label, np.int8))
    opened: list[np.ndarray] = []
    real = System.whole

    def spied(self: System, *given: Any) -> tuple[np.ndarray, np.ndarray]:
        matrix, gradient = real(self, *given)
        opened.append(matrix[self.own :, : self.own].copy())
        return matrix, gradient

    monkeypatch.setattr(System, "whole", spied)
    Pair(bank(lying, steps=1), *feature_parties(lying).values()).run()
    # V = Z'D X_A: of own column j it has D_j z_j, and it knows D, which is its own model's
    design = np.column_stack([np.ones(ROWS), lying.own])
    penalty = np.append(0.0, np.ones(count))
    p = sigmoid(design @ fit_logistic(design, world.label, penalty).coefficients)[:count]
    rows = opened[0][:, 1:].T / (p * (1 - p))[:, None]
    x = world.parts["bureau"][:count]
    # the judge undoes the one matrix that is not known: all rows are there, to the digits of sums
    back = rows @ np.linalg.lstsq(rows, x, rcond=None)[0]
    assert np.abs(back - x).max() < 1e-2


def test_the_label_partys_own_software_refuses_such_columns() -> None:
    world = make_world(ROWS, 2, (COLUMNS,), seed=4)
    own = np.column_stack([world.own, np.arange(ROWS) < 19])
    with pytest.raises(Refused, match=r"1 of 3 columns .* fewer than 20 labelled rows"):
        bank(replace(world, own=own))
    own[:, 2] = np.arange(ROWS) < 20
    bank(replace(world, own=own))
    # and what counts are labelled rows: sums run over these
    label = world.label.copy()
    label[:1] = -1
    with pytest.raises(Refused, match="fewer than 20 labelled rows"):
        bank(replace(world, own=own, label=label))


@pytest.mark.parametrize(("more", "others"), [(1, 0), (0, 1)])
def test_the_partner_counts_columns_of_all_parties(more: int, others: int) -> None:
    world = make_world(ROWS, 2, (COLUMNS,), seed=4)
    most = ROWS // guards.ROWS_A_COLUMN - COLUMNS
    setup = decode(bank(world, steps=1).start().messages[0].payload, Setup)

    def partner(own: int, others: int) -> None:
        party = feature_parties(world)["bureau"]
        party._others = others
        party.start()
        deliver(party, replace(setup, own=own), "bank")

    partner(most, 0)
    with pytest.raises(Refused, match="240 labelled rows for 61 columns"):
        partner(most + more, others)


def test_the_label_party_counts_columns_of_all_parties() -> None:
    world = make_world(160, 33, (COLUMNS, 4), seed=4)
    with pytest.raises(Refused, match="160 labelled rows for 42 columns"):
        Pair(bank(world, steps=1), *feature_parties(world).values()).run()


def test_a_partner_that_lies_reads_a_label_for_each_own_column(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = make_world(400, 2, (COLUMNS,), seed=5)
    chosen = np.random.default_rng(1).choice(400, 20, replace=False)
    lying = np.column_stack([world.parts["bureau"], np.eye(400)[:, chosen]])
    other = World(world.own, {"bureau": lying}, world.label, None)
    with pytest.raises(Refused, match="20 of 24 columns"):
        feature_parties(other)
    monkeypatch.setattr(guards, "_check_support", lambda *given: None)
    results = Pair(bank(other, steps=1), *feature_parties(other).values()).run()
    signs = results["bureau"].coefficients[COLUMNS:] > 0
    assert np.array_equal(signs, world.label[chosen] == 1)

"""What a party that lies still gets of private sums: these attacks work, and the chapter says so.

A test that fails here is good news, and a reason to change `docs/protocols/aggregate.md`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from federated.aggregate.share_messages import Showed
from federated.contract.terms import Contract
from psi.protocol import PeerError
from psi.protocol.codec import peek
from tests.attacks.world import World
from tests.unit.aggregate_shares import SharedParties

GROUPS = """
[job]
name = "groups"
purpose = "retention"

[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]

[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id"]]

[align]
minimum_overlap = 100

[[aggregate]]
by = "bank.seg"
measures = ["bureau.debt:variance"]
"""
ROWS, LEAST, AIM, OTHER = 60, 20, 7, 33
VALUES = np.random.default_rng(4).normal(size=(ROWS, 1)).round(3)
CODES = [0] * 30 + [1] * 30


class Moves(SharedParties):
    """It says that the second section's groups are the first one's, and changes two rows over."""

    def shared(self, number: int, bins: np.ndarray, size: int, rows: Any) -> dict[str, Any]:
        if number:
            bins = bins.copy()
            bins[[AIM, OTHER]] = bins[[OTHER, AIM]]
        return super().shared(number, bins, size, rows)


def test_a_receiver_that_moves_a_row_between_sections_reads_a_difference() -> None:
    parties = Moves(
        VALUES, CODES, 2, LEAST, [("a", "sum")], (CODES, LEAST, [("a", "sum")]), names="a"
    )
    one, two = (found["bank"].values[0] for found in parties.run_all())
    assert two[0] - one[0] == pytest.approx(VALUES[OTHER, 0] - VALUES[AIM, 0], abs=1e-5)


def test_thresholds_say_in_which_range_each_of_the_two_is() -> None:
    ask = [("a", "histogram[-0.5,0.3]")]
    parties = Moves(VALUES, CODES, 2, 5, ask, (CODES, 5, ask), names="a")
    one, two = (np.array(found["bank"].values[0][0]) for found in parties.run_all())
    here, gone = (int(np.searchsorted([-0.5, 0.3], VALUES[row, 0])) for row in (OTHER, AIM))
    assert here != gone
    assert (two - one == np.eye(3)[here] - np.eye(3)[gone]).all()


def test_two_variances_would_tell_it_both_values() -> None:
    """Sums give x - y, sums of squares x^2 - y^2. Roles answer it; no contract asks it."""
    ask = [("a", "sum"), ("a", "variance")]
    parties = Moves(VALUES, CODES, 2, LEAST, ask, (CODES, LEAST, ask), names="a")
    sums, squares = [], []
    for found in parties.run_all():
        total, variance = (float(each[0]) for each in found["bank"].values)
        sums.append(total)
        squares.append(variance * 29 + total**2 / 30)
    less, more = sums[1] - sums[0], (squares[1] - squares[0]) / (sums[1] - sums[0])
    read = (more + less) / 2, (more - less) / 2
    assert read == pytest.approx((VALUES[OTHER, 0], VALUES[AIM, 0]), abs=1e-4)


def test_a_variance_is_asked_once_in_a_contract_and_over_contracts(tmp_path: Path) -> None:
    people = pa.table({"id": [f"{i:04d}" for i in range(200)], "debt": np.arange(200) % 37.0})
    world = World(tmp_path, people, {"debt": "aggregate"})

    def bank(first: int) -> pa.Table:
        kept = people.slice(first, 150)
        half = pa.array(["a", "b"] * 75)
        return pa.table({"id": kept["id"], "seg": half, "other": half})

    def draft_of_two(contract: Contract) -> Contract:
        first, more = contract.aggregate
        return replace(contract, aggregate=(first, replace(more, measures=first.measures)))

    more = '\n[[aggregate]]\nby = "bank.other"\nmeasures = ["bureau.debt:mean"]\n'
    run = world.run(GROUPS + more, bank(0), draft_of_two)
    assert run.outcome is None
    assert "a variance of debt in 2 sections" in str(run.errors["bureau"])
    assert world.run(GROUPS, bank(0)).outcome is not None
    later = world.run(GROUPS, bank(50))
    assert "a variance asked 2 times within 400 days, 1 allowed" in str(later.errors["bureau"])
    assert "ask its mean alone" in str(later.errors["bank"])  # before anything was told
    assert later.contract is None
    assert world.run(GROUPS.replace("variance", "mean"), bank(50)).outcome is not None


@pytest.mark.parametrize("aim", [AIM, OTHER])
def test_a_partner_that_guesses_a_rows_cell_learns_whether_it_was_right(aim: int) -> None:
    """It adds to a row's bound, and takes it back from its share of one cell: of the first."""
    more = np.uint64(12345)

    class Guesses(SharedParties):
        def rows_of(self, number: int) -> Any:
            rows = super().rows_of(number)
            true = rows.give

            def give(start: int, stop: int) -> Any:
                found = true(start, stop)
                if start <= aim < stop:
                    found[aim - start : aim - start + 1, 0] += more
                return found

            rows.give = give  # type: ignore[method-assign]
            return rows

        def shared(self, number: int, bins: np.ndarray, size: int, rows: Any) -> dict[str, Any]:
            found = super().shared(number, bins, size, rows)
            found["bureau"] = found["bureau"].copy()
            found["bureau"][:1, 0] -= more
            return found

    parties = Guesses(VALUES, CODES, 2, LEAST, [("a", "sum")], names="a")
    if CODES[aim] == 0:
        assert parties.run_all()[0]["bank"].values[0][0] == pytest.approx(
            VALUES[:30].sum(), abs=1e-4
        )
        return
    with pytest.raises(PeerError, match="bound of other rows"):
        parties.run_all()
    assert Showed not in {peek(e.payload) for e in parties.sent}


@pytest.mark.parametrize("aim", [AIM, OTHER])
def test_a_partner_s_square_that_no_value_has_says_in_which_group_a_row_is(aim: int) -> None:
    """It adds 2^86 to a row's square, and takes it back from its share of the first group: where
    the row is in another, the first one's sum is none that values have."""
    more = np.uint64(1 << 40)

    class Guesses(SharedParties):
        def rows_of(self, number: int) -> Any:
            rows = super().rows_of(number)
            true = rows.give

            def give(start: int, stop: int) -> Any:
                found = true(start, stop)
                if start <= aim < stop:
                    found[aim - start, -1] += more
                return found

            rows.give = give  # type: ignore[method-assign]
            return rows

        def shared(self, number: int, bins: np.ndarray, size: int, rows: Any) -> dict[str, Any]:
            found = super().shared(number, bins, size, rows)
            found["bureau"] = found["bureau"].copy()
            found["bureau"][0, -1] -= more
            return found

    parties = Guesses(VALUES, CODES, 2, LEAST, [("a", "variance")], names="a")
    if CODES[aim] == 0:
        told = parties.run_all()[0]["bank"].values[0][0]
        assert told == pytest.approx(VALUES[:30].var(ddof=1), abs=1e-4)
        return
    with pytest.raises(PeerError, match="sums of squares that no values have"):
        parties.run_all()

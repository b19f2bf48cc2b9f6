"""Several segments over the same rows: what their sums tell together, against an attacker apart."""

from __future__ import annotations

import secrets
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.aggregate import AggregateResult
from federated.aggregate.cells import ABSENT, NONE, numbered_cells
from federated.aggregate.history import Past, followed, history_of
from federated.aggregate.overlap import isolating, withheld
from federated.contract.disclosures import disclosures
from federated.contract.terms import AggregateTerms, Contract, Measure
from federated.paillier import generate_keypair
from federated.steps.sections_told import SectionsTold
from psi.protocol import Context, Pair
from tests.unit.attacker import few_spoken_of
from tests.unit.test_contract import contract

KEY = generate_keypair(2048)


def told_sums(codes: np.ndarray, told: list[np.ndarray]) -> np.ndarray:
    """Every sum that is told or known, as a 0/1 row over the records: `[sums, records]`."""
    known = [np.zeros(codes.shape[1])]
    for groups, kept in zip(codes, told, strict=True):
        known += [(groups != ABSENT).astype(float)]
        known += [(groups == g).astype(float) for g in np.flatnonzero(kept)]
    return np.array(known)


def attack(
    codes: np.ndarray,
    told: list[np.ndarray],
    present: np.ndarray,
    least: int,
    *,
    newest: bool = False,
) -> bool:
    """Whether a combination of told sums speaks of fewer values.

    `newest`: one that the first grouping has a part in.
    """
    before = told_sums(codes[1:], told[1:]) if newest else np.zeros((1, codes.shape[1]))
    return few_spoken_of(told_sums(codes, told), before, present, least)


def groupings(count: int, *, leaving: bool = False) -> Any:
    """Records with a group in each grouping, mostly the same one, and whether a value is there.

    `leaving`: some are absent from some.
    """
    moves = st.sampled_from([-3, -2, -1, 0, 1] if leaving else [-2, -1, 0, 1])
    row = st.tuples(
        st.integers(-1, 2), st.lists(moves, min_size=count, max_size=count),
        st.sampled_from([1, 1, 1, 0]),
    )  # fmt: skip
    return st.lists(row, min_size=8, max_size=30)


def arrays(rows: list[tuple[int, list[int], int]]) -> tuple[np.ndarray, np.ndarray]:
    moved = [
        [ABSENT if m == -3 else max(-1, min(2, g + max(0, m))) for m in moves]
        for g, moves, _ in rows
    ]
    return np.array(moved, np.int64).T, np.array([p for *_, p in rows], np.int64)


def by_cell(codes: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cells, place = numbered_cells(list(codes))
    return cells, np.bincount(place, present, len(cells)).astype(np.int64)


@settings(deadline=None, max_examples=25)
@given(groupings(2) | groupings(2, leaving=True), st.integers(2, 3))
def test_with_two_groupings_exactly_what_isolates_is_found(
    rows: list[tuple[int, list[int], int]], least: int
) -> None:
    codes, present = arrays(rows)
    cells, values = by_cell(codes, present)
    found = isolating(cells, values, least)
    told = [np.ones(3, bool)] * 2
    if found is None:
        assert not attack(codes, told, present, least, newest=True)
    else:
        assert attack(codes, told, present, least)


@settings(deadline=None, max_examples=12)
@given(groupings(3) | groupings(3, leaving=True), st.integers(2, 3))
def test_nothing_is_left_that_speaks_of_too_few(
    rows: list[tuple[int, list[int], int]], least: int
) -> None:
    codes, present = arrays(rows)
    told: list[np.ndarray] = []
    for number in range(len(codes)):
        part = codes[: number + 1][::-1]  # the newest first
        cells, values = by_cell(part, present)
        told.insert(0, withheld(cells, values, [np.ones(3, bool), *told], least))
        if told[0].any():
            assert not attack(part, told, present, least, newest=True)


def test_groups_that_differ_in_one_row_are_not_both_told() -> None:
    first = np.repeat([0, 1, 2], 50)
    second = first.copy()
    second[0] = 1
    cells, values = by_cell(np.stack([second, first]), np.ones(150))
    kept = withheld(cells, values, [np.ones(3, bool)] * 2, 20)
    assert kept.tolist() == [False, False, True]


def test_coarser_and_unrelated_groupings_are_told_whole() -> None:
    rng = np.random.default_rng(4)
    branch = rng.integers(0, 60, 6000)
    for other in (branch // 10, rng.integers(0, 6, 6000)):
        cells, values = by_cell(np.stack([other, branch]), np.ones(6000))
        told = [np.ones(6, bool), np.ones(60, bool)]
        assert withheld(cells, values, told, 20).all()


def test_many_small_cells_take_no_programme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scipy.optimize.linprog", None)
    rng = np.random.default_rng(5)
    fine, coarse = rng.permutation(np.arange(30_000) % 1000), rng.integers(0, 6, 30_000)
    cells, values = by_cell(np.stack([fine, coarse]), np.ones(30_000))
    assert (values < 20).all()
    assert withheld(cells, values, [np.ones(1000, bool), np.ones(6, bool)], 20).all()


def test_a_programme_without_an_answer_is_no_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    first = np.repeat([0, 1], 30)
    second = np.where(np.arange(60) == 0, 1, first)
    cells, values = by_cell(np.stack([second, first]), np.ones(60))
    assert withheld(cells, values, [np.ones(2, bool)] * 2, 1).all()
    stopped = SimpleNamespace(status=4, fun=None, x=None)
    monkeypatch.setattr("scipy.optimize.linprog", lambda *_, **__: stopped)
    assert not withheld(cells, values, [np.ones(2, bool)] * 2, 2).any()


def test_too_many_cells_to_look_at_are_not_told() -> None:
    pairs = np.arange(1200) // 2  # a grouping of pairs against one of other pairs: all in a chain
    cells, values = by_cell(np.stack([pairs, np.roll(pairs, 1)]), np.ones(1200))
    told = [np.ones(600, bool)] * 2
    assert not withheld(cells, values, told, 4).any()


def test_what_cancels_out_may_speak_of_the_hidden_alone() -> None:
    # of each group as many as it takes have left, but "1" is as it was, as far as can be seen
    first = np.repeat(np.arange(6), 40)
    second = np.where((np.arange(240) % 40 < 20) & (first != 1), ABSENT, first)
    cells, values = by_cell(np.stack([second, first]), np.ones(240))
    told = [np.ones(6, bool)] * 2
    assert withheld(cells, values, told, 20, alike=False).all()
    kept = withheld(cells, values, told, 20, hidden=True, alike=False)
    # and one more, or the total over all would give it back
    assert kept.tolist() == [False, False, True, True, True, True]
    # the same records in the same groups again: within a contract their whole is no news
    cells, values = by_cell(np.stack([first, first]), np.ones(240))
    assert withheld(cells, values, told, 20).all()
    assert not withheld(cells, values, told, 20, hidden=True).any()


def test_the_smallest_of_too_many_cells_are_counted_by_the_newest_grouping_alone() -> None:
    newest, earlier = np.repeat([0, 1], 60), np.arange(120) // 50
    earlier[:3] = [7, 8, 9]
    cells, place = numbered_cells([newest, earlier], most=5)
    assert len(cells) == 4
    sizes = np.bincount(place)
    assert cells[sizes == 13].tolist() == [[2, -1]]  # 7, 8, 9 and ten of 1
    assert cells[(cells >= 0).all(axis=1)].tolist() == [[2, 2], [3, 3], [3, 4]]
    assert np.array_equal(cells[place, 0], newest + 2)


@pytest.mark.parametrize(("size", "churn", "told"), [(12_000, 0.02, True), (12_000, 0.001, False)])
def test_a_large_group_is_told_month_after_month_if_enough_come_and_go(
    size: int, churn: float, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four months of customers who leave, come and move between twelve segments."""
    monkeypatch.setattr("federated.aggregate.overlap.MOST_PROGRAMMES", 0)  # none is needed
    rng, count = np.random.default_rng(3), round(size * churn)
    people, segment = np.arange(1, size + 1, dtype=np.uint64), rng.integers(0, 12, size)
    past: list[Past] = []
    before: list[np.ndarray] = []
    for month in range(4):
        history = history_of(people, past, 20)
        gone = np.full(len(history.places) - len(people), ABSENT)
        every = [history.codes(job, codes, ABSENT, NONE) for job, codes in enumerate(before)]
        cells, place = numbered_cells([np.concatenate([segment, gone]), *every])
        there = [np.ones((len(codes), 1), bool) for codes in before]
        found = followed(history, np.ones((len(people), 1), bool), there, 20)
        values = np.bincount(place, found.flags[:, 0], len(cells)).astype(np.int64)
        flags, hidden = [np.ones(12, bool)] * (1 + month), bool(found.hidden[0])
        kept = withheld(cells, values, flags, 20, hidden=hidden, alike=False)
        assert kept.all() == (told or not month)
        past.append(Past(str(month), (0,), people))
        before.append(segment)
        stay = np.sort(rng.permutation(size)[count:])
        fresh = people.max() + np.arange(1, 1 + count, dtype=np.uint64)
        people = np.concatenate([people[stay], fresh])
        segment = np.concatenate([segment[stay], rng.integers(0, 12, count)])
        segment[rng.permutation(size)[:count]] = rng.integers(0, 12, count)


# inside a contract


def sections(*by: str, minimum: int = 3) -> Contract:
    asked = (Measure("a", "mean"), Measure("a", "count"))
    terms = tuple(AggregateTerms("bureau", column, asked, minimum, 2048) for column in by)
    made = replace(contract(), aggregate=terms)
    return replace(made, disclosures=disclosures(made))


def run(
    made: Contract, bank: pa.Table, bureau: pa.Table
) -> tuple[list[AggregateResult], list[np.ndarray]]:
    """All sections in order: what the bank was told, and what the bureau counted."""
    sides = {name: SectionsTold(made) for name in ("bank", "bureau")}
    history = sides["bureau"].history(made.party("bureau"), bureau)

    def context(party: str) -> Context:
        return Context(b"session", "aggregate", party, secrets.token_bytes)

    added = Pair(
        sides["bank"].adding(context("bank"), "bureau", bank, history),
        sides["bureau"].sending(context("bureau"), made.party("bureau"), bureau, KEY, history),
    ).run()["bank"]
    found, rows = [], []
    for terms in made.aggregate:
        receiver = sides["bank"].receiving(context("bank"), terms, added)
        partner = sides["bureau"].giving(context("bureau"), terms, KEY, history)
        results = Pair(receiver, partner).run()
        sides["bank"].received(terms, results["bank"], bank)
        sides["bureau"].gave(terms, results["bureau"])
        found.append(results["bank"])
        rows.append(results["bureau"].rows)
    return found, rows


def test_the_second_section_does_not_give_one_record_away() -> None:
    segment = ["x"] * 20 + ["y"] * 20 + ["z"] * 20
    moved = ["y", *segment[1:]]
    bank = pa.table({"segment": segment, "moved": moved})
    values = np.arange(60.0)
    values[[5, 25, 45]] = np.nan
    (first, second), rows = run(
        sections("segment", "moved"), bank, pa.table({"a": pa.array(values, from_pandas=True)})
    )
    assert not np.isnan(first.values[0]).any()
    assert np.isnan(second.values[0]).tolist() == [True, True, False]
    assert rows[1].tolist() == [19, 21, 20]
    alone, _ = run(sections("moved"), bank, pa.table({"a": values}))
    assert not np.isnan(alone[0].values[0]).any()


def test_a_value_missing_at_the_partner_counts_in_the_cells() -> None:
    # three rows move, of which two have no value: their difference is one record's value
    segment = ["x"] * 20 + ["y"] * 20
    moved = ["y"] * 3 + segment[3:]
    values = np.arange(40.0)
    values[[0, 1, 30, 31]] = np.nan
    bank, bureau = pa.table({"segment": segment, "moved": moved}), pa.table({"a": values})
    (_, second), _ = run(sections("segment", "moved"), bank, bureau)
    assert np.isnan(second.values[0]).all()
    (_, full), _ = run(sections("segment", "moved"), bank, pa.table({"a": np.arange(40.0)}))
    assert not np.isnan(full.values[0]).any()


def test_sections_of_other_columns_do_not_touch_each_other() -> None:
    bank = pa.table({"segment": ["x"] * 9 + ["y"] * 9, "moved": ["x"] * 8 + ["y"] * 10})
    made = sections("segment", "moved")
    other = replace(made.aggregate[1], measures=(Measure("b", "mean"),))
    made = replace(made, aggregate=(made.aggregate[0], other))
    found, _ = run(made, bank, pa.table({"a": np.arange(18.0), "b": np.arange(18.0)}))
    assert not any(np.isnan(result.values[0]).any() for result in found)
    assert not any("segment by moved with" in entry.learns for entry in disclosures(made))


def test_the_contract_says_that_combinations_are_counted() -> None:
    words = "combination of a segment by branch with those by segment"
    told = [d for d in sections("segment", "branch").disclosures if words in d.learns]
    assert [(d.to, d.line) for d in told] == [("bureau", "aggregate")]
    again = [d.learns for d in sections("segment", "segment").disclosures]
    assert not any("segment by segment with" in learns for learns in again)
    past = [d.to for d in sections("segment").disclosures if "earlier jobs" in d.learns]
    assert past == ["bureau", "bank"]

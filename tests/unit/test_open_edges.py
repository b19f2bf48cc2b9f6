"""Above which edges values are counted for the receiver, against an attacker apart.

The attacker knows every sum that is told: how many values of a group are above an open edge, for
every group of every section, and all records together by the edges that they would be told by. It
looks for a combination of them, with whatever factors, that speaks of few values.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.aggregate.binned import PastParts, binned
from federated.aggregate.cells import numbered_cells
from federated.aggregate.grid import NO_ATOM, Binned, atoms_of, grid_of, parts_of
from federated.aggregate.history import Past, followed, history_of
from federated.aggregate.open_edges import Parted, columns_kept, open_edges
from federated.aggregate.statistics import Statistic
from tests.unit.attacker import few_spoken_of

LEAST = 3


def test_values_lie_in_atoms_as_statistics_count_them() -> None:
    texts = ["share>0.5", "share>=0.5", "share<-1", "share<=2", "histogram[-1,0.5,2]"]
    every = [Statistic.parse(text) for text in texts]
    values = np.array([-2, -1, 0.0, 0.5, np.nextafter(0.5, 1), 2, np.nextafter(2, 3), np.nan])
    grid = grid_of(s.edges for s in every)
    atoms = atoms_of(values, grid)
    assert atoms[-1] == NO_ATOM
    there, known = len(values) - 1, values[:-1]
    wanted = [
        [(known > 0.5).sum()], [(known >= 0.5).sum()], [(known < -1).sum()], [(known <= 2).sum()],
        [(known < -1).sum(), ((known >= -1) & (known < 0.5)).sum(),
         ((known >= 0.5) & (known < 2)).sum(), (known >= 2).sum()],
    ]  # fmt: skip
    for statistic, counted in zip(every, wanted, strict=True):
        above = {edge: int((known >= edge).sum()) for edge in statistic.edges}
        assert statistic.counts(there, above) == counted
        parts = parts_of(grid, statistic.edges)[atoms[:-1]]
        assert np.bincount(parts, minlength=len(counted)).sum() == there


def told(
    codes: np.ndarray, atoms: np.ndarray, parted: Parted, grid: tuple[float, ...]
) -> list[np.ndarray]:
    """Every sum that a section tells, as a 0/1 row over the records."""
    found = list[np.ndarray]()
    part = parts_of(grid, parted.edges)[atoms]
    for group in np.flatnonzero(parted.told):
        mine = codes == group
        found.append(mine.astype(float))
        found += [
            (mine & (part > edge)).astype(float) for edge in np.flatnonzero(parted.open[group])
        ]
    return found


def cells_of(codes: np.ndarray, atoms: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    cells, place = numbered_cells(list(codes))
    values = np.zeros((len(cells), count), np.int64)
    np.add.at(values, (place, atoms), 1)
    return cells, values


RECORDS = st.lists(
    st.tuples(st.integers(-1, 1), st.sampled_from([0, 0, 0, 1, -1]), st.integers(0, 3)),
    min_size=6, max_size=26,
)  # fmt: skip
GRID = (1.0, 2.0, 3.0)
FIRST, SECOND = (1.0, 3.0), (2.0, 3.0)


@settings(deadline=None, max_examples=150)
@given(RECORDS, st.booleans())
def test_nothing_that_is_told_together_speaks_of_few(
    records: list[tuple[int, int, int]], again: bool
) -> None:
    """Two sections with edges of their own, by the same segment or another."""
    one = np.array([g for g, _, _ in records])
    two = one if again else np.array([max(-1, min(1, g + m)) for g, m, _ in records])
    atoms = np.array([a for *_, a in records])
    cells, values = cells_of(np.stack([two, one]), atoms, 4)
    nothing = np.zeros((len(cells), 4), bool)
    before = list[Parted]()
    known = [np.zeros(len(records))]
    for codes, place, edges in ((one, 1, FIRST), (two, 0, SECOND)):
        sizes = np.bincount(codes + 1, minlength=3)[1:]
        newest = Parted(cells[:, place], sizes >= LEAST, edges, np.ones((2, 2), bool))
        if before:
            kept = columns_kept(newest, before, GRID, values, nothing, LEAST)
            newest = Parted(cells[:, place], kept, edges, np.ones((2, 2), bool))
        opened = open_edges(newest, before, GRID, values, nothing, (LEAST, LEAST), hidden=False)
        newest = Parted(cells[:, place], newest.told, edges, opened)
        # groups without edges are for the audit of columns: what it gave before is known
        bare = Parted(cells[:, place], newest.told, edges, np.zeros((2, 2), bool))
        alone = [*known, *told(codes, atoms, bare, GRID)]
        known += told(codes, atoms, newest, GRID)
        present = np.ones(len(records), np.int64)
        assert not few_spoken_of(np.array(known), np.array(alone), present, LEAST)
        part = parts_of(GRID, edges)[atoms]
        for group in np.flatnonzero(newest.told):
            block = newest.within()[group][part[codes == group]]
            counts = np.bincount(block)
            assert ((counts == 0) | (counts >= LEAST)).all()
        before.append(newest)


def test_small_bins_go_with_a_neighbour_and_empty_ones_are_told() -> None:
    counts = np.array([[0, 40, 2, 30, 0], [25, 25, 25, 25, 25]])
    newest = Parted(np.array([2, 3]), np.ones(2, bool), (1.0, 2.0, 3.0, 4.0), np.ones((2, 4), bool))
    grid, nothing = newest.edges, np.zeros((2, 5), bool)
    found = open_edges(newest, (), grid, counts, nothing, (20, 20), hidden=False)
    assert found[0].tolist() == [True, True, False, True]
    # by the total, what is closed in one group alone is given back: the second closes it too
    assert found[1].tolist() == [True, True, False, True]


def test_an_atom_with_values_that_are_not_counted_is_not_told_as_empty() -> None:
    counts, held = np.array([[30, 0, 30]]), np.array([[False, True, False]])
    newest = Parted(np.array([2]), np.ones(1, bool), (1.0, 2.0), np.ones((1, 2), bool))
    found = open_edges(newest, (), newest.edges, counts, held, (20, 20), hidden=False)
    assert found.sum() == 1


def test_a_rare_atom_shows_the_partner_nobodys_group() -> None:
    def counted(*sizes: int) -> Binned:
        values = np.repeat([0.5, 1.5, 2.5, np.nan], sizes)
        history = history_of(np.arange(1, 1 + len(values), dtype=np.uint64), (), 0)
        flags = followed(history, np.isfinite(values)[:, None], (), 20).flags[:, 0]
        return binned(history, flags, GRID[:2], atoms_of(values, GRID[:2]), (), 20)

    few = counted(30, 3, 40, 2)  # they count in the largest, and so do the two without a value
    assert np.bincount(few.atoms).tolist() == [30, 0, 45]
    assert few.wrong == 5
    assert not few.missing.any()
    assert few.loose.tolist() == [False, True, False]
    many = counted(12, 13, 40, 0)  # 25 that count in none show nothing
    assert np.bincount(many.atoms[many.atoms != NO_ATOM]).tolist() == [0, 0, 40]
    assert many.wrong == 0
    assert not many.loose.any()
    assert many.missing.tolist() == [True, True, False]


def test_a_record_whose_value_moved_since_an_earlier_job_counts_in_no_atom() -> None:
    tags = np.arange(1, 51, dtype=np.uint64)
    history = history_of(tags, [Past("5e" * 32, (0,), tags[:48])], 1)
    values = np.repeat([0.5, 1.5], 25)
    then = np.repeat([0, 1], [24, 24]).astype(np.uint16)  # the 25th has come down since
    flags = followed(history, np.ones((50, 1), bool), [np.ones((48, 1), bool)], 1).flags[:, 0]
    past = [PastParts(0, (1.0,), then)]
    found = binned(history, flags, (1.0,), atoms_of(values, (1.0,)), past, 1)
    assert np.flatnonzero(found.atoms == NO_ATOM).tolist() == [24]
    assert found.missing.tolist() == [True, False]
    assert found.hidden  # then it was in another part
    found = binned(history, flags, (1.0,), atoms_of(values, (1.0,)), past, 2)
    assert found.wrong == 1
    assert not found.missing.any()
    assert not found.loose.any()
    assert found.hidden


@pytest.mark.parametrize("hidden", [False, True])
def test_a_later_jobs_other_threshold_is_closed(hidden: bool) -> None:
    """The same group, told above 1 then, asked above 2 now: five lie between."""
    cells, grid = np.array([[2, 2]]), (1.0, 2.0)
    values = np.array([[40, 5, 40]])
    then = Parted(cells[:, 1], np.ones(1, bool), (1.0,), np.ones((1, 1), bool), now=False)
    newest = Parted(cells[:, 0], np.ones(1, bool), (2.0,), np.ones((1, 1), bool))
    nothing = np.zeros((1, 3), bool)
    found = open_edges(newest, [then], grid, values, nothing, (20, 20), hidden=hidden)
    assert not found.any()
    apart = np.array([[40, 25, 40]])
    found = open_edges(newest, [then], grid, apart, nothing, (20, 20), hidden=False)
    assert found.all()

"""Segments keep their numbers and names from run to run, whatever the order of the rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from profiles.kept_segments import KeptSegments, SegmentsFile
from profiles.segments import Segments, segments
from psi.protocol.errors import InputError

NAMES = ("balance", "age", "city=north")
CENTRES = np.array([[0.0, 20.0, 0.0], [900.0, 40.0, 0.0], [200.0, 70.0, 1.0], [2000.0, 60.0, 1.0]])
SPREAD = np.array([40.0, 3.0, 0.0])
SIZES = (300, 200, 150, 80)


def drawn(seed: int, centres: np.ndarray = CENTRES, sizes: tuple[int, ...] = SIZES) -> np.ndarray:
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(len(sizes)), sizes)
    return np.asarray(centres[of] + rng.normal(0, 1, (len(of), 3)) * SPREAD)


def cut(matrix: np.ndarray, before: KeptSegments | None = None, k: int = 4) -> Segments:
    return segments(matrix, k, 7, NAMES, before=before)


def number_of(found: Segments, row: int) -> tuple[int, str]:
    return int(found.number[row]), found.descriptions[found.place[row]]


FIRST = drawn(1)
BEGUN = cut(FIRST)
STARTS = np.cumsum([0, *SIZES[:-1]])
"""A row of each group."""


def test_the_first_run_numbers_from_one_and_repeats_itself() -> None:
    assert BEGUN.numbers == (1, 2, 3, 4)
    again = cut(FIRST, BEGUN.kept)
    assert np.array_equal(again.number, BEGUN.number)
    assert again.descriptions == BEGUN.descriptions
    assert again.kept == BEGUN.kept


@pytest.mark.parametrize("month", range(4))
def test_shuffled_rows_and_a_month_of_drift_change_no_number_and_no_name(month: int) -> None:
    moved = drawn(10 + month, CENTRES + month * np.array([25.0, 1.0, 0.0]), (150, 250, 200, 140))
    shuffled = np.random.default_rng(month).permutation(len(moved))
    place = np.argsort(shuffled)
    later = cut(moved[shuffled], BEGUN.kept)
    for group, row in enumerate((0, 150, 400, 600)):
        assert number_of(later, int(place[row])) == number_of(BEGUN, int(STARTS[group]))
    assert np.array_equal(np.bincount(later.place), later.sizes)
    assert later.sizes == tuple(np.bincount(later.number)[1:])


def test_without_what_was_kept_other_sizes_give_other_numbers() -> None:
    """What the file is for: the test above does not pass by itself."""
    later = cut(drawn(10, CENTRES, (150, 250, 200, 140)))
    mine = [int(later.number[row]) for row in (0, 150, 400, 600)]
    assert mine != [int(BEGUN.number[row]) for row in STARTS]


def test_a_vanished_segment_keeps_its_number_and_a_new_one_gets_one_never_given() -> None:
    others = np.array([CENTRES[0], CENTRES[1], CENTRES[3], [1500.0, 15.0, 0.0]])
    later = cut(drawn(3, others), BEGUN.kept)
    was = [int(BEGUN.number[row]) for row in STARTS]
    now = [int(later.number[row]) for row in STARTS]
    assert now[:3] == [was[0], was[1], was[3]]
    assert now[3] == 5
    assert later.numbers == tuple(sorted(now))
    assert later.names == tuple(f"segment {n}" for n in sorted(now))
    third = cut(drawn(4), later.kept)
    assert [int(third.number[row]) for row in STARTS] == was, "it comes back"
    fourth = cut(drawn(5, np.array([*others[:3], [-900.0, 90.0, 0.0]])), third.kept)
    assert int(fourth.number[STARTS[3]]) == 6


def test_segments_of_fewer_than_twenty_rows_leave_nothing() -> None:
    small = cut(drawn(6, sizes=(300, 200, 150, 19)))
    assert small.kept is not None
    assert len(small.kept.segments) == 3
    assert small.kept.number == 5
    tiny = json.dumps([one.centre for one in small.kept.segments])
    assert "2000" not in tiny


def test_other_columns_and_other_numbers_of_segments() -> None:
    wider = np.column_stack([drawn(8), np.zeros(len(FIRST))])
    found = segments(wider, 4, 7, (*NAMES, "constant"), before=BEGUN.kept)
    assert [int(found.number[row]) for row in STARTS] == [int(BEGUN.number[r]) for r in STARTS]
    strange = segments(drawn(8), 4, 7, ("a", "b", "c"), before=BEGUN.kept)
    assert strange.numbers == (5, 6, 7, 8)
    fewer = cut(drawn(8), BEGUN.kept, k=2)
    assert set(fewer.numbers) <= {1, 2, 3, 4, 5, 6}


def test_the_file_goes_from_run_to_run(tmp_path: Path) -> None:
    path = tmp_path / "job.segments.json"
    file = SegmentsFile(path)
    assert file.note(), "a run without segments"
    assert not path.exists()
    file.after = BEGUN.kept
    assert file.note()
    assert path.stat().st_mode & 0o777 == 0o600
    assert SegmentsFile(path).before == BEGUN.kept
    for spoilt in ("{", "[]", path.read_text().replace('"age",', ""), ""):
        path.write_text(spoilt)
        with pytest.raises(InputError, match="altered"):
            SegmentsFile(path)

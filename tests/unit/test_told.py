"""Exact counts by category are audited together with what was told before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.aggregate import OTHER
from federated.aggregate.audit import Told
from federated.steps.categories_told import FileTold, NothingTold, subject_of, tell
from psi.protocol import InputError


def column(**counts: int) -> pa.Array:
    values = [None if name == "none" else name for name, n in counts.items() for _ in range(n)]
    return pa.array(values, pa.large_string())


def test_small_categories_and_what_would_give_them_away_are_not_told() -> None:
    values = column(retail=40, mining=2, transport=9, none=6)
    kept, told = tell(values, ["retail", "mining", "transport", "fishing"], 3, [])
    # mining and one more; nobody fishes, and that is told; all else are those without
    assert kept.tolist() == [True, False, True, True, False]
    assert told == [["retail"], ["transport"], []]
    assert ["transport"] in told


def test_two_lists_do_not_give_away_by_their_difference() -> None:
    values = column(retail=40, mining=2, transport=9)
    first, told = tell(values, ["retail"], 3, [])
    assert first.tolist() == [True, True]  # all else are mining and transport, 11
    second, _ = tell(values, ["retail", "transport"], 3, [told])
    assert second.tolist() == [True, False, False]  # 11 - 9 would be mining
    alone, _ = tell(values, ["retail", "transport"], 3, [])
    assert alone.sum() == 1
    assert not alone[2]


@settings(deadline=None, max_examples=10)
@given(
    st.lists(st.integers(0, 12), min_size=4, max_size=6),
    st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=2, max_size=3),
)
def test_no_sequence_of_lists_tells_a_small_category(
    counts: list[int], lists: list[set[int]]
) -> None:
    """Whatever was asked: no category smaller than 3 is a difference of two things told."""
    names = [f"c{i}" for i in range(len(counts))]
    values = column(**dict(zip(names, counts, strict=True)))
    earlier: list[list[list[str]]] = []
    for asked in lists:
        _, told = tell(values, [f"c{i}" for i in sorted(asked)], 3, earlier)
        earlier.append(told)
    sets = [frozenset(item) for release in earlier for item in release] + [frozenset(names)]
    size = dict(zip(names, counts, strict=True))
    if sum(counts) < 3:
        return
    for outer in sets:
        for inner in sets:
            if inner < outer:
                hidden = sum(size[name] for name in outer - inner)
                assert hidden == 0 or hidden >= 3


def test_what_was_told_is_kept_once_and_by_subject(tmp_path: Path) -> None:
    kept: Told = FileTold(tmp_path / "tags" / "told.json")
    kept.add("a", [["x"], ["y", "z"]])
    kept.add("a", [["x"], ["y", "z"]])
    kept.add("a", [["x"]])
    again = FileTold(tmp_path / "tags" / "told.json")
    assert again.earlier("a") == [[["x"], ["y", "z"]], [["x"]]]
    assert again.earlier("b") == []
    assert (tmp_path / "tags" / "told.json").stat().st_mode & 0o777 == 0o600
    none: Told = NothingTold()
    none.add("a", [["x"]])
    assert none.earlier("a") == []


def test_a_damaged_file_ends_the_job(tmp_path: Path) -> None:
    (tmp_path / "told.json").write_text("[")
    with pytest.raises(InputError, match="what was told before cannot be read"):
        FileTold(tmp_path / "told.json").earlier("a")


def test_a_subject_is_a_set_of_rows_with_their_categories() -> None:
    rows, values = np.array([4, 2, 9]), pa.array(["b", None, "a"], pa.large_string())
    name = subject_of("registry", "industry", rows, values)
    order = np.array([1, 0, 2])
    assert name == subject_of("registry", "industry", rows[order], values.take(pa.array(order)))
    assert name != subject_of("registry", "industry", rows + 1, values)
    assert name != subject_of("registry", "industry", rows, values.fill_null("c"))
    assert OTHER not in name

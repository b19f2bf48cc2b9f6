"""Keys of two parties side by side."""

from __future__ import annotations

import pyarrow as pa
import pytest

from federated.tables.key_sides import none_can_match, side_by_side
from federated.tables.preflight import preflight
from federated.tables.preflight_report import PreflightReport


def looked_at(keys: list[str], kind: str = "text") -> PreflightReport:
    return preflight(pa.table({"k": keys}), [["k"]], {"k": kind})


ZEROS = [f"{i:08}" for i in range(301, 341)]
BARE = [str(i) for i in range(301, 341)]


def test_zeros_that_one_side_has_lost_are_told_whichever_side_it_is() -> None:
    """00000301 and 301: the job ended at no match, and preflight had nothing to mend."""
    for pair in ((ZEROS, BARE), (BARE, ZEROS)):
        (told,) = side_by_side(looked_at(pair[0]), looked_at(pair[1]), ("bank", "tel"))
        lost = "tel" if pair[1] is BARE else "bank"
        assert f"k of {lost}: no number begins with 0, and 40 of k of" in told


@pytest.mark.parametrize("other", [BARE, ["a11", "b22"]])
def test_keys_that_are_alike_are_not_told(other: list[str]) -> None:
    assert not side_by_side(looked_at(BARE), looked_at(other), ("bank", "tel"))
    number = looked_at(ZEROS, "number"), looked_at(BARE, "number")
    assert not side_by_side(*number, ("bank", "tel"))


@pytest.mark.parametrize(
    "other", [[f"AB-{i:04}" for i in range(40)], [f"CN{i:06}" for i in range(40)]]
)
def test_keys_of_other_lengths_cannot_match(other: list[str]) -> None:
    """Dashes or a prefix at one side: the job ended at no match, and nothing had been said."""
    one = [f"AB{i:04}" for i in range(40)]
    length = len(other[0])
    (told,) = side_by_side(looked_at(one), looked_at(other), ("bank", "tel"))
    assert f"keys of k of bank 6 and k of tel {length} characters: none can match" in told
    assert not side_by_side(looked_at(one), looked_at([*other, "AB0001"]), ("bank", "tel"))


def test_keys_that_differ_for_certain_are_known_to_match_nothing() -> None:
    """All of one side begin with 0, none of the other: the code was 0 all the same."""
    assert none_can_match(looked_at(ZEROS), looked_at(BARE))
    assert none_can_match(looked_at(BARE), looked_at(ZEROS))
    assert none_can_match(looked_at(BARE), looked_at(["AB-0001", "AB-0002"]))
    assert not none_can_match(looked_at(BARE), looked_at([*ZEROS, "301"]))
    assert not none_can_match(looked_at(BARE), looked_at(["a11", "b22"]))

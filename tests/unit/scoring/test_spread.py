"""How far scores have moved that were told in steps."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from federated.scoring.fixed import FRACTION_BITS, levels_of, middle, shift_of
from federated.scoring.spread import Spread, evened


def told(part: np.ndarray, bits: int) -> np.ndarray:
    """What a partner's part of scores is for the receiver of a scoring."""
    shift = shift_of(float(part.std()), bits)
    units = np.rint(np.ldexp(part, FRACTION_BITS)).astype(np.int64)
    levels = levels_of(units, shift, float(part.mean()), float(part.std()))
    return np.asarray(np.ldexp(middle(levels, shift).astype(np.float64), -FRACTION_BITS))


@pytest.mark.parametrize("bits", [2, 3, 5])
def test_the_same_rows_told_in_steps_have_not_moved(bits: int) -> None:
    random = np.random.default_rng(bits)
    part, own = random.normal(1.3, 1.6, 2000), random.normal(0, 0.3, 2000)
    noisy = part + own + random.normal(0, 1.6 * 2.0**-bits, 2000)
    spread = Spread.of_training(pa.table({"a": own}), ["a"], noisy)
    coarse = told(part, bits)
    found = evened(coarse)
    assert found is not None
    even = spread.drift_of_scores(own + found)
    assert even is not None
    assert even < 0.1
    if bits == 2:  # in the middle of steps they would seem to have
        middles = spread.drift_of_scores(own + coarse)
        assert middles is not None
        assert middles > 0.25
    moved = spread.drift_of_scores(own + found + 2.0)
    assert moved is not None
    assert moved > 0.25


def test_of_too_few_steps_nothing_is_said() -> None:
    part = np.random.default_rng(1).normal(0, 1, 400)
    assert evened(told(part, 1)) is None
    assert evened(np.zeros(0)) is None


def test_values_that_training_had_none_of_are_a_bin_of_their_own() -> None:
    """They fall to the fullest bin, so that a column empty for a fifth seemed not to have moved."""
    random = np.random.default_rng(3)
    a, c = random.normal(size=3000), random.choice(["x", "y", "z"], 3000)
    spread = Spread.of_training(pa.table({"a": a, "c": c}), ["a", "c"], None)
    rows = slice(0, 300)
    gone = np.arange(300) < 60
    empty = pa.array(a[rows], mask=gone)
    none = pa.array(c[rows], mask=gone)
    new = pa.array(np.where(gone, "new", c[rows]))
    for table in (pa.table({"a": empty, "c": none}), pa.table({"a": empty, "c": new})):
        assert min(spread.drift(table).values()) > 0.25
    assert spread.unlike(pa.table({"a": empty, "c": none})) == {"a": (0.2, 0), "c": (0.2, 0)}
    assert spread.unlike(pa.table({"a": a[rows], "c": new})) == {"c": (0, 0.2)}
    same = pa.table({"a": a[rows], "c": c[rows]})
    assert not spread.unlike(same)
    assert max(spread.drift(same).values()) < 0.1


def test_a_few_missing_values_that_training_can_have_had_have_not_moved() -> None:
    """19 of 400 have no bin, and are not counted: the same share has not moved."""
    a = np.random.default_rng(4).normal(size=400)
    table = pa.table({"a": pa.array(a, mask=np.arange(400) < 19)})
    spread = Spread.of_training(table, ["a"], None)
    assert not spread.unlike(table)
    assert spread.drift(table) == {"a": 0}
    many = pa.table({"a": [1.0, 2.0, *[None] * 398]})
    assert spread.drift(many)["a"] > 0.25

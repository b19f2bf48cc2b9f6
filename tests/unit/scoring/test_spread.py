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

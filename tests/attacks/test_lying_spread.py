"""A partner that lies about how wide its scores lie, to read how wide the label party's do."""

from __future__ import annotations

import secrets

import numpy as np
import pytest

from federated.counted import SpreadHearer
from federated.counted.grid import MOST_WIDE
from federated.counted.messages import Spread, Stride
from psi.protocol import Context


def told(own: np.ndarray, wide: int) -> Stride:
    """What a label party answers."""
    role = SpreadHearer(Context(b"s" * 32, "counted/x/spread", "bank", secrets.token_bytes), own)
    role.start()
    turn = role.on_spread(role.state, Spread(wide), "bureau")
    (_, answer), *_ = turn.messages
    assert isinstance(answer, Stride)
    return answer


@pytest.mark.parametrize("wide", [-40, -36, -30, -20, -10, -4, 0, 2])
def test_a_step_of_its_choosing_tells_a_partner_no_digits_of_the_other_s_width(wide: int) -> None:
    """It says that its points are 2^-20 apart, and was told the deviation to six digits."""
    base = np.random.default_rng(1).normal(size=5000)
    base /= base.std()
    # two to an octave, and one more at the end; each width had an answer of its own
    answers = {
        (found.stride, found.points)
        for width in np.geomspace(0.5, 2.0, 300)
        for found in [told(width * base, wide)]
    }
    assert len(answers) <= 6


def test_all_steps_that_there_are_get_an_answer() -> None:
    own = np.random.default_rng(2).normal(size=100)
    for wide in range(-MOST_WIDE, MOST_WIDE + 1):
        for width in (0.0, 1e-9, 1.0, 1e9):
            found = told(width * own, wide)
            assert found.points % 2 == 1
            assert 3 <= found.points <= 85

"""How finely scores are told: noise of the contracted size, fresh in every number."""

from __future__ import annotations

import os
import secrets

import numpy as np
import pytest

from federated.regression.messages import Learned
from federated.regression.rounding import FRACTION_BITS, rounded
from psi.protocol import Pair, decode
from psi.protocol.codec import peek
from tests.unit.paillier.keys import stream
from tests.unit.regression.world import World, plan


def told(vector: np.ndarray, bits: int) -> np.ndarray:
    return np.ldexp(rounded(vector, bits, secrets.token_bytes).astype(np.float64), -FRACTION_BITS)


@pytest.mark.parametrize("bits", [1, 4, 12])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 300.0])
def test_noise_has_the_size_that_the_bits_say(bits: int, scale: float) -> None:
    vector = 5.0 + scale * np.random.default_rng(bits).standard_exponential(40_000)
    noise = told(vector, bits) - vector
    wanted = vector.std() * 2.0**-bits
    assert noise.std() == pytest.approx(wanted, rel=0.03)
    assert abs(noise.mean()) < 5 * wanted / 200
    assert abs(np.corrcoef(noise, vector)[0, 1]) < 0.03
    # Gaussian: 4.55 and .27 of a hundred lie beyond two and three deviations
    beyond = [float(np.mean(np.abs(noise) > times * wanted)) for times in (2, 3)]
    assert beyond == pytest.approx([0.0455, 0.0027], rel=0.65)  # of 108 draws, six deviations


def test_noise_is_fresh_and_from_the_generator_that_is_given() -> None:
    vector = np.arange(100.0)
    assert (told(vector, 4) != told(vector, 4)).all()
    same = [rounded(vector, 4, stream("noise")) for _ in range(2)]
    assert np.array_equal(same[0], same[1])


def test_a_row_in_many_pairs_has_one_draw_and_weighs_once() -> None:
    """The mean of many draws would be the number; a row many times would make the sd small."""
    vector = np.append(np.arange(100.0), np.full(5000, 99.0))
    rows = np.append(np.arange(100), np.full(5000, 99))
    found = np.ldexp(rounded(vector, 1, stream("pairs"), rows).astype(float), -FRACTION_BITS)
    assert len(set(found[99:])) == 1
    off = (found - vector)[:100]
    assert off.std() == pytest.approx(np.arange(100.0).std() / 2, rel=0.35)


def test_no_rows_and_a_vector_that_is_the_same_in_all_rows() -> None:
    assert len(rounded(np.zeros(0), 4, os.urandom)) == 0
    assert np.array_equal(told(np.ones(50), 4), np.ones(50))


def learned(pair: Pair) -> np.ndarray:
    (sent,) = (e for e in pair.sent if peek(e.payload) is Learned)
    scores = decode(sent.payload, Learned).scores
    return np.ldexp(scores.astype(np.float64), -FRACTION_BITS)


def test_every_final_score_has_noise_of_the_bits_that_are_stated() -> None:
    """Also that of a row without a label, which is shown by the full model alone."""
    world = World.of(400, 31)
    world.y[-20:] = -1
    world.folds[-20:] = -1
    off, alone = [], []
    for _ in range(3):
        _, bureau, pair = world.run(plan(400, evaluations=3, score_bits=2))
        x = world.b - world.b[:-20].mean(axis=0)
        scores = x @ bureau.coefficients
        noise = (learned(pair) - scores) / scores.std()
        off.append(noise)
        alone.append(noise[-20:])
    assert 0.2 < np.std(off) < 0.3  # 1,200 draws of .25: ten standard deviations
    assert 0.07 < np.std(alone) < 0.43  # 60 draws: seven

"""How finely scores are told: noise of the contracted size, fresh in every number."""

from __future__ import annotations

import os
import secrets

import numpy as np
import pytest

from federated.vertical.messages import Direction, Scores
from federated.vertical.rounding import FRACTION_BITS, own_exponent, rounded
from psi.protocol import Pair
from tests.unit.paillier.keys import stream
from tests.unit.vertical.world import (
    Restarting,
    feature_parties,
    inbox,
    label_party,
    make_world,
    run,
)


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


def test_the_partner_chooses_the_scale_from_its_own_vector() -> None:
    draw = np.random.default_rng(1).normal(size=1000)
    for scale in (1e-9, 0.3, 7e8):
        exponent = own_exponent(scale * draw, 60)
        assert 0.7 < np.sqrt(np.mean(np.ldexp(scale * draw, exponent) ** 2)) < 1.42
    assert own_exponent(np.zeros(5), 60) == own_exponent(np.full(5, np.inf), 60) == 0
    assert own_exponent(np.full(5, 1e-30), 60) == 60


def test_every_score_that_is_told_has_noise() -> None:
    """Directions and held-out rows alike: what the label party gets is never the vector itself."""
    world = make_world(400, 2, (5,), folds=4, unlabelled=20)
    parties = feature_parties(world, score_bits=4)
    pair = Pair(label_party(world, steps=2), *parties.values())
    results = pair.run()
    x, seen = world.parts["bureau"], inbox(pair, "bank", Scores)
    shown = [one.rows for one in results["bureau"].disclosures]
    held = [world.folds == f for f in range(4)]
    assert shown == [380, 380, 20, *(int(np.count_nonzero(rows)) for rows in held)]
    rows: list[tuple[np.ndarray, int]] = [(world.labelled, 1)] * 2 + [(~world.labelled, 4)]
    rows += [(np.asarray(chosen), 4) for chosen in held]
    for (_, message), (chosen, bits) in zip(seen, rows, strict=True):
        count = int(np.count_nonzero(chosen))
        scores = np.ldexp(message.values[:count].view(np.int64).astype(float), -FRACTION_BITS)
        fitted = x[chosen] @ np.linalg.lstsq(x[chosen], scores, rcond=None)[0]
        off = (scores - fitted).std() / fitted.std()
        assert 0.6 * 2**-bits < off < 1.4 * 2**-bits
    assert all(message.exponent == 0 for _, message in inbox(pair, "bureau", Direction))


def test_one_column_can_take_part() -> None:
    _, results = run(make_world(300, 2, (1,), folds=3), steps=1, score_bits=4)
    assert results["bank"].score_vectors == 2


def test_a_restored_party_tells_no_vector_twice() -> None:
    """A second copy under fresh noise would halve the noise: each number goes out once."""
    pair = Restarting(make_world(150, 2, (6,), folds=2), steps=2)
    pair.run()
    numbers = [message.number for _, message in inbox(pair, "bank", Scores)]
    assert numbers == sorted(set(numbers))


def test_a_row_shown_alone_is_told_no_more_finely() -> None:
    """The label party says which rows have a label: one without, or like ones, would have no sd."""
    world = make_world(400, 2, (5,), folds=4, unlabelled=1)
    off = []
    for seed in range(12):
        parties = feature_parties(world, score_bits=1, seed=str(seed))
        pair = Pair(label_party(world, steps=1), *parties.values())
        results = pair.run()
        alone = inbox(pair, "bank", Scores)[1][1].values  # the last pass of the full fit
        (told,) = np.ldexp(alone.view(np.int64).astype(float), -FRACTION_BITS)
        scores = world.parts["bureau"] @ results["bureau"].coefficients
        off.append(float((told - scores[~world.labelled][0]) / scores.std()))
    assert 0.2 < np.std(off) < 0.9

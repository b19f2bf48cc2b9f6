"""Labels with few far values: noise as large as these makes no step, and no wild model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from federated.regression.alone import alone
from federated.regression.descent import held
from tests.unit.regression.world import World, plan


def heavy(link: str, far: float) -> World:
    """1,500 rows of which one label is far from all others."""
    world = World.of(1500, 3, link=link)
    y = world.y.copy()
    y[17] = far
    return replace(world, y=y)


def test_a_step_that_noise_could_have_made_is_not_taken() -> None:
    assert held(5.0, 3.0, 10) == 1.0  # less noise than chance
    assert held(40.0, 12.0, 10) == 0.0
    assert 0.8 < held(120.0, 12.0, 10) < 1.0
    assert held(5.0, 100.0, 0) == 1.0  # nothing is held back


def test_a_far_label_leaves_the_own_model_and_no_wild_one() -> None:
    for link, far in (("poisson", 900.0), ("linear", 1e5)):
        world = heavy(link, far)
        for _ in range(2):
            found, other, _ = world.run(plan(1500, link=link, noise=1.0, column_bits=7, folds=3))
            own = alone(link, world.joined[:, :4], world.y, np.array([0.0, 1.0, 1.0, 1.0]))
            np.testing.assert_allclose(found.coefficients, own[1:], rtol=1e-6, atol=1e-9)
            assert not other.coefficients.any()
            assert np.isfinite(found.fold_scores).all()
            assert not found.spoilt
            assert found.evaluations == 2
            assert found.log[0]["noise"] ** 2 > 4 * world.joined.shape[1]


def test_a_strong_partner_is_heard_through_noise() -> None:
    world = World.of(3000, 3, link="poisson")
    y = np.random.default_rng(1).poisson(np.exp(1.0 + 0.5 * world.b[:, 0])).astype(float)
    terms = plan(3000, link="poisson", noise=0.5, column_bits=7)
    found, other, _ = replace(world, y=y).run(terms)
    assert 0.35 < other.coefficients[0] < 0.65  # six runs gave .464 to .517
    assert not found.spoilt

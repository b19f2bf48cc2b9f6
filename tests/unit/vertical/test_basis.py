"""Secret bases and pair masks."""

from __future__ import annotations

import numpy as np

from federated.vertical.basis import (
    SPREAD,
    draw_basis,
    haar,
    log_uniform,
    pair_masks,
    uniform_integers,
    whitening,
)
from tests.unit.paillier.keys import stream
from tests.unit.vertical.world import NAMES, make_world, pair_secrets


def test_haar_matrices_are_orthogonal_and_differ() -> None:
    random = stream("haar")
    first, second = haar(7, random), haar(7, random)
    assert np.allclose(first @ first.T, np.eye(7), atol=1e-12)
    assert not np.allclose(first, second)
    # uniform: entries have mean 0 and mean square 1/k, determinants both signs
    many = np.array([haar(3, random) for _ in range(600)])
    assert np.abs(many.mean(axis=0)).max() < 0.1
    assert np.abs((many**2).mean(axis=0) - 1 / 3).max() < 0.06
    assert 0.4 < (np.linalg.det(many) > 0).mean() < 0.6


def test_whitened_columns_have_bounded_squares_and_no_null_direction() -> None:
    x = make_world(300, 2, (5,)).parts["bureau"]
    doubled = np.column_stack([x, x[:, 0] + x[:, 1], 1e-4 * x[:, 2] ** 2])
    basis = whitening(doubled, 1.0)
    assert basis.shape == (7, 6)
    z = doubled @ basis
    assert (z**2).sum(axis=0).max() <= 300 * (1 + 1e-9)
    assert np.linalg.eigvalsh(basis.T @ basis).max() <= 300 * (1 + 1e-9)
    # mean squares and penalty share n in every direction
    assert np.allclose(z.T @ z + basis.T @ basis, 300 * np.eye(6), atol=1e-6)


def test_bases_are_fresh_and_keep_the_span_and_the_bound() -> None:
    x = make_world(300, 2, (5,)).parts["bureau"]
    white = whitening(x, 1.0)
    random = stream("basis")
    first, second = draw_basis(white, random), draw_basis(white, random)
    assert not np.allclose(first, second)
    for basis in (first, second):
        assert np.linalg.matrix_rank(basis) == 5
        assert ((x @ basis) ** 2).sum(axis=0).max() <= 300 * (1 + 1e-9)


def test_the_stretch_hides_the_spectrum() -> None:
    factors = log_uniform(2000, stream("stretch"))
    assert 1 / SPREAD <= factors.min() < 1.1 / SPREAD
    assert 0.95 < factors.max() <= 1


def test_uniform_integers_fill_their_range() -> None:
    found = uniform_integers((50, 40), 12, stream("integers"))
    assert found.shape == (50, 40)
    assert -4096 <= found.min() < -3900
    assert 3900 < found.max() < 4096
    assert uniform_integers((2000,), 62, stream("wide")).max() > 2**61


def test_masks_cancel_over_all_parties_and_only_then() -> None:
    masks = [pair_masks(pair_secrets(NAMES, name), name, b"step 1", 9) for name in NAMES]
    assert not np.any(np.sum(masks, axis=0, dtype=np.uint64))
    assert np.any(masks[0] + masks[1])
    assert np.any(masks[0] != pair_masks(pair_secrets(NAMES, NAMES[0]), NAMES[0], b"step 2", 9))
    assert not np.any(pair_masks({}, "bureau", b"step 1", 3))

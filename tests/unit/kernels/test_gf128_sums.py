"""Sums of products over the field of 2^128 elements, against Python's integers."""

from __future__ import annotations

import secrets
from functools import reduce

import numpy as np
import pytest

from psi.kernels.gf128_sums import inner_products, powers, products

POLYNOMIAL = (1 << 128) | 0x87


def elements(*shape: int) -> np.ndarray:
    return np.frombuffer(secrets.token_bytes(int(np.prod(shape)) * 16), np.uint64).reshape(
        *shape, 2
    )


def numbers(rows: np.ndarray) -> list[int]:
    return [int(low) | int(high) << 64 for low, high in rows.reshape(-1, 2)]


def product(x: int, y: int) -> int:
    total = 0
    for i in range(128):
        total ^= (x << i) * (y >> i & 1)
    for i in range(254, 127, -1):
        total ^= (POLYNOMIAL << i - 128) * (total >> i & 1)
    return total


def inner(left: list[int], right: list[int]) -> int:
    return reduce(lambda x, y: x ^ y, map(product, left, right), 0)


@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_inner_products_are_sums_of_products(count: int) -> None:
    rows, weights = elements(5, count), elements(count)
    assert numbers(inner_products(rows, weights)) == [
        inner(numbers(row), numbers(weights)) for row in rows
    ]
    assert numbers(products(rows[0], weights)) == list(
        map(product, numbers(rows[0]), numbers(weights))
    )


def test_elements_may_stand_beside_others() -> None:
    rows, weights = elements(4, 9, 2).reshape(4, 9, 4), elements(9)
    assert (inner_products(rows, weights, 2) == inner_products(rows[:, :, 2:], weights)).all()
    with pytest.raises(ValueError, match="column 3"):
        inner_products(rows, weights, 3)
    with pytest.raises(ValueError, match="9 weights"):
        inner_products(rows[:, :8], weights)


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 32, 61])
def test_powers_follow_each_other(count: int) -> None:
    point = elements(1)[0]
    wanted = [1]
    for _ in range(count - 1):
        wanted.append(product(wanted[-1], numbers(point)[0]))
    assert numbers(powers(point, count)) == wanted


def test_many_rows_on_several_threads_are_what_each_gives_alone() -> None:
    rows, weights = elements(600, 20), elements(20)
    for i in (0, 7, 299, 599):
        assert (
            inner_products(rows, weights)[i] == inner_products(rows[i : i + 1], weights)[0]
        ).all()

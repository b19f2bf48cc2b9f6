"""The code against a slow reference, and that it is a map over the field."""

from __future__ import annotations

import secrets

import numpy as np
import pytest

from psi.kernels import aes
from psi.kernels.convolution import WINDOW
from psi.kernels.expand_convolute import SIZES, SLACK, WEIGHT, compress

SIZE = 2 * SIZES


def elements(*shape: int) -> np.ndarray:
    data = secrets.token_bytes(16 * int(np.prod(shape)))
    return np.frombuffer(data, np.uint64).reshape(*shape, 2).copy()


def numbers(rows: np.ndarray) -> list[int]:
    return [int(low) | int(high) << 64 for low, high in rows]


def drawn(key: bytes, start: int) -> list[int]:
    words = np.empty(SIZE // 2, np.uint64)
    aes.stream(key, start, words)
    return [int(word) for word in words.view(np.uint32)]


def slowly(vector: list[int], key: bytes) -> list[int]:
    total, x = vector[:SIZE], vector[SIZE : 2 * SIZE]
    for turn in range(2):
        for i, word in enumerate(drawn(key[:16], turn * SIZE // 4)):
            for j in range(min(WINDOW, SIZE - 1 - i)):
                if (word | 1) >> j & 1:
                    x[i + 1 + j] ^= x[i]
    width = SIZE // WEIGHT
    for region in range(WEIGHT):
        for i, word in enumerate(drawn(key[16:], region * SIZE // 4)):
            total[i] ^= x[region * width + (word * width >> 32)]
    return total


def test_equal_to_the_slow_way() -> None:
    key, vectors = secrets.token_bytes(32), elements(2, 2 * SIZE + SLACK)
    wanted = [slowly(numbers(vector), key) for vector in vectors]
    compress(vectors, SIZE, key)
    assert [numbers(vector[:SIZE]) for vector in vectors] == wanted


def test_additive_over_many_blocks() -> None:
    size, key = SIZES * 900, secrets.token_bytes(32)
    vectors = elements(3, 2 * size + SLACK)
    vectors[2] = vectors[0] ^ vectors[1]
    compress(vectors, size, key)
    assert (vectors[2, :size] == vectors[0, :size] ^ vectors[1, :size]).all()
    alone = elements(1, 2 * size + SLACK)
    again = alone.copy()
    compress(alone, size, key)
    compress(again, size, secrets.token_bytes(32))
    assert (alone[0, :size] != again[0, :size]).any(axis=1).mean() > 0.99


@pytest.mark.parametrize("shape", [(1, 2 * SIZE, 2), (1, 100, 2), (2 * SIZE + SLACK, 2)])
def test_short_vectors_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="vectors"):
        compress(np.zeros(shape, np.uint64), SIZE, bytes(32))

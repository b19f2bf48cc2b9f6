"""The code against a slow reference, and that it is a map over the field."""

from __future__ import annotations

import secrets

import numpy as np
import pytest

from psi.kernels import aes
from psi.kernels.convolution import WINDOW
from psi.kernels.expand_convolute import SIZES, SLACK, WEIGHT, add_first, compress

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


@pytest.mark.parametrize("vectors", [1, 2])
def test_equal_to_the_slow_way(vectors: int) -> None:
    key, room = secrets.token_bytes(32), elements(2 * SIZE + SLACK, vectors)
    wanted = [slowly(numbers(room[:, i]), key) for i in range(vectors)]
    compress(room.reshape(-1, 2 * vectors), SIZE, key)
    assert [numbers(room[:SIZE, i]) for i in range(vectors)] == wanted


def test_additive_over_many_blocks() -> None:
    size, key = SIZES * 900, secrets.token_bytes(32)
    both = elements(2 * size + SLACK, 2)
    total = both[:, 0] ^ both[:, 1]
    compress(both.reshape(-1, 4), size, key)
    compress(total, size, key)
    assert (total[:size] == both[:size, 0] ^ both[:size, 1]).all()
    alone = elements(2 * size + SLACK)
    again = alone.copy()
    compress(alone, size, key)
    compress(again, size, secrets.token_bytes(32))
    assert (alone[:size] != again[:size]).any(axis=1).mean() > 0.99


@pytest.mark.parametrize("shape", [(2 * SIZE, 2), (100, 4), (2 * SIZE + SLACK, 6), (8,)])
def test_another_room_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="room"):
        compress(np.zeros(shape, np.uint64), SIZE, bytes(32))
    with pytest.raises(ValueError, match="contiguous"):
        compress(np.zeros((2 * SIZE + SLACK, 4), np.uint64)[:, :2], SIZE, bytes(32))


def test_pairs_are_taken_apart() -> None:
    out, pairs = elements(5), elements(5, 2).reshape(5, 4)
    wanted = out ^ pairs[:, :2]
    assert (add_first(out, pairs) == pairs[:, 2:]).all()
    assert (out == wanted).all()

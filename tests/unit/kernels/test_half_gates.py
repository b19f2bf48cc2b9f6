"""Products of garbled wires: what comes out stands for the product, on every path alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from psi.kernels import half_gates
from psi.kernels.half_gates import (
    PER_KEY,
    evaluated,
    evaluated_chain,
    garbled,
    garbled_chain,
)


def drawn(count: int) -> tuple[Any, Any, Any, Any]:
    rng = np.random.default_rng(count)
    a, b = rng.integers(0, 2**64, (2, count, 2), dtype=np.uint64)
    delta = rng.integers(0, 2**64, 2, dtype=np.uint64) | np.array([1, 0], np.uint64)
    return a, b, delta, rng.integers(0, 256, (-(-count // PER_KEY), 16), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 7, 8, 33, PER_KEY + 5])
def test_products_on_all_paths(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, delta, keys = drawn(count)
    out, gates = garbled(a, b, delta, keys)
    for x in (0, 1):
        for y in (0, 1):
            known = a ^ delta * np.uint64(x), b ^ delta * np.uint64(y)
            found = evaluated(*known, gates, keys)
            assert np.array_equal(found, out ^ delta * np.uint64(x & y))
    monkeypatch.setattr(half_gates, "block_path", lambda: "portable")
    again, same = garbled(a, b, delta, keys)
    assert np.array_equal(again, out)
    assert np.array_equal(same, gates)
    assert np.array_equal(evaluated(a, b, gates, keys), out)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(("bits", "count"), [(0, 3), (1, 1), (3, 7), (5, PER_KEY + 5)])
def test_chains_are_products_one_after_the_other(
    bits: int, count: int, monkeypatch: pytest.MonkeyPatch, *, both: bool
) -> None:
    rng = np.random.default_rng(count)
    a, b = rng.integers(0, 2**64, (2, bits, count, 2), dtype=np.uint64)
    x, y = rng.integers(0, 2, (2, bits, count, 1), dtype=np.uint64)
    delta = drawn(1)[2]
    keys = rng.integers(0, 256, (bits, -(-count // PER_KEY), 16), dtype=np.uint8)
    out, gates = garbled_chain(a, b, delta, keys, both=both)
    found = evaluated_chain(a ^ delta * x, b ^ delta * y, gates, keys, both=both)
    last, value = np.zeros((count, 2), np.uint64), np.zeros((count, 1), np.uint64)
    for bit in range(bits):
        first, side = (a[bit] ^ last, x[bit] ^ value) if both else (a[bit], x[bit])
        made, own = garbled(first, b[bit] ^ last, delta, keys[bit])
        assert np.array_equal(gates[bit], own)
        last, value = made ^ last, side & (y[bit] ^ value) ^ value
        assert np.array_equal(out[bit], last)
        assert np.array_equal(found[bit], last ^ delta * value)
    monkeypatch.setattr(half_gates, "block_path", lambda: "portable")
    again = garbled_chain(a, b, delta, keys, both=both)
    assert all(np.array_equal(one, other) for one, other in zip(again, (out, gates), strict=True))
    assert np.array_equal(evaluated_chain(a, b, gates, keys, both=both), out)

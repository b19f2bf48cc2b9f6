"""Products of garbled wires: what comes out stands for the product, on every path alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from psi.kernels import half_gates
from psi.kernels.half_gates import PER_KEY, evaluated, garbled


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

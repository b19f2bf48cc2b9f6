"""What the checked protocol does beyond what every protocol promises."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from psi import vole_malicious
from psi.kernels.expand_convolute import SIZES
from psi.protocol import Pair
from psi.vole import parameters
from psi.vole_malicious import checks
from psi.vole_malicious import parameters as checked
from tests.unit.vole_malicious.cheats import context, items


@pytest.fixture
def small_bins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sets that are beyond 2^20 in all but their size."""
    cached = parameters.store_for, parameters.parts_of, parameters.vector_for
    monkeypatch.setattr(parameters, "BIN", 100)
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


@pytest.mark.usefixtures("small_bins")
def test_each_chunk_is_checked() -> None:
    assert parameters.store_for(6_500).chunks == 3
    receiver = vole_malicious.Receiver(
        context("r"), "s", items(range(6_500)), reveal="both", minimum=0, largest=10**6
    )
    sender = vole_malicious.Sender(
        context("s"), "r", items(range(6_000, 7_000)), reveal="both", largest=10**6
    )
    link = Pair(receiver, sender)
    found = link.run()
    assert found["r"].own.tolist() == list(range(6_000, 6_500))
    assert np.array_equal(found["s"].own, np.arange(500))
    numbers = [envelope.payload[1] for envelope in link.sent]
    assert [numbers.count(code) for code in (0x10, 0x11, 0x12, 0x15)] == [3, 3, 1, 1]


@pytest.mark.parametrize("items_", [0, 1, 300, 10**4, 10**5, 10**6, 10**7])
def test_sizes(items_: int) -> None:
    store = parameters.store_for(items_)
    vector = checked.CHECKED.correlation(store, 0)
    assert vector.trees >= checked.NOISE == 1733
    assert 0 <= 2 * vector.size - (vector.trees << vector.depth) < 2 * SIZES
    bits, values = checked.inputs(vector)
    assert bits % 128 == 0
    assert 0 <= bits - 128 * checks.HASHES - vector.trees * vector.depth < 128
    assert values == vector.trees + 1 + checks.HASHES

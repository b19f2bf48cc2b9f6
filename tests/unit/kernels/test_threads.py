"""Kernels by several threads give what they give by one, wherever their ranges are cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from psi.kernels.block_pads import hashed_blocks, padded_tables
from psi.kernels.simd import block_path, each_in_threads
from psi.kernels.stream_sums import stream_sums
from psi.kernels.transposition import columns_of

ROWS = 5000  # more than a thread's fewest, and no multiple of anything


def drawn(shape: tuple[int, ...], kind: Any = np.uint64) -> Any:
    return np.random.default_rng(1).integers(0, np.iinfo(kind).max, shape, dtype=kind)


def hashed() -> Any:
    keys = drawn((-(-ROWS // 700), 16), np.uint8)
    return hashed_blocks(drawn((ROWS, 3, 2)), np.zeros((1, 1), np.uint64), keys, 700)


def tables() -> Any:
    if block_path() == "portable":
        return np.zeros(0)
    keys = drawn((-(-ROWS // 512), 16), np.uint8)
    return padded_tables(drawn((ROWS, 6, 2, 2)), drawn((ROWS, 64), np.uint32), keys, keys, 512)


def transfers() -> Any:
    sums, totals = np.empty((128, 600), np.uint64), np.empty((32, 600), np.uint64)
    stream_sums(drawn((32, 16, 16), np.uint8), 5, np.arange(32) % 16, sums, totals)
    return np.concatenate([sums, totals])


@pytest.mark.parametrize(
    "made", [hashed, tables, transfers, lambda: columns_of(drawn((128, 1500)))]
)
def test_threads_change_nothing(made: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDPROFILE_THREADS", "1")
    wanted = made()
    monkeypatch.setenv("FEDPROFILE_THREADS", "3")
    assert np.array_equal(made(), wanted)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_results_come_in_the_order_of_items(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDPROFILE_THREADS", threads)
    assert each_in_threads(lambda x: x * x, range(20)) == [x * x for x in range(20)]
    assert each_in_threads(str, []) == []
    with pytest.raises(ZeroDivisionError):
        each_in_threads(lambda x: 1 // x, [2, 0, 1])

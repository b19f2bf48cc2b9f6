"""Sums of streams, group by group: the same as of streams that are written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from psi.kernels import stream_sums as module
from psi.kernels.aes_streams import streams
from psi.kernels.stream_sums import stream_sums
from psi.kernels.subset_sums import subset_sums

GROUPS = 5


@pytest.mark.parametrize("path", ["own", "portable"])
@pytest.mark.parametrize("width", [0, 2, 62, 254, 256, 258, 700])
def test_sums_of_streams_are_those_of_streams_written_out(
    width: int, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path == "portable":
        monkeypatch.setattr(module, "block_path", lambda: "portable")
    rng = np.random.default_rng(width)
    keys: Any = rng.integers(0, 256, (GROUPS, 16, 16), dtype=np.uint8)
    for missing in (np.full(GROUPS, -1), np.array([0, 15, -1, 7, 8])):
        sums, totals = np.full((GROUPS * 4, width), 7, np.uint64), np.ones((GROUPS, width), "<u8")
        stream_sums(keys, (3 << 40) + 1, missing, sums, totals)
        for group, absent in enumerate(missing):
            rows = streams(keys[group], (3 << 40) + 1, width=width)
            rows[absent] *= np.uint64(absent < 0)
            wanted, total = np.empty((4, width), np.uint64), np.empty(width, np.uint64)
            subset_sums(rows, max(0, int(absent)), wanted, total)
            assert np.array_equal(sums[4 * group : 4 * group + 4], wanted)
            assert np.array_equal(totals[group], total)


def test_shapes_that_do_not_fit_are_refused() -> None:
    keys, sums = np.zeros((2, 16, 16), np.uint8), np.zeros((8, 4), np.uint64)
    with pytest.raises(ValueError, match="4 words"):
        stream_sums(keys, 0, np.zeros(2, np.int64), sums[:4], sums[:2])
    with pytest.raises(ValueError, match="groups of 16"):
        stream_sums(keys, 0, np.array([0, 16]), sums, sums[:2])

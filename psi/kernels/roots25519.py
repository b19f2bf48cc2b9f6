"""Square roots for many u-coordinates of Curve25519 at once: which v makes a point of them.

Source: RFC 8032, section 5.1.3: with p = 5 mod 8 a root of a square g is g^((p + 3) / 8), or that
times a root of -1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.batches25519 import (
    BATCH,
    DIVIDEND,
    DIVISOR,
    ROWS,
    divide,
    root_power,
    unpack,
    workspace,
)
from psi.kernels.cache import kernel
from psi.kernels.curve25519 import point_words
from psi.kernels.field25519 import field_program
from psi.kernels.rows25519 import BLOCK, ROW
from psi.kernels.simd import parallel_rows

__all__ = ["root_candidates"]

Points = np.ndarray[Any, np.dtype[np.uint8]]

_G, _POWER, _T = 0, 1, 2
_root = field_program(
    "root",
    # g = u (u^2 + J u + 1)
    ("square", _G, "a"),
    ("constant", _T, 486662),
    ("multiply", _T, _T, "a"),
    ("add", _G, _G, _T),
    ("constant", _T, 1),
    ("add", _G, _G, _T),
    ("multiply", _G, _G, "a"),
    *root_power(_G, _POWER, _T),
    ("copy", "a", _POWER),
    ("constant", "b", 1),
)


@kernel
def _root_rows(low, high, points, out):  # type: ignore[no-untyped-def]
    work = workspace(ROWS * ROW)
    for start in range(low, high, BATCH * BLOCK):
        count = min(BATCH, (high - start + BLOCK - 1) // BLOCK)
        for i in range(count):
            unpack(points, start + i * BLOCK, 0, work, DIVIDEND + i)
            _root(work, DIVIDEND + i, DIVISOR + i, 0)
        divide(work, out, start, high, count)


def root_candidates(points: Points) -> Points:
    """v^2 = ±(u^3 + 486662 u^2 + u) for every u on the curve or not: `uint8[n, 32]` each.

    Which sign holds, and whether u is on the curve, is for the caller to see.
    """
    out = np.empty((len(points), 4), "<u8")
    if len(out):
        parallel_rows(_root_rows, len(out), point_words(points), out, block=BLOCK)
    return out.view(np.uint8)

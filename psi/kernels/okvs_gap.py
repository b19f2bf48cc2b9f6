"""The rows that peeling does not reach: elimination over a bin's dense columns."""

from __future__ import annotations

import numpy as np

from psi.kernels.cache import part
from psi.kernels.okvs_rows import DENSE, row_of

__all__ = ["close_gap"]


@part
def close_gap(  # type: ignore[no-untyped-def]
    digests, rows, order, pivots, peeled, gap, held, bins, sparse, store
):
    """Choose the dense elements so that the gap's rows hold too; whether there is a choice.

    `store` is solved for the peeled rows with dense elements of zero. Each sparse element is
    then that plus a sum of dense ones, kept as a mask; a gap row becomes an equation in dense
    elements alone.
    """
    masks = np.zeros(sparse, np.uint64)
    for i in range(peeled - 1, -1, -1):
        row = np.int64(order[i])
        mask = row_of(digests[row, 2], digests[row, 3], bins, sparse)[3]
        for k in range(3):
            mask ^= masks[rows[row, k]]
        # the pivot's own mask is still zero
        masks[pivots[i]] = mask
    equations = np.zeros(held, np.uint64)
    values = np.zeros((held, 2), np.uint64)
    leading = np.zeros(held, np.int64)
    for g in range(held):
        row = gap[g]
        equations[g] = row_of(digests[row, 2], digests[row, 3], bins, sparse)[3]
        for word in range(2):
            values[g, word] = digests[row, word]
        for k in range(3):
            place = rows[row, k]
            equations[g] ^= masks[place]
            for word in range(2):
                values[g, word] ^= store[place, word]
    for g in range(held):
        if equations[g] == np.uint64(0):
            return False
        bit = 0
        while (equations[g] >> np.uint64(bit)) & np.uint64(1) == np.uint64(0):
            bit += 1
        leading[g] = bit
        for other in range(held):
            if other != g and (equations[other] >> np.uint64(bit)) & np.uint64(1):
                equations[other] ^= equations[g]
                for word in range(2):
                    values[other, word] ^= values[g, word]
    solved = True
    for g in range(held):
        solved &= leading[g] < DENSE
        for word in range(2):
            store[sparse + leading[g], word] = values[g, word]
    for place in range(sparse):
        for g in range(held):
            if (masks[place] >> np.uint64(leading[g])) & np.uint64(1):
                for word in range(2):
                    store[place, word] ^= values[g, word]
    return solved

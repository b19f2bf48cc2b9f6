"""What two or more answers over joined records tell together: pure functions on sets of tags.

A set is a sorted array of distinct 64-bit tags, one an entity. The asker of a job knows which
records were joined, its own records among all it has asked about, so it can compute all that is
computed here: a refusal by these rules tells it nothing (*simulatable auditing*).

`nearest` finds an earlier set that differs in fewer than N entities, zero included: totals over the
two differ by those of fewer than N people, and where the asker groups the records by a value that
only it knows, two equal sets may hide groups that differ by one.

`exposure` looks at all sets together. Entities that lie in exactly the same sets are a *cell*; no
sum of answers, with whatever factors, tells members of a cell apart. A combination of answers
*isolates* if it speaks of some entities, all of them in cells of fewer than N: "all of these
customers minus all of those" where the rest cancels out. With the 0/1 matrix M of sets by cells and
its columns M' of large cells, the combinations that isolate form a space of dimension rank M -
rank M'. It is computed exactly. A union of small jobs, or any inclusion and exclusion over any
number of jobs, is such a combination.

Sources: Dobkin, Jones and Lipton 1979 (overlap of query sets); Chin and Ozsoyoglu 1982 (auditing of
sums by linear algebra); Kenthapadi, Mishra and Nissim 2005 (simulatable auditing).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["Tags", "difference", "exposure", "inside", "nearest"]

_BITS = 63

Tags = np.ndarray[Any, np.dtype[np.uint64]]


def difference(one: Tags, other: Tags) -> int:
    """How many entities lie in exactly one of two sets."""
    small, large = (one, other) if len(one) < len(other) else (other, one)
    return len(one) + len(other) - 2 * int(np.count_nonzero(inside(small, large)))


def nearest(asked: Tags, earlier: Sequence[Tags], least: int) -> int | None:
    """The place of the first earlier set that differs from `asked` in fewer than `least`."""
    for place, other in enumerate(earlier):
        if abs(len(asked) - len(other)) < least and difference(asked, other) < least:
            return place
    return None


def exposure(sets: Sequence[Tags], least: int) -> int:
    """The dimension of the space of sums over `sets` that speak of cells below `least` alone."""
    if not sets:
        return 0
    cells, sizes = _cells(sets)
    return _rank(cells) - _rank(cells[:, sizes >= least])


def _cells(sets: Sequence[Tags]) -> tuple[np.ndarray, np.ndarray]:
    """`(int64[sets, cells] of 0 and 1, int64[cells] sizes)`; who lies in no set is in no cell."""
    everyone = sets[0]
    for one in sets[1:]:
        fresh = one[~inside(one, everyone)]
        everyone = np.insert(everyone, np.searchsorted(everyone, fresh), fresh)
    words = -(-len(sets) // _BITS)
    member = np.zeros((len(everyone), words), np.int64)
    for at, one in enumerate(sets):
        member[np.searchsorted(everyone, one), at // _BITS] |= np.int64(1) << (at % _BITS)
    flat = member.reshape(-1) if words == 1 else member
    patterns, sizes = np.unique(flat, axis=0 if words > 1 else None, return_counts=True)
    columns = patterns.reshape(-1, words).T
    rows = [(columns[at // _BITS] >> np.int64(at % _BITS)) & 1 for at in range(len(sets))]
    return np.asarray(rows, np.int64), sizes


def inside(asked: Tags, within: Tags) -> np.ndarray:
    """`bool[asked]`, which of them are in `within`; both are sorted."""
    if not len(within):
        return np.zeros(len(asked), bool)
    at = np.searchsorted(within, asked)
    return np.asarray(within[np.minimum(at, len(within) - 1)] == asked)


def _rank(matrix: np.ndarray) -> int:
    """The exact rank of an integer matrix: of its Gram matrix, without fractions (Bareiss 1968)."""
    gram = [[int(x) for x in row] for row in matrix @ matrix.T]
    rank, before = 0, 1
    for column in range(len(gram)):
        pivot = next((r for r in range(rank, len(gram)) if gram[r][column]), None)
        if pivot is None:
            continue
        gram[rank], gram[pivot] = gram[pivot], gram[rank]
        top = gram[rank]
        for r in range(rank + 1, len(gram)):
            row, factor = gram[r], gram[r][column]
            gram[r] = [
                (top[column] * x - factor * y) // before for x, y in zip(row, top, strict=True)
            ]
        rank, before = rank + 1, top[column]
    return rank

"""Tags packed, and looked up in a list, against dictionaries."""

from __future__ import annotations

import numpy as np
import pytest

from psi.kernels.grouping import sort_tags
from psi.kernels.tag_lists import look_up, pack_tags


def tags(count: int, width: int, seed: int = 1) -> np.ndarray:
    """Ascending tags of `width` bytes."""
    found = np.random.default_rng(seed).integers(0, 2**64, (count, 2), dtype=np.uint64)
    found[:, 0] &= np.uint64(2 ** (8 * (width - 8)) - 1)
    return sort_tags(found)[0]


def as_bytes(rows: np.ndarray, width: int) -> list[bytes]:
    return [(int(high) | int(low) << 64).to_bytes(16, "little")[:width] for low, high in rows]


@pytest.mark.parametrize("width", [8, 10, 13, 16])
def test_packed_tags_are_their_leading_bytes(width: int) -> None:
    mine = tags(50, width)
    assert [row.tobytes() for row in pack_tags(mine, width)] == as_bytes(mine, width)
    with pytest.raises(ValueError, match="bytes"):
        pack_tags(mine, 17)


@pytest.mark.parametrize("width", [8, 11, 16])
@pytest.mark.parametrize("counts", [(0, 0), (0, 9), (9, 0), (1, 1), (40, 3000), (50_000, 40_000)])
def test_what_is_in_both_lists_is_found(width: int, counts: tuple[int, int]) -> None:
    mine, theirs = tags(counts[0], width), tags(counts[1], width, 2)
    shared = mine[::3][: len(theirs)]
    theirs = sort_tags(np.concatenate([theirs, shared, shared[:5]]))[0]
    # tags that differ in the last word only
    near = shared.copy()
    near[:, 0] ^= np.uint64(width > 8)
    mine = sort_tags(np.concatenate([mine, near[:7], mine[:3]]))[0]
    where = {tag: i for i, tag in reversed(list(enumerate(as_bytes(theirs, width))))}
    wanted = [(i, where[tag]) for i, tag in enumerate(as_bytes(mine, width)) if tag in where]
    found = look_up(mine, pack_tags(theirs, width))
    assert found is not None
    assert list(zip(*(side.tolist() for side in found), strict=True)) == wanted


@pytest.mark.parametrize("count", [2, 100, 50_000])
def test_a_list_that_falls_is_told(count: int) -> None:
    mine, theirs = tags(count, 10), tags(count, 10, 2)
    for place in {0, (count - 1) // 2, count - 2}:
        spoilt = theirs.copy()
        spoilt[[place, place + 1]] = spoilt[[place + 1, place]]
        assert look_up(mine, pack_tags(spoilt, 10)) is None
    assert look_up(mine, pack_tags(theirs[::-1], 10)) is None

"""Tags packed, and looked up in a list, against dictionaries."""

from __future__ import annotations

import numpy as np
import pytest

from psi.kernels.grouping import sort_tags
from psi.kernels.tag_lists import look_up, pack_tags, unpack_tags


def tags(count: int, bits: int, seed: int = 1) -> np.ndarray:
    """Ascending tags of so many bits."""
    found = np.random.default_rng(seed).integers(0, 2**64, (count, 2), dtype=np.uint64)
    found[:, 0] &= np.uint64(2 ** (bits - 64) - 1)
    return sort_tags(found)[0]


def as_numbers(rows: np.ndarray) -> list[int]:
    return [int(high) << 64 | int(low) for low, high in rows]


@pytest.mark.parametrize(
    ("leading", "width"), [(0, 8), (0, 16), (1, 8), (7, 9), (16, 6), (19, 10), (24, 13), (30, 12)]
)
@pytest.mark.parametrize("count", [0, 1, 2, 50, 30_000])
def test_packed_tags_come_out_again(leading: int, width: int, count: int) -> None:
    mine = tags(count, leading + 8 * width)
    first, steps, rests = pack_tags(mine, leading, width)
    assert rests.shape == (count, width)
    found = unpack_tags(first, steps, rests, leading)
    assert found is not None
    assert np.array_equal(found, mine)
    if count:
        lead = int(mine[0, 1]) >> (64 - leading)
        assert first == lead
        assert np.unpackbits(steps, bitorder="little").sum() == count
        spread = (int(mine[-1, 1]) >> (64 - leading)) - lead
        assert len(steps) == -(-(count + spread) // 8)


def test_as_many_leading_bits_as_tags_take_two_bits_or_less_a_tag() -> None:
    _, steps, _ = pack_tags(tags(1 << 15, 96), 16, 10)
    assert len(steps) <= 3 * (1 << 15) // 8 + 1


def test_what_are_no_packed_tags_is_told() -> None:
    first, steps, rests = pack_tags(tags(300, 80), 8, 9)
    beyond = np.append(steps, np.uint8(1))
    for lead, bits, left in (
        (first, steps, rests[1:]),
        (first, steps[:-1], rests),
        (first, beyond, rests),
        (first, np.append(steps, np.uint8(0)), rests),
        (256, steps, rests),
        (first, steps & np.uint8(254), rests[1:]),
    ):
        assert unpack_tags(lead, bits, left, 8) is None
    for leading, width in ((0, 7), (0, 17), (9, 15)):
        with pytest.raises(ValueError, match="64 to 128 allowed"):
            pack_tags(tags(3, 64), leading, width)


@pytest.mark.parametrize("bits", [64, 88, 99, 128])
@pytest.mark.parametrize("counts", [(0, 0), (0, 9), (9, 0), (1, 1), (40, 3000), (50_000, 40_000)])
def test_what_is_in_both_lists_is_found(bits: int, counts: tuple[int, int]) -> None:
    mine, theirs = tags(counts[0], bits), tags(counts[1], bits, 2)
    shared = mine[::3][: len(theirs)]
    theirs = sort_tags(np.concatenate([theirs, shared, shared[:5]]))[0]
    # tags that differ in the last word only
    near = shared.copy()
    near[:, 0] ^= np.uint64(bits > 64)
    mine = sort_tags(np.concatenate([mine, near[:7], mine[:3]]))[0]
    where = {tag: i for i, tag in reversed(list(enumerate(as_numbers(theirs))))}
    wanted = [(i, where[tag]) for i, tag in enumerate(as_numbers(mine)) if tag in where]
    found = look_up(mine, theirs)
    assert found is not None
    assert list(zip(*(side.tolist() for side in found), strict=True)) == wanted


@pytest.mark.parametrize("count", [2, 100, 50_000])
def test_a_list_that_falls_is_told(count: int) -> None:
    mine, theirs = tags(count, 80), tags(count, 80, 2)
    for place in {0, (count - 1) // 2, count - 2}:
        spoilt = theirs.copy()
        spoilt[[place, place + 1]] = spoilt[[place + 1, place]]
        assert look_up(mine, spoilt) is None
    assert look_up(mine, theirs[::-1]) is None

"""A place's numbers by which private sums add a join up, and messages that open the sums.

A place of the sender's has lanes modulo 2^64: the *bound*, one secret odd number, which holds the
receiver to the number of places that it says it adds up; a flag for each column's value, side by
side, which the sender opens, and their tag, which holds the receiver to their counts
(`federated.sharing.bound_counts`); the value of each column that is summed, in fixed point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from federated.join_sum.layout import FRACTION_BITS
from federated.join_sum.messages import COLUMNS
from federated.join_sum.noising import Noising
from federated.join_sum.placed import Placed
from federated.sharing.bound_counts import tags
from psi.ecdh import LARGEST
from psi.protocol import Array, InputError, Length, PeerError, Range, message

__all__ = ["FULL", "Place", "PlaceLanes", "SumCommitted", "SumShares", "check_noised"]

Lanes = np.ndarray[Any, np.dtype[np.uint64]]
FULL = 1 << 62
"""What the magnitudes of a column, all places together, stay below: half of a lane."""
_WORD = 64


@message(0x5D)
@dataclass(frozen=True)
class Place:
    """How many places the sender has, where they are of records with several keys."""

    places: Annotated[int, Range(1, LARGEST)]


@message(0x5F)
@dataclass(frozen=True)
class SumCommitted:
    """A hash of the receiver's shares of bound and flags."""

    digest: Annotated[bytes, Length(32)]


@message(0x89)
@dataclass(frozen=True)
class SumShares:
    """Values behind each column, 0 where too few; the sender's shares of summed ones' sums.

    Both with noise, where there is any; a share is 0 where its sum is not told.
    """

    counts: Annotated[np.ndarray, Array("int64", most=COLUMNS)]
    shares: Annotated[np.ndarray, Array("uint64", most=COLUMNS)]


@dataclass(frozen=True)
class PlaceLanes:
    """For columns of which some are `summed`, over so many places."""

    summed: tuple[bool, ...]
    places: int

    @property
    def headroom(self) -> int:
        """Bits of a count."""
        return max(1, self.places).bit_length()

    @property
    def shown(self) -> int:
        """Lanes that the sender opens: the bound, the flags, their tag."""
        return 2 + -(-len(self.summed) // (_WORD // self.headroom))

    @property
    def lanes(self) -> int:
        """All of a place."""
        return self.shown + sum(self.summed)

    def rows(self, placed: Placed, bound: int, start: int, stop: int) -> Lanes:
        """Places `start` to `stop`: `uint64[n, lanes]`."""
        found = np.zeros((stop - start, self.lanes), np.uint64)
        found[:, 0] = np.uint64(bound)
        for number, flags in enumerate(placed.there[start:stop].T):
            lane, shift = divmod(number, _WORD // self.headroom)
            found[:, 1 + lane] |= flags.astype(np.uint64) << np.uint64(shift * self.headroom)
        found[:, self.shown - 1] = tags(placed.there[start:stop], bound)
        chosen = placed.values[start:stop][:, np.array(self.summed, bool)]
        found[:, self.shown :] = chosen.view(np.uint64)
        return found

    def counts(self, opened: Lanes, bound: int) -> list[int]:
        """Values behind each column, from opened flags and their tag by the secret `bound`.

        Raises `PeerError` where there is more, or where the tag is not theirs.
        """
        (*opened, tag), found, per = opened.tolist(), [], _WORD // self.headroom
        for number in range(len(self.summed)):
            lane, shift = divmod(number, per)
            found.append(int(opened[lane]) >> shift * self.headroom & ((1 << self.headroom) - 1))
        for lane, whole in enumerate(opened):
            held = min(per, len(self.summed) - lane * per) * self.headroom
            if int(whole) >> held:
                raise PeerError("counts that do not add up to the places sent")
        if int(tags(np.array([found], np.int64), bound)[0]) != tag:
            raise PeerError("counts of values that are not those of the places")
        return found

    def check(self, placed: Placed, names: Sequence[str]) -> None:
        """Raise `InputError` where a column's values are too large, all together, for a lane."""
        reach = np.abs(placed.values).astype(np.float64).sum(axis=0)
        for name, summed, found in zip(names, self.summed, reach, strict=True):
            if summed and found >= FULL:
                raise InputError(
                    f"column {name!r}: the magnitudes of {len(placed):,} values add up to "
                    f"2^{62 - FRACTION_BITS} or more, which private sums do not hold",
                    hint='divide them by 1000, or take protocol = "paillier"',
                )


def check_noised(noising: Noising, places: int) -> bool:
    """Whether the sums of so many values within their ranges, and their noise, fit a lane."""
    return all(
        most * max(1, places) + far < FULL
        for most, far in zip(noising.largest, noising.farthest_sums, strict=True)
    )

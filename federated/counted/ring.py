"""A score of several partners in two shares, and how rows are counted and asked about by these.

Pure functions. The receiver's share and the last partner's add up to the score modulo 2^32, where
2^32 stands for two turns. In one turn no sum of all parties' parts meets itself, so that rows are
counted by what both shares leave of it; in two none meets itself whatever threshold is taken off.
A sum of shares is at or above an edge where the last partner's lies in the half circle from a
place of the receiver's choice on.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.counted.grid import BINS, LANES, MOST_POINTS, MOST_WIDE, REACH
from federated.regression.noise import noise_of

__all__ = ["MOST_SPAN", "PLACES", "PLACE_BITS", "UNASKED", "RingGrid"]
__all__ += ["above", "asked_places", "deviation_of", "ring_codes", "ring_scores"]
__all__ += ["reach_of", "span_of", "within"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Shares = NDArray[np.uint32]

PLACE_BITS = 9
PLACES = (1 << PLACE_BITS) - 1
"""Places in both turns that a half circle may begin at."""
UNASKED = PLACES
"""The question whose answer is no for every row."""
MOST_SPAN = MOST_WIDE + 20
_WORD = 2.0**32
_CODE_SHIFT = 17
"""A score of a listed row has the upper 15 bits of a share."""
_RANGES = 128
"""More than lanes and points can tell apart."""
_LEAST_NOISE = 2.0**10
"""Of the noise on a share, in its units, so that it is never rounded away: a code drops 17 bits."""


@dataclass(frozen=True)
class RingGrid:
    """`span`: a turn is 2^(`span` / 2) of score; `most`: ranges to count rows in, at most."""

    span: int
    most: int = BINS

    @property
    def turn(self) -> float:
        """Of the score; two of them are 2^32."""
        return float(2.0 ** (self.span / 2))

    @property
    def points(self) -> int:
        """Of the receiver's share in a turn; lanes and these have no common factor."""
        return MOST_POINTS

    @property
    def bins(self) -> int:
        """Ranges that rows are counted in."""
        return min(self.most, _RANGES)

    @property
    def blur(self) -> float:
        """How wide a range counts as for an AUC, in its own width.

        Rounded shares move a score by σ, evenly, and where it is log odds that takes σ²/2 times
        Σ p n / w off an AUC, of ranges' shares p of positives and n of negatives and their width w.
        `auc_of_counts` adds w / 12 times Σ p n for a range of w: 6 σ² / w² more make up for it.
        """
        lane, point = self.bins / LANES, self.bins / self.points
        return 1.0 + (lane**2 + point**2) / 2

    def holds(self, wide: int) -> bool:
        """Whether a part that is so wide does not meet itself in a turn: in a shorter one it has
        places of its own in the low digits."""
        return self.span >= span_of((wide,))

    def shares(self, scores: Floats) -> Shares:
        """Scores as places in both turns, `uint32[n]`."""
        found = np.rint(scores * (_WORD / (2.0 * self.turn)))
        return np.asarray(np.mod(found, _WORD).astype(np.uint32))

    def own(self, part: Shares) -> Ints:
        """Each row's point of the receiver's share in one turn; the lowest score is half of one
        away, so that ranges rise."""
        turned = (part << np.uint32(1)) + np.uint32(1 << 31)
        return np.asarray((turned.astype(np.int64) * self.points) >> 32)

    def theirs(self, part: Shares) -> Ints:
        """Each row's point of the last partner's share."""
        return np.asarray(((part << np.uint32(1)).astype(np.int64) * LANES) >> 32)

    def of_points(self) -> Ints:
        """The range that two points make: `int64[points, LANES]`."""
        whole = 2 * LANES * self.points
        own = (2 * np.arange(self.points)[:, None] + 1) * LANES
        sums = (own + (2 * np.arange(LANES) + 1) * self.points) % whole
        return np.asarray(sums * self.bins // whole)

    def ends(self) -> Floats:
        """Where ranges begin and end, the receiver's own middle left out."""
        return np.asarray((np.arange(self.bins + 1) / self.bins - 0.5) * self.turn)

    def middles(self) -> Floats:
        """The score in the middle of each range, the receiver's own middle left out."""
        return np.asarray(((np.arange(self.bins) + 0.5) / self.bins - 0.5) * self.turn)


def reach_of(wide: int) -> float:
    """How far a part counts, of which points lie 2^(`wide` / 2) apart: as in `ScoreGrid`."""
    return float(LANES // 2 * 2.0 ** (wide / 2))


def deviation_of(wide: int) -> float:
    """What the standard deviation of such a part is no more than."""
    return reach_of(wide) / REACH


def within(scores: Floats, wide: int) -> Floats:
    """A part of scores, as far as it counts."""
    return np.asarray(np.clip(scores, -reach_of(wide), reach_of(wide)))


def span_of(wides: Sequence[int]) -> int:
    """The span in which sums of parts that are so wide do not meet themselves."""
    both = 2.0 * math.fsum(reach_of(wide) for wide in wides)
    return math.ceil(2.0 * math.log2(both))


def asked_places(
    own: Floats,
    pads: Shares,
    may: NDArray[np.bool_],
    end: float,
    grid: RingGrid,
    far: float,
) -> NDArray[np.uint16]:
    """From where on the last partner's share makes a row listed, `uint16[n]`, below 512.

    Args:
        own: `float64[n]`, the receiver's part of each row's score, centred.
        pads: `uint32[n]`, what the last partner's share has of the other partners' pads.
        may: `bool[n]`, which rows may be on the list; of all others nothing is asked.
        end: the score from which on rows are listed.
        grid: that all parties have agreed on.
        far: how far the partners' parts reach together: beyond it no threshold moves.
    """
    # with a part that is as far out both stay within half a circle, two places aside for rounding
    most = max(0.0, min(far, grid.turn * (1.0 - 4.0 / PLACES) - far))
    least = np.clip(end - own, -most, most)
    place = (grid.shares(least) + pads).astype(np.float64) * (PLACES / _WORD)
    return np.where(may, np.rint(place).astype(np.int64) % PLACES, UNASKED).astype(np.uint16)


def above(share: Shares) -> NDArray[np.uint8]:
    """The last partner's answers, `uint8[n, 512]`: 1 where its share is in the half circle."""
    places = np.rint(np.arange(PLACES) * (_WORD / PLACES)).astype(np.uint32)
    found = np.zeros((len(share), PLACES + 1), np.uint8)
    found[:, :PLACES] = (share[:, None] - places) >> np.uint32(31) == 0
    return found


def ring_codes(share: Shares, grid: RingGrid, noise: float, seed: bytes) -> NDArray[np.uint16]:
    """The last partner's share of each row's score with noise, `uint16[n]` of 15 bits.

    The noise follows from all shares and how wide it is: the same ones never have two draws of it.

    Args:
        share: `uint32[n]`.
        grid: that all parties have agreed on.
        noise: its standard deviation, of scores: whatever others have told, it is drawn exactly.
        seed: 32 secret bytes, the same whenever this job goes on.

    Raises:
        MisuseError: noise that is no number.
    """
    units = np.maximum(np.array([noise * (_WORD / (2.0 * grid.turn))]), _LEAST_NOISE)
    text = hashlib.sha256(np.ascontiguousarray(share, "<u4").data)
    text.update(units.astype("<f8").tobytes())
    key = hashlib.blake2s(text.digest(), key=seed, person=b"ringscor").digest()
    drawn = noise_of((len(share), 1), units, 0, hashlib.shake_256(key).digest)
    added = drawn.ravel().astype(np.uint32)
    return np.asarray((share + added) >> np.uint32(_CODE_SHIFT)).astype(np.uint16)


def ring_scores(told: NDArray[np.uint16], pads: Shares, grid: RingGrid) -> Floats:
    """All partners' parts of the score of each row that is listed; NaN of all others.

    Args:
        told: 1 where a row is listed, above that bit its code.
        pads: `uint32[n]`, what the last partner's share has of the other partners' pads.
        grid: that all parties have agreed on.
    """
    middle = np.uint32(1 << (_CODE_SHIFT - 1))
    share = (told.astype(np.uint32) >> np.uint32(1) << np.uint32(_CODE_SHIFT)) + middle
    parts = (share - pads).view(np.int32) * (2.0 * grid.turn / _WORD)
    return np.where(told & 1, parts, np.nan)

"""Where a list ends: from noisy counts by score to a threshold, and each row's question by it.

Pure functions. The receiver asks of each row whether the partner's part of its score reaches one
of 127 edges; the last entry asks nothing. Within three standard deviations of the partner's part
edges are half a step of its points apart, further out each gap is an eighth wider than the last, so
that they reach ten.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federated.counted.grid import Cut, ScoreGrid
from federated.regression.plan import count_noise

__all__ = ["EDGES", "MOST_RANGES", "NOTHING"]
__all__ += ["aimed", "answer_bits", "answers", "edges", "list_noise", "questions", "threshold"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_RANGES = 256
"""Ranges of the score that a list's end is looked for in."""
EDGES = 127
_EVEN = 40
"""Gaps to each side of the middle that are alike."""
NOTHING = EDGES
"""The question whose answer is no for every row."""


def list_noise(noise: float, length: int) -> float:
    """The standard deviation of the noise on counts that a list's end is found by.

    A four-hundredth of its length moves its end by a fortieth, and tells less.

    Args:
        noise: of the plan.
        length: of the list.
    """
    return max(count_noise(noise), length / 400)


def answer_bits(score_bits: int) -> float:
    """The most that one answer tells of a row, in bits in the mean, at any edge.

    Of a share p of the rows that reach it the answer is a yes with the score behind it, whose
    variance among these is 1 / p of that of all at most (law of total variance):
    H(p) + p ½ log2(1 + 4^b / p) bits (Shannon 1948). Without a score it is one bit.

    Args:
        score_bits: b, of the scores of those on the list; 0 for none.
    """
    if not score_bits:
        return 1.0
    p = np.arange(1, 1001) / 1000
    no = np.where(p < 1, 1 - p, 1.0)
    entropy = -p * np.log2(p) - (1 - p) * np.log2(no)
    return float((entropy + p * 0.5 * np.log2(1 + 4.0**score_bits / p)).max())


def aimed(length: int, noise: float, rows: int) -> float:
    """How many rows to be told of, so that noise does not leave a list short.

    Args:
        length: of the list.
        noise: standard deviation of that on counts.
        rows: that may be on it.
    """
    return min(float(rows), 1.02 * length + 3.0 * noise)


def threshold(counts: Ints, grid: Cut, rows: float) -> float:
    """The score that about so many rows reach, the receiver's own middle left out.

    Args:
        counts: `int64[bins]`, with the partner's noise, whatever they are.
        grid: how scores are cut.
        rows: above 0.
    """
    most = float(1 << 40)
    above = np.cumsum(np.clip(counts.astype(np.float64), -most, most)[::-1])[::-1]
    above = np.append(above, 0.0)  # rows from each range's lower end on; 0 from the last one's
    rising = np.maximum.accumulate(above[::-1])[::-1]
    falling = np.minimum.accumulate(above)
    between = np.maximum(0.0, (rising + falling) / 2)  # never rises
    # tails are steep: the logarithm of rows is nearly straight between two ends
    return float(np.interp(-np.log1p(rows), -np.log1p(between), grid.ends()))


def edges(grid: ScoreGrid) -> Floats:
    """What the partner's part is held against, `float64[127]`, rising."""
    gaps = np.where(
        np.arange(EDGES // 2) < _EVEN, 1.0, 1.125 ** (np.arange(EDGES // 2) - _EVEN + 1)
    )
    half = np.cumsum(gaps) * grid.step / 2
    return np.concatenate([-half[::-1], [0.0], half])


def questions(
    own: Floats, may: NDArray[np.bool_], end: float, grid: ScoreGrid
) -> NDArray[np.uint8]:
    """Which edge the partner's part has to reach for a row to be listed, `uint8[n]`.

    Args:
        own: `float64[n]`, the receiver's part of each row's score, centred.
        may: `bool[n]`, which rows may be on the list; of all others nothing is asked.
        end: the score from which on rows are listed.
        grid: that both parties have agreed on.
    """
    found = edges(grid)
    edge = np.searchsorted((found[1:] + found[:-1]) / 2, end - own)
    return np.where(may, edge, NOTHING).astype(np.uint8)


def answers(theirs: Floats, grid: ScoreGrid) -> NDArray[np.uint8]:
    """The partner's answers to all questions, `uint8[n, 128]`: 1 where it reaches the edge.

    Args:
        theirs: `float64[n]`, its part of each row's score.
        grid: that both parties have agreed on.
    """
    found = np.zeros((len(theirs), EDGES + 1), np.uint8)
    found[:, :EDGES] = theirs[:, None] >= edges(grid)
    return found

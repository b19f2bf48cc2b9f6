"""Who is on a list, and of these a score: as `listing`, each yes with the partner's part behind it.

The part has noise, and stands in 128ths of a step of the partner's points. A no has nothing behind
it. A receiver that lies asks every row whether it reaches the lowest edge, and so gets all scores:
what is told of a row at most is counted as if it had (`federated.contract.kinds.listed`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.counted.grid import ScoreGrid
from federated.counted.listing import Asking, ListHearer, ListTeller, Told, range_of
from federated.counted.messages import QUESTIONS, ScoredAnswers
from federated.regression.noise import gaussians
from federated.trees.splitting.lookups import looked_up, tables
from psi.protocol import Context, MisuseError

__all__ = ["A_SCORE", "FINEST_LISTED", "ScoredHearer", "ScoredTeller", "codes_of", "scores_of"]

FINEST_LISTED = 8
"""The most `score_bits` of a list."""
A_SCORE = 2 * QUESTIONS
"""Bytes of a row's answers."""
_ZERO, _UNITS = 1 << 14, 128
"""The code of a part of 0, and how many codes a step of the partner's points is."""

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]


def codes_of(
    theirs: Floats, grid: ScoreGrid, score_bits: int, seed: bytes, deviation: float = 0.0
) -> Told:
    """The partner's part of each row's score with noise, `uint16[n]` from 1 on.

    The noise follows from all rows' scores: the same ones never have two draws of it.

    Args:
        theirs: `float64[n]`, of all rows.
        grid: that both parties have agreed on.
        score_bits: the noise is 2^-`score_bits` of their standard deviation.
        seed: 32 secret bytes, the same whenever this job goes on.
        deviation: the least that counts as theirs: who chose these rows may have taken such as
            are alike.
    """
    text = hashlib.sha256(np.ascontiguousarray(theirs, "<f8").data).digest() + bytes([score_bits])
    key = hashlib.blake2s(text, key=seed, person=b"listscor").digest()
    calls = iter(range(1 << 62))

    def random(size: int) -> bytes:
        return hashlib.shake_256(key + next(calls).to_bytes(8, "little")).digest(size)

    wide = max(float(theirs.std()), deviation) * 2.0**-score_bits
    # of a part that lies closer together than any step the code is exact, so that noise is of codes
    noisy = theirs + max(wide, grid.step / _UNITS) * gaussians(len(theirs), random)
    found = np.rint(noisy * (_UNITS / grid.step)) + _ZERO
    return np.asarray(np.clip(found, 1, (1 << 15) - 1).astype(np.uint16))


def scores_of(told: Told, grid: ScoreGrid) -> Floats:
    """The partner's part of the score of each row that is listed; NaN of all others.

    Args:
        told: the result of a `ScoredHearer`.
        grid: that both parties have agreed on.
    """
    code = (told >> 1).astype(np.float64)
    return np.where(told & 1, (code - _ZERO) * (grid.step / _UNITS), np.nan)


class ScoredHearer(ListHearer):
    """The receiver; its result has above each yes the code of the partner's part of the score.

    Args:
        context, partner, questions: of a `ListHearer`.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        **{key: to for key, to in ListHearer.transitions.items() if to != "on_answered"},
        (Asking, ScoredAnswers): "on_answered",
    }

    def _opened(self, sent: Any, asked: NDArray[np.uint8], keys: Words) -> Told:
        return looked_up(keys, asked, sent.answers.astype(np.uint32), sent.nonce).astype(np.uint16)


class ScoredTeller(ListTeller):
    """The partner; its result is of how many rows it told a bit.

    Args:
        context, receiver, scores, grid: of a `ListTeller`.
        codes: `uint16[n]`, from `codes_of`.
    """

    def __init__(
        self, context: Context, receiver: str, scores: Floats, grid: ScoreGrid, codes: Told
    ) -> None:
        super().__init__(context, receiver, scores, grid)
        if len(codes) != len(scores) or not 0 < int(codes.min()) <= int(codes.max()) < 1 << 15:
            raise MisuseError("codes of scores that are not one a row")
        self._codes = codes

    def _entries(self, chunk: int, own: NDArray[np.uint8]) -> Told:
        low, high = range_of(chunk, self._rows)
        return np.asarray(own * (self._codes[low:high, None] << 1 | 1), np.uint16)

    def _padded(self, chunk: int, keys: Words, own: Told, nonce: bytes) -> ScoredAnswers:
        padded = tables(keys, own.astype(np.uint32), nonce)
        return ScoredAnswers(chunk, nonce, padded.astype(np.uint16))

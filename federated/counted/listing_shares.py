"""Who is on a list by a score of several partners: as `listing`, by the last partner's share.

The receiver asks whether that share, uniform to the last partner, lies in the half circle from a
place on: one bit of the score, whatever place it takes. Of 512 questions the last one asks nothing.
With scores of the listed each yes has the share behind it, with noise, as in `listed_scores`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.counted.listing import Asking, ListHearer, ListTeller, range_of
from federated.counted.messages import WIDE_ANSWER, WideAnswers, WideScores
from federated.counted.ring import PLACE_BITS, above
from federated.trees.splitting.lookups import looked_up, tables
from psi.protocol import Context, MisuseError

__all__ = ["A_WIDE_QUESTION", "A_WIDE_SCORE", "WideHearer", "WideTeller"]
__all__ += ["WideScoreHearer", "WideScoreTeller"]

Words = NDArray[np.uint64]

A_WIDE_QUESTION = 4 * PLACE_BITS + WIDE_ANSWER + 8
"""Bytes of a row: transfers, answers, and what is shared by few."""
A_WIDE_SCORE = 2 << PLACE_BITS
"""Bytes of a row's answers with scores."""


class WideHearer(ListHearer):
    """The receiver; its result is each row's answer, 0 or 1, `uint16[n]`.

    Args:
        context: of the session.
        partner: the last one.
        questions: `uint16[n]`, as `ring.asked_places` makes them.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        **{key: to for key, to in ListHearer.transitions.items() if to != "on_answered"},
        (Asking, WideAnswers): "on_answered",
    }
    bits: ClassVar[int] = PLACE_BITS

    def _opened(self, sent: Any, asked: NDArray[Any], keys: Words) -> Any:
        padded = np.unpackbits(sent.answers, axis=1, bitorder="little").astype(np.uint32)
        return (looked_up(keys, asked, padded, sent.nonce) & np.uint32(1)).astype(np.uint16)


class WideTeller(ListTeller):
    """The last partner; its result is of how many rows it told a bit.

    Args:
        context: of the session.
        receiver: its name.
        share: `uint32[n]`, of all rows' scores.
    """

    bits: ClassVar[int] = PLACE_BITS

    def __init__(self, context: Context, receiver: str, share: NDArray[np.uint32]) -> None:
        super().__init__(context, receiver, share, None)

    def _answers(self, scores: NDArray[Any]) -> NDArray[np.uint8]:
        return above(scores)

    def _text(self, low: int, high: int, own: NDArray[Any]) -> NDArray[Any]:
        del own  # which follow from the shares alone: far fewer bytes
        return self._scores[low:high]

    def _padded(self, chunk: int, keys: Words, own: Any, nonce: bytes) -> Any:
        padded = tables(keys, own.astype(np.uint32), nonce) & np.uint32(1)
        bits = np.packbits(padded.astype(np.uint8), axis=1, bitorder="little")
        return WideAnswers(chunk, nonce, bits)


class WideScoreHearer(WideHearer):
    """The receiver; its result has above each yes the code of the last partner's share.

    Args:
        context, partner, questions: of a `WideHearer`.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        **{key: to for key, to in WideHearer.transitions.items() if to != "on_answered"},
        (Asking, WideScores): "on_answered",
    }

    def _opened(self, sent: Any, asked: NDArray[Any], keys: Words) -> Any:
        return looked_up(keys, asked, sent.answers.astype(np.uint32), sent.nonce).astype(np.uint16)


class WideScoreTeller(WideTeller):
    """The last partner; its result is of how many rows it told a bit.

    Args:
        context, receiver, share: of a `WideTeller`.
        codes: `uint16[n]`, from `ring_codes`.
    """

    def __init__(
        self,
        context: Context,
        receiver: str,
        share: NDArray[np.uint32],
        codes: NDArray[np.uint16],
    ) -> None:
        super().__init__(context, receiver, share)
        if len(codes) != len(share) or int(codes.max()) >= 1 << 15:
            raise MisuseError("codes of scores that are not one a row")
        self._codes = codes

    def _text(self, low: int, high: int, own: NDArray[Any]) -> NDArray[Any]:
        del own
        both = self._scores[low:high].astype(np.uint64) << np.uint64(16)
        return np.asarray(both | self._codes[low:high])

    def _entries(self, chunk: int, own: NDArray[np.uint8]) -> NDArray[np.uint16]:
        low, high = range_of(chunk, self._rows)
        return np.asarray(own * (self._codes[low:high, None] << 1 | 1), np.uint16)

    def _padded(self, chunk: int, keys: Words, own: Any, nonce: bytes) -> Any:
        padded = tables(keys, own.astype(np.uint32), nonce)
        return WideScores(chunk, nonce, padded.astype(np.uint16))

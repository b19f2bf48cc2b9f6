"""Who is on a list by a score of several partners: as `listing`, by the last partner's share.

The receiver asks whether that share, uniform to the last partner, lies in the half circle from a
place on: one bit of the score, whatever place it takes. Of 512 questions the last one asks nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.counted.listing import Asking, ListHearer, ListTeller
from federated.counted.messages import WIDE_ANSWER, WideAnswers
from federated.counted.ring import PLACE_BITS, above
from federated.trees.splitting.lookups import looked_up, tables
from psi.protocol import Context

__all__ = ["A_WIDE_QUESTION", "WideHearer", "WideTeller"]

Words = NDArray[np.uint64]

A_WIDE_QUESTION = 4 * PLACE_BITS + WIDE_ANSWER + 8
"""Bytes of a row: transfers, answers, and what is shared by few."""


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

    def _padded(self, chunk: int, keys: Words, own: Any, nonce: bytes) -> WideAnswers:
        padded = tables(keys, own.astype(np.uint32), nonce) & np.uint32(1)
        bits = np.packbits(padded.astype(np.uint8), axis=1, bitorder="little")
        return WideAnswers(chunk, nonce, bits)

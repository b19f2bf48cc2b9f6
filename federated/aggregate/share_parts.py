"""Before a two-way table by private sums: the receiver says how many segments it has.

receiver                                        partner
  Parts                                     ──►
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from federated.aggregate.amounts import MOST_PARTS
from psi.protocol import Context, Done, Range, Role, Turn, message

__all__ = ["Parts", "PartsReceiver", "PartsSender"]


@message(0x59)
@dataclass(frozen=True)
class Parts:
    """How many segments the receiver has."""

    parts: Annotated[int, Range(1, MOST_PARTS)]


@message(0x5B)
@dataclass(frozen=True)
class HearingParts:
    """Waiting to be told."""


class PartsSender(Role[Parts]):
    """Tells how many segments there are; gives it back."""

    def __init__(self, context: Context, partner: str, parts: int) -> None:
        super().__init__(context)
        self._partner, self._parts = partner, parts

    def begin(self) -> Turn[Parts]:
        told = Parts(self._parts)
        return Turn(Done(), [(self._partner, told)], told)


class PartsReceiver(Role[Parts]):
    """Learns it."""

    transitions = {(HearingParts, Parts): "on_parts"}  # noqa: RUF012

    def begin(self) -> Turn[Parts]:
        return Turn(HearingParts())

    def on_parts(self, state: HearingParts, sent: Parts, peer: str) -> Turn[Parts]:
        del state, peer
        return Turn(Done(), result=sent)

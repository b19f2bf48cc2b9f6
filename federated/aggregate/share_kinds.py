"""Before the first section by private sums: the partner says how each column is summed.

    partner                                         receiver
      LaneKinds                                 ──►

It tells of each column whether some of its values do not count in the audit, or in another place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from federated.aggregate.rows import Section
from federated.aggregate.share_messages import LaneKinds
from psi.protocol import Context, Done, PeerError, Role, Turn, message

__all__ = ["KindsReceiver", "KindsSender"]


@message(0x9A)
@dataclass(frozen=True)
class HearingKinds:
    """Waiting to be told."""


class KindsSender(Role[LaneKinds]):
    """Tells the kinds of all sections' columns; gives them back."""

    def __init__(self, context: Context, receiver: str, own: Sequence[Sequence[bool]]) -> None:
        super().__init__(context)
        self._receiver, self._own = receiver, own

    def begin(self) -> Turn[LaneKinds]:
        made = LaneKinds(tuple(np.array(each, np.uint8) for each in self._own))
        return Turn(Done(), [(self._receiver, made)], made)


class KindsReceiver(Role[LaneKinds]):
    """Learns the kinds of the columns of these sections."""

    transitions = {(HearingKinds, LaneKinds): "on_kinds"}  # noqa: RUF012

    def __init__(self, context: Context, sections: Sequence[Section]) -> None:
        super().__init__(context)
        self._columns = [len(section.columns) for section in sections]

    def begin(self) -> Turn[LaneKinds]:
        return Turn(HearingKinds())

    def on_kinds(self, state: HearingKinds, found: LaneKinds, peer: str) -> Turn[LaneKinds]:
        del state, peer
        if [len(each) for each in found.own] != self._columns:
            raise PeerError("kinds of other columns than are asked")
        if any((each > 1).any() for each in found.own):
            raise PeerError("kinds of columns that this version does not have")
        return Turn(Done(), result=found)

"""The last round of a job: each party tells every other that it has ended.

The signed ledger heads that the parties keep of each other travel with every frame
(`federated.ledger`); this round brings those that cover all of the steps.

    every party -> every other   Ended   nothing but that it has all its results

Who learns what: that the other has ended. One round; semi-honest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from psi.protocol import Context, Done, Length, Role, Text, Turn, message

__all__ = ["Finish"]


@message(0xAB)
@dataclass(frozen=True)
class _Ended:
    pass


@message(0xAC)
@dataclass(frozen=True)
class _Waiting:
    heard: Annotated[tuple[Annotated[str, Text(64)], ...], Length(64)]


class Finish(Role[bool]):
    """Every party tells every other; the result comes once all were heard."""

    transitions = {(_Waiting, _Ended): "on_ended"}  # noqa: RUF012

    def __init__(self, context: Context, peers: list[str]) -> None:
        super().__init__(context)
        self._peers = peers

    @property
    def unheard(self) -> list[str]:
        """The peers that have not said so yet."""
        heard = getattr(self.state, "heard", ())
        return [] if isinstance(self.state, Done) else [p for p in self._peers if p not in heard]

    def begin(self) -> Turn[bool]:
        return Turn(_Waiting(()), [(peer, _Ended()) for peer in self._peers])

    def on_ended(self, state: _Waiting, incoming: _Ended, peer: str) -> Turn[bool]:
        del incoming
        heard = tuple(dict.fromkeys([*state.heard, peer]))
        if len(heard) < len(self._peers):
            return Turn(_Waiting(heard))
        return Turn(Done(), result=True)

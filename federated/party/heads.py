"""The last exchange of a job: every party's signed ledger head to every other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from federated.party.ledger import Head
from federated.party.plain import canonical, from_canonical
from psi.protocol import Context, Done, Length, Role, Turn, message

__all__ = ["ExchangeHeads"]


@message(0xAB)
@dataclass(frozen=True)
class _Head:
    head: Annotated[bytes, Length(1 << 10)]


@message(0xAC)
@dataclass(frozen=True)
class _Heads:
    heads: Annotated[dict[str, Annotated[bytes, Length(1 << 10)]], Length(64)]


class ExchangeHeads(Role[dict[str, Head]]):
    """Every party sends every other its signed ledger head."""

    transitions = {(_Heads, _Head): "on_head"}  # noqa: RUF012

    def __init__(self, context: Context, peers: list[str], head: Head) -> None:
        super().__init__(context)
        self._peers, self._head = peers, head

    def begin(self) -> Turn[dict[str, Head]]:
        mine = _Head(canonical(self._head))
        return Turn(_Heads({}), [(peer, mine) for peer in self._peers])

    def on_head(self, state: _Heads, incoming: _Head, peer: str) -> Turn[dict[str, Head]]:
        heads = state.heads | {peer: incoming.head}
        if len(heads) < len(self._peers):
            return Turn(_Heads(heads))
        found = {name: from_canonical(Head, data) for name, data in heads.items()}
        return Turn(Done(), result=found)

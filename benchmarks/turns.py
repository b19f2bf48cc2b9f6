"""A role that sends 200 bytes back and forth: what a turn costs that computes nothing."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Annotated

from psi.protocol import Context, Done, Length, Range, Role, Turn, message

__all__ = ["Player"]


@message(0xFB)
@dataclass(frozen=True)
class _Ball:
    data: Annotated[bytes, Length(1 << 24)]


@message(0xFC)
@dataclass(frozen=True)
class _At:
    turn: Annotated[int, Range(0, 1 << 30)]


class Player(Role[bool]):
    """`stamps` has when each ball came. The party that serves gets the last one."""

    transitions = {(_At, _Ball): "on_ball"}  # noqa: RUF012

    def __init__(self, context: Context, peer: str, size: int, rounds: int, serves: bool) -> None:
        super().__init__(context)
        self._peer, self._size, self._rounds, self._serves = peer, size, rounds, serves
        self._data, self.stamps = os.urandom(size), list[float]()

    def begin(self) -> Turn[bool]:
        return Turn(_At(0), [self._ball()] if self._serves else [])

    def on_ball(self, state: _At, ball: _Ball, peer: str) -> Turn[bool]:
        del ball, peer
        self.stamps.append(time.perf_counter())
        if state.turn + 1 < self._rounds:
            return Turn(_At(state.turn + 1), [self._ball()])
        return Turn(Done(), [] if self._serves else [self._ball()], result=True)

    def _ball(self) -> tuple[str, _Ball]:
        return self._peer, _Ball(self._data)

"""Rows are scored by a regression that was kept: one number a row comes from the partners.

    one partner:  Levels (each row's step)                                   ──►  receiver
    several:      Joint (half a pad, width) to each other partner; then Levels of each under pads
                  that add up to zero                                        ──►  receiver

The receiver sends nothing, so whatever it does changes no number: it gets of each shared row the
step that the partner's part lies in, of several partners the sum of their steps' numbers, all in
the widest partner's steps. It adds its own part. The partner learns nothing but the rows, which it
knows from the alignment. A step follows from the row and the kept model alone: asked again for a
row that has not changed, it tells the same.

A partner that lies tells other numbers; nothing binds it to its model or rows. Of several, one that
tells wide steps makes the others' wide too. Pads are drawn by what they are for: a partner that
comes back from an older copy with other numbers draws another half, or the run ends.

Secure against anybody for what is told, as there is one message; of several partners the sum alone
is told where neither the receiver nor a partner shows it what they have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.scoring.fixed import levels_of, middle
from federated.scoring.messages import SEED, Adding, Joint, Levels, Pooling
from psi.protocol import Context, Done, MisuseError, PeerError, Role, Turn

__all__ = ["SumPartner", "SumReceiver"]

Whole = NDArray[np.int64]


class SumReceiver(Role[Whole]):
    """Gets the partners' part of each row's score: `int64[rows]` in units of 2^-30.

    Args:
        context: of the session.
        partners: those of the model, in its order.
        rows: that are shared.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {(Adding, Levels): "on_levels"}

    def __init__(self, context: Context, partners: Sequence[str], rows: int) -> None:
        super().__init__(context)
        if not partners or context.party in partners:
            raise MisuseError(f"{len(partners)} partners found, other parties needed")
        self._partners, self._rows = tuple(partners), rows

    def begin(self) -> Turn[Whole]:
        return Turn(Adding(), progress=0.0)

    def on_levels(self, state: Adding, sent: Levels, peer: str) -> Turn[Whole]:
        """Add a partner's numbers up; the last one's give the scores."""
        if peer not in self._partners or peer in state.names:
            raise PeerError("numbers of a party that has no part in the model, or twice")
        if len(sent.levels) != self._rows:
            raise PeerError(f"{len(sent.levels)} rows told, {self._rows} shared")
        if state.shift not in (0, sent.shift):
            raise PeerError("partners that tell steps of two widths")
        total = sent.levels
        if state.names:
            total = total + self.context.store.get("levels", len(state.names))
        state = Adding((*state.names, peer), sent.shift)
        self.context.store.put("levels", len(state.names), total)
        if len(state.names) < len(self._partners):
            return Turn(state)
        most = 1 << (62 - sent.shift)
        if len(total) and (int(total.max()) >= most or int(total.min()) < -most):
            raise PeerError("a part of a score that no model has")
        return Turn(Done(), result=middle(total, sent.shift, len(self._partners)), progress=1.0)


class SumPartner(Role[int]):
    """Tells the step of each row's part; its result is how many rows it told.

    Args:
        context: of the session.
        receiver: its name.
        partners: those of the model, in its order, this one among them.
        scores: this party's part of each row, `int64[rows]` in units of 2^-30.
        shift: how wide its steps have to be, as a power of two of units.
        mean, deviation: of its part over the rows that the model was trained on.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {(Pooling, Joint): "on_joint"}

    def __init__(
        self,
        context: Context,
        receiver: str,
        partners: Sequence[str],
        scores: Whole,
        *,
        shift: int,
        mean: float,
        deviation: float,
    ) -> None:
        super().__init__(context)
        if context.party not in partners or receiver in partners:
            raise MisuseError(f"{len(partners)} partners found, this party needed among them")
        self._receiver, self._partners = receiver, tuple(partners)
        self._scores, self._shift = scores, shift
        self._mean, self._deviation = mean, deviation

    def begin(self) -> Turn[int]:
        others = [name for name in self._partners if name != self.context.party]
        if not others:
            levels = self._levels(self._shift)
            sent = [(self._receiver, Levels(self._shift, levels))]
            return Turn(Done(), sent, len(levels), 1.0)
        seed = self.context.random(SEED)
        state = Pooling(seed=seed, drawn_for=self._text())
        return Turn(state, [(name, Joint(seed, self._shift)) for name in others], progress=0.0)

    def on_joint(self, state: Pooling, sent: Joint, peer: str) -> Turn[int]:
        """Another partner's half; with the last one tell the numbers under all pads."""
        if peer not in self._partners or peer in state.names or len(sent.seed) != SEED:
            raise PeerError("half of a pad of a party that has no part in the model, or twice")
        if state.drawn_for != self._text():
            raise PeerError("a pad that was drawn for other numbers", step=self.context.step)
        state = replace(state, names=(*state.names, peer), came=(*state.came, sent))
        if len(state.names) + 1 < len(self._partners):
            return Turn(state)
        shift = max(self._shift, *(each.shift for each in state.came))
        told = self._levels(shift).view(np.uint64)
        own = self._partners.index(self.context.party)
        for name, each in zip(state.names, state.came, strict=True):
            later = self._partners.index(name) > own
            halves = (state.seed, each.seed) if later else (each.seed, state.seed)
            pad = self._pad(*halves)
            told = told + pad if later else told - pad
        sent_levels = Levels(shift, told.view(np.int64))
        return Turn(Done(), [(self._receiver, sent_levels)], len(told), 1.0)

    def _levels(self, shift: int) -> Whole:
        return levels_of(self._scores, shift, self._mean, self._deviation)

    def _text(self) -> bytes:
        return hashlib.sha256(np.ascontiguousarray(self._scores).data).digest()

    def _pad(self, first: bytes, second: bytes) -> NDArray[np.uint64]:
        """Uniform numbers modulo 2^64."""
        text = b"score pad" + self.context.session + first + second
        drawn = hashlib.shake_256(text).digest(8 * len(self._scores))
        return np.frombuffer(drawn, "<u8").astype(np.uint64)

"""A score of several partners becomes two shares: the receiver's and the last partner's.

    receiver (own part)            other partners (a part each)            last partner (its part)
      Spread of each   ◄──  how far its points are apart  ──────────────────────────────────
      Span: how far a turn reaches  ──►  all partners
                       ◄──  PadSeed: the seed of a pad
                                         Padded: the part under this pad  ──►

The last partner adds up what it is told and its own part: uniform to it, as it lacks the pads. The
receiver takes all pads off its own part. Each party by itself learns how wide parts lie; **the
receiver and the last partner together have the sum of the other partners' parts of each row**.
A seed follows from what it pads, so that no pad serves two vectors. The last partner sees that all
were told one span: else one part would outweigh the others, and noise; and each partner that it
holds the own part, before anything of a row leaves it. A partner that lies tells another part, or a
width, by which noise is wider, never less than by the others' own; a receiver, a longer turn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.counted.grid import MOST_WIDE, wide_of
from federated.counted.messages import Padded, PadSeed, Span, Spread
from federated.counted.ring import MOST_SPAN, RingGrid, deviation_of, reach_of, span_of, within
from federated.regression.plan import MOST_PARTNERS
from psi.protocol import Context, Done, Length, MisuseError, PeerError, Range, Role, Text, Turn
from psi.protocol import message as numbered

__all__ = ["Joined", "PartAdder", "PartHearer", "PartTeller"]

Floats = NDArray[np.float64]
Shares = NDArray[np.uint32]
_SEED = 32
_Names = Annotated[tuple[Annotated[str, Text(256)], ...], Length(MOST_PARTNERS)]
_Wides = Annotated[tuple[Annotated[int, Range(-MOST_WIDE, MOST_WIDE)], ...], Length(MOST_PARTNERS)]
_Seeds = Annotated[tuple[Annotated[bytes, Length(_SEED)], ...], Length(MOST_PARTNERS)]


@dataclass(frozen=True, repr=False)
class Joined:
    """What a party has of all rows' scores.

    grid: that all have agreed on. share: `uint32[n]`, the receiver's or the last partner's; of no
    row at another partner. pads, far: at the receiver `uint32[n]`, all pads added up, and how far
    the partners' parts reach together. deviation: at the last partner, which the standard deviation
    of the sum of all partners' parts is no more than.
    """

    grid: RingGrid
    share: Shares
    pads: Shares
    far: float = 0.0
    deviation: float = 0.0


@numbered(0x6E)
@dataclass(frozen=True)
class Fitting:
    """The receiver: whose spread came, whose seed, and the span once it was told."""

    names: _Names = ()
    wides: _Wides = ()
    padded: _Names = ()
    seeds: _Seeds = ()


@numbered(0x16)
@dataclass(frozen=True)
class Spanning:
    """A partner that is not the last: a secret that seeds follow from."""

    secret: Annotated[bytes, Length(_SEED)]


@numbered(0x17)
@dataclass(frozen=True)
class Summing:
    """The last partner: whose parts came, with which spans and widths; the span, once told."""

    names: _Names = ()
    spans: Annotated[
        tuple[Annotated[int, Range(-MOST_SPAN, MOST_SPAN)], ...], Length(MOST_PARTNERS)
    ] = ()
    wides: _Wides = ()
    span: Annotated[int, Range(-MOST_SPAN, MOST_SPAN)] = 0
    told: bool = False


class PartHearer(Role[Joined]):
    """The receiver.

    Args:
        context: of the session.
        partners: all, the last one at the end.
        scores: `float64[n]`, the own part of all rows' scores, centred.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Fitting, Spread): "on_spread",
        (Fitting, PadSeed): "on_pad",
    }

    def __init__(self, context: Context, partners: Sequence[str], scores: Floats) -> None:
        super().__init__(context)
        _check(partners, context.party, inside=False)
        self._partners, self._scores = tuple(partners), scores
        self._wide = wide_of(float(scores.std()))

    def begin(self) -> Turn[Joined]:
        return Turn(Fitting(), progress=0.0)

    def on_spread(self, state: Fitting, sent: Spread, peer: str) -> Turn[Joined]:
        """A partner's width; after the last one all are told how far a turn reaches."""
        if peer not in self._partners or peer in state.names:
            raise PeerError("a spread of a party that has no part in the score, or twice")
        names, wides = (*state.names, peer), (*state.wides, sent.wide)
        state = replace(state, names=names, wides=wides)
        if len(names) < len(self._partners):
            return Turn(state)
        told = Span(self._span(state))
        return Turn(state, [(name, told) for name in self._partners], progress=0.5)

    def on_pad(self, state: Fitting, sent: PadSeed, peer: str) -> Turn[Joined]:
        """A pad's seed; after the last one the own share."""
        due = len(state.names) == len(self._partners) and peer in self._partners[:-1]
        if not due or peer in state.padded:
            raise PeerError("a pad of a party that pads nothing now, or twice")
        state = replace(state, padded=(*state.padded, peer), seeds=(*state.seeds, sent.seed))
        if len(state.padded) < len(self._partners) - 1:
            return Turn(state)
        grid, rows = RingGrid(self._span(state)), len(self._scores)
        pads = np.zeros(rows, np.uint32)
        for seed in state.seeds:
            pads += _pad(self.context, seed, rows)
        share = grid.shares(within(self._scores, self._wide)) - pads
        far = float(sum(reach_of(wide) for wide in state.wides))
        return Turn(Done(), result=Joined(grid, share, pads, far), progress=1.0)

    def _span(self, state: Fitting) -> int:
        return span_of((self._wide, *state.wides))


class _Partner(Role[Joined]):
    """One of several partners: what each of them brings."""

    def __init__(
        self,
        context: Context,
        receiver: str,
        partners: Sequence[str],
        scores: Floats,
        deviation: float,
    ) -> None:
        super().__init__(context)
        _check(partners, context.party, inside=True)
        self._receiver, self._partners, self._scores = receiver, tuple(partners), scores
        self._wide, self._deviation = wide_of(deviation), deviation


class PartTeller(_Partner):
    """A partner that is not the last: its part goes to the last one under a pad.

    Args:
        context: of the session.
        receiver: its name.
        partners: all, the last one at the end.
        scores: `float64[n]`, the own part of all rows' scores.
        deviation: its standard deviation, of the rows that the model was fitted on.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {(Spanning, Span): "on_span"}

    def begin(self) -> Turn[Joined]:
        state = Spanning(self.context.random(_SEED))
        return Turn(state, [(self._receiver, Spread(self._wide))], progress=0.0)

    def on_span(self, state: Spanning, sent: Span, peer: str) -> Turn[Joined]:
        """The part under a pad of its own."""
        if peer != self._receiver:
            raise PeerError("a span that only the receiver may tell")
        grid = _held(sent.span, self._wide)
        part = grid.shares(within(self._scores, self._wide))
        text = hashlib.sha256(np.ascontiguousarray(part, "<u4").data).digest()
        seed = hashlib.blake2s(text, key=state.secret, person=b"partspad").digest()
        pad = _pad(self.context, seed, len(part))
        wide = max(self._wide, wide_of(float(self._scores.std())))
        told: list[tuple[str, Any]] = [
            (self._receiver, PadSeed(seed)),
            (self._partners[-1], Padded(sent.span, wide, part + pad)),
        ]
        none = np.zeros(0, np.uint32)
        return Turn(Done(), told, Joined(grid, none, none), 1.0)


class PartAdder(_Partner):
    """The last partner.

    Args:
        context, receiver, partners, scores, deviation: of a `PartTeller`.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Summing, Span): "on_span",
        (Summing, Padded): "on_padded",
    }

    def begin(self) -> Turn[Joined]:
        return Turn(Summing(), [(self._receiver, Spread(self._wide))], progress=0.0)

    def on_span(self, state: Summing, sent: Span, peer: str) -> Turn[Joined]:
        """How the own part is cut."""
        if peer != self._receiver or state.told:
            raise PeerError("a span that only the receiver may tell, once")
        _held(sent.span, self._wide)
        return self._summed(replace(state, span=sent.span, told=True))

    def on_padded(self, state: Summing, sent: Padded, peer: str) -> Turn[Joined]:
        """Another partner's part under a pad."""
        if peer not in self._partners[:-1] or peer in state.names:
            raise PeerError("a part of a party that has none in the score, or twice")
        if len(sent.parts) != len(self._scores):
            raise PeerError(f"{len(sent.parts)} rows told, {len(self._scores)} shared")
        self.context.store.put("padded", self._partners.index(peer), sent.parts)
        names, spans, wides = (
            (*state.names, peer),
            (*state.spans, sent.span),
            (*state.wides, sent.wide),
        )
        return self._summed(replace(state, names=names, spans=spans, wides=wides))

    def _summed(self, state: Summing) -> Turn[Joined]:
        if not state.told or len(state.names) < len(self._partners) - 1:
            return Turn(state)
        if set(state.spans) != {state.span}:
            raise PeerError("parts of another span than the receiver has told here")
        grid = RingGrid(state.span)
        share = grid.shares(within(self._scores, self._wide))
        for at in range(len(self._partners) - 1):
            share = share + self.context.store.get("padded", at)
        own = max(self._deviation, float(self._scores.std()))
        deviation = own + sum(deviation_of(wide) for wide in state.wides)
        joined = Joined(grid, share, share[:0], deviation=deviation)
        return Turn(Done(), result=joined, progress=1.0)


def _check(partners: Sequence[str], party: str, *, inside: bool) -> None:
    if len(partners) < 2 or (party in partners) != inside:
        raise MisuseError(f"{len(partners)} partners found, several needed and this party's side")


def _held(span: int, wide: int) -> RingGrid:
    """The grid of this span; raises `PeerError` where a part so wide goes beyond its turn."""
    grid = RingGrid(span)
    if not grid.holds(wide):
        raise PeerError(
            f"a turn of span {span} found, too short for this party's part of the score",
            hint="nothing of a row was told: the receiver has to fit its turn to all parts",
        )
    return grid


def _pad(context: Context, seed: bytes, rows: int) -> Shares:
    """Uniform numbers modulo 2^32."""
    drawn = hashlib.shake_256(b"score share" + context.session + seed).digest(4 * rows)
    return np.frombuffer(drawn, "<u4").astype(np.uint32)

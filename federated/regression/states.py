"""What the roles of a regression keep between two messages: all that a checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from federated.regression.descent import Descent
from federated.regression.messages import MOST_COLUMNS, MOST_RANK, Layout
from federated.regression.plan import MOST_EVALUATIONS, MOST_FOLDS, MOST_PARTNERS
from federated.sharing.kept import IndexKeys, ValueKeys
from federated.sharing.seeds import BASE
from federated.sharing.transcript import Transcript
from psi.protocol import Array, Length, PeerError, Range, message

__all__ = ["Entry", "Fitting", "Joined", "Linking", "link_of", "links", "put_link", "with_all"]

_Count = Annotated[int, Range(0, 1 << 40)]
_Products = Annotated[NDArray[np.float64], Array("float64", most=1 << 20)]
_Sums = Annotated[NDArray[np.uint64], Array("uint64", most=2 * MOST_COLUMNS * MOST_FOLDS)]
_Limits = Annotated[NDArray[np.float64], Array("float64", most=1 + MOST_FOLDS)]
_Gradients = Annotated[NDArray[np.float64], Array("float64", most=2 * MOST_COLUMNS * MOST_FOLDS)]


@dataclass(frozen=True)
class Entry:
    """What is told of one evaluation of one model; `fold` -1 for the full one.

    left: the decrement; floor: what noise makes of it at the optimum; span: of the grid.
    """

    evaluation: int
    fold: int
    left: float
    floor: float
    span: float


@message(0xE9)
@dataclass(frozen=True, kw_only=True)
class Linking:
    """Base transfers of both directions are under way; empty: not yet.

    secret, point: of the own offer; layout: the other side's trees; bits, keys, said: of the choice
    in the other side's offer; own: keys once the other side has chosen; unit: of residuals.
    """

    transcript: Transcript
    secret: Annotated[bytes, Length(32)]
    point: Annotated[bytes, Length(32)]
    unit: int
    scale: int = 0
    layout: Layout | None = None
    bits: Annotated[NDArray[np.uint8], Array("uint8", most=BASE)]
    keys: Annotated[NDArray[np.uint8], Array("uint8", width=16, most=BASE)]
    said: Annotated[bytes, Length(32 + 64 * BASE)] = b""
    own: IndexKeys | None = None


@message(0xEA)
@dataclass(frozen=True, kw_only=True)
class Fitting:
    """Trees are made and evaluations run.

    asked, corrected, turned: numbers of this party's own trees that are so far; answered, proved,
    given: of the other side's. number: of the evaluation; last: of the full model's last one, by
    now; sent, heard: its chunks. own, theirs: shares of both sides' sums
    `uint64[vectors, 1 + integers]`, flat, the sum of all residuals first. gradients: once opened,
    `float64[vectors, k]`, flat; longest: what they are off by a share of (`steps.rough`); noise:
    what own inner products have on them. models: the full one,
    then the folds'. ranges `int64[models, 2]` of the evaluation's grids; shapes of its tables, none
    yet: not told. veil: the seed of what own numbers are off by (`noise.Veil`); none without noise;
    spoilt: whether sums came that rows cannot have. At a feature party: answers, handed, passed:
    chunks of lookups that the label party answered, the party before it handed on, this one did;
    summed: whether the label party's sums came; pad: its seed, drawn by its final scores; before,
    after: those of the parties beside it, which come in any order. At the label party: told: a
    partner's inner products; limits: how far its step would go; limited: whether the latest step
    was taken; lasting: the seed of the noise that stays, drawn once the partner's trees are turned.
    """

    transcript: Transcript
    keys: IndexKeys
    peer: ValueKeys
    layout: Layout
    unit: int
    scale: int = 0
    asked: _Count = 0
    corrected: _Count = 0
    turned: _Count = 0
    answered: _Count = 0
    proved: _Count = 0
    given: _Count = 0
    started: bool = False
    curvature: float = 0.0
    score: float = 0.0
    number: Annotated[int, Range(0, 2 * MOST_EVALUATIONS)] = 0
    last: Annotated[int, Range(0, MOST_EVALUATIONS)]
    running: bool = False
    sent: _Count = 0
    answers: _Count = 0
    handed: _Count = 0
    passed: _Count = 0
    heard: _Count = 0
    summed: bool = False
    pad: Annotated[bytes, Length(32)] = b""
    before: Annotated[bytes, Length(32)] = b""
    after: Annotated[bytes, Length(32)] = b""
    limited: bool = True
    veil: Annotated[bytes, Length(32)] = b""
    lasting: Annotated[bytes, Length(32)] = b""
    limits: _Limits
    told: _Products
    own: _Sums
    theirs: _Sums
    gradients: _Gradients
    noise: _Gradients
    ranges: Annotated[NDArray[np.int64], Array("int64", width=2, most=MOST_FOLDS)]
    shapes: Annotated[tuple[Annotated[int, Range(1, MOST_RANK)], ...], Length(2 * MOST_FOLDS)] = ()
    longest: float = 0.0
    spoilt: bool = False
    models: Annotated[tuple[Descent, ...], Length(1 + MOST_FOLDS)]
    log: Annotated[tuple[Entry, ...], Length(1 << 12)] = ()


@message(0xEF)
@dataclass(frozen=True)
class Joined:
    """The label party's links to its partners, in their order: each is a state of one kind.

    What is heard by one link is heard by all, and what is the same of all is kept in each.
    """

    linking: Annotated[tuple[Linking | None, ...], Length(MOST_PARTNERS)]
    fitting: Annotated[tuple[Fitting | None, ...], Length(MOST_PARTNERS)]


def links(state: Joined) -> list[Fitting]:
    """Of all links that have their seeds."""
    return [fit for fit in state.fitting if fit is not None]


def link_of(state: Joined, at: int) -> Fitting:
    """Of one link. Raises `PeerError` before its trees."""
    fit = state.fitting[at]
    if fit is None:
        raise PeerError("a message before the link's trees")
    return fit


def put_link(state: Joined, at: int, new: Linking | Fitting) -> Joined:
    """With the state of one link; all others have heard what it has."""
    linking, fitting = list(state.linking), list(state.fitting)
    heard = new.transcript.heard
    for each in range(len(linking)):
        link, fit = linking[each], fitting[each]
        if link is not None:
            linking[each] = replace(link, transcript=replace(link.transcript, heard=heard))
        if fit is not None:
            fitting[each] = replace(fit, transcript=replace(fit.transcript, heard=heard))
    if isinstance(new, Linking):
        linking[at] = new
    else:
        linking[at], fitting[at] = None, new
    return Joined(tuple(linking), tuple(fitting))


def with_all(state: Joined, **fields: Any) -> Joined:
    """With fields that are the same of all links."""
    return replace(state, fitting=tuple(replace(fit, **fields) for fit in links(state)))

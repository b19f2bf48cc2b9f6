"""Which offer for whom, so that all together bring most under caps.

Everybody has one offer at most; each offer uses so much of each cap: a budget, a channel's places,
a list's length. The linear programme has a row a person and is large; its dual has a price a cap,
few, and given prices everybody takes the offer that is worth most after them. So the prices are
looked for: each trial gives a cut, and HiGHS finds the lowest point above all cuts (Kelley, "The
cutting-plane method for solving convex programs", J. SIAM 8, 1960). What the last prices leave over
or short, a handful of people, is given out by hand; `bound` says what no choice could exceed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from psi.protocol.errors import FedprofileError

__all__ = ["Chosen", "best_under_caps"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

_TRIALS = 400
_CLOSE = 1e-6
"""Of the total: how near the prices come to the best ones."""


@dataclass(frozen=True)
class Chosen:
    """`offer` int64[people], -1 for none; `worth` float64[people], of the best offer after prices:
    above 0 for who would have one; `prices` float64[caps]; `total`, and the `bound` of any choice.
    """

    offer: Ints
    worth: Floats
    prices: Floats
    total: float
    bound: float


def best_under_caps(value: Floats, use: Floats, caps: Floats) -> Chosen:
    """The offers that bring most.

    Args:
        value: float64[people, offers], what each brings; -inf where it cannot be made.
        use: float64[caps, people, offers], of 0 or more.
        caps: float64[caps], the most of each in all.
    """
    prices, bound = _prices(value, use, caps)
    left = value - np.tensordot(prices, use, 1)
    offer = left.argmax(axis=1)
    people = np.arange(len(value))
    worth = left[people, offer]
    offer = np.where((worth >= 0) & (value[people, offer] > 0), offer, -1)
    _keep_caps(offer, worth, use, caps)
    _fill_up(offer, value, use, caps)
    _better(offer, value, use, caps)
    held = offer >= 0
    total = float(value[people[held], offer[held]].sum())
    return Chosen(offer.astype(np.int64), worth, prices, total, max(bound, total))


def _prices(value: Floats, use: Floats, caps: Floats) -> tuple[Floats, float]:
    """A price a cap, and the lowest bound found."""
    from scipy.optimize import linprog  # a node reads job files and has no SciPy

    many, people = len(caps), np.arange(len(value))
    best, kept = np.inf, np.zeros(many)
    prices, cuts, edges = np.zeros(many), list[Floats](), list[float]()
    most = _most_prices(value, use)
    for _ in range(_TRIALS):
        left = value - np.tensordot(prices, use, 1)
        offer = left.argmax(axis=1)
        worth = np.maximum(0.0, left[people, offer])
        taken = use[:, people, offer] @ (worth > 0)
        bound = float(worth.sum() + prices @ caps)
        slope = caps - taken
        if bound < best:
            best, kept = bound, prices
        cuts.append(np.append(slope, -1.0))
        edges.append(slope @ prices - bound)
        found = linprog(
            np.append(np.zeros(many), 1.0),
            A_ub=np.array(cuts),
            b_ub=np.array(edges),
            bounds=[*((0, m) for m in most), (None, None)],
            method="highs",
        )
        if found.status != 0:
            raise FedprofileError(f"offers cannot be chosen: {found.message}")
        if best - found.fun <= _CLOSE * max(1.0, abs(best)):
            break
        prices = found.x[:-1]
    return kept, best


def _most_prices(value: Floats, use: Floats) -> Floats:
    """At these nobody takes what uses a cap."""
    finite = np.where(np.isfinite(value), value, 0.0).max(initial=0.0)
    least = np.where(use > 0, use, np.inf).min(axis=(1, 2), initial=np.inf)
    return np.where(np.isfinite(least), finite / np.minimum(least, 1e12), 0.0)


def _keep_caps(offer: Ints, worth: Floats, use: Floats, caps: Floats) -> None:
    """Takes offers back from those to whom they are worth least, while a cap is exceeded."""
    for cap, most in zip(use, caps, strict=True):
        held = np.flatnonzero(offer >= 0)
        used = cap[held, offer[held]]
        order = np.argsort(-worth[held], kind="stable")
        over = np.cumsum(used[order]) > most + 1e-9
        offer[held[order][over & (used[order] > 0)]] = -1


def _fill_up(offer: Ints, value: Floats, use: Floats, caps: Floats) -> None:
    """Gives what room is left to those whom it brings most, while it lasts."""
    for place in np.argsort(-value.max(axis=0, initial=-np.inf)):
        waiting = np.flatnonzero((offer < 0) & (value[:, place] > 0))
        held = np.flatnonzero(offer >= 0)
        room = caps - use[:, held, offer[held]].sum(axis=1)
        order = waiting[np.argsort(-value[waiting, place], kind="stable")]
        fits = np.cumsum(use[:, order, place], axis=1) <= room[:, None] + 1e-9
        offer[order[fits.all(axis=0)]] = place


def _better(offer: Ints, value: Floats, use: Floats, caps: Floats) -> None:
    """Gives those who have an offer a better one where there is room, most gain first.

    Of people who are alike, as those of one group of effects are, all take the same offer at the
    last prices, though the caps would let some have the better one.
    """
    for _ in range(value.shape[1]):
        moved = False
        for place in range(value.shape[1]):
            held = np.flatnonzero(offer >= 0)
            gain = value[held, place] - value[held, offer[held]]
            order = np.argsort(-gain, kind="stable")
            order = order[gain[order] > 0]
            room = caps - use[:, held, offer[held]].sum(axis=1)
            held = held[order]
            more = np.cumsum(use[:, held, place] - use[:, held, offer[held]], axis=1)
            fits = np.logical_and.accumulate((more <= room[:, None] + 1e-9).all(axis=0))
            offer[held[fits]] = place
            moved |= bool(fits.any())
        if not moved:
            return

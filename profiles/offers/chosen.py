"""The offers of one list: what each would cost and bring everybody, and which is made to whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.tables.column_roles import kind_of
from profiles.offers.caps import best_under_caps
from profiles.offers.spec import OfferSpec
from profiles.specs import TargetSpec
from profiles.ties import Draw
from psi.protocol.errors import InputError

__all__ = ["OFFER_COLUMNS", "Money", "Offered", "check_numbers", "offered"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

_EDGE = 1e-5
"""Of what an offer brings: how near to its price it is at the edge of a cap."""

OFFER_COLUMNS = ("offer", "offer_channel", "offer_value", "offer_cost", "offer_left", "expected")


@dataclass(frozen=True, kw_only=True)
class Money:
    """What a list's offers are about, in all and in the values' own unit.

    Sums of what lists have of each, to two decimals. `value` if they work, `cost`, `left` of both:
    the net; `expected` is chance x value - cost, None where offers go by rule; `by` says whose
    chance: "uplift" or "score". `unit` is the currency and time, "" where the job does not say it.
    """

    value: float
    cost: float
    left: float
    expected: float | None
    by: str
    offers: tuple[tuple[str, int], ...]
    unit: str = ""

    @classmethod
    def of(cls, table: pa.Table, whole: Money) -> Money:
        """What the offers of these leads of a list come to, with what else the `whole` list has."""
        made = table.filter(pc.is_valid(table.column("offer")))
        sums = [pc.sum(made.column(name)).as_py() or 0.0 for name in OFFER_COLUMNS[2:]]
        value, cost, left, expected = (round(float(one), 2) for one in sums)
        counted = made.column("offer").value_counts().to_pylist()
        counts = {one["values"]: one["counts"] for one in counted}
        return replace(
            whole,
            value=value,
            cost=cost,
            left=left,
            expected=None if whole.expected is None else expected,
            offers=tuple((offer, counts.get(offer, 0)) for offer, _ in whole.offers),
        )


@dataclass(frozen=True, kw_only=True)
class Offered:
    """`offers` of the list; `offer` int64[rows], the place in them, -1 for none.

    `value`, `cost` and `expected` float64[rows] of it, NaN for none; `would` bool[rows], who would
    have one: those held back too, by the prices of caps; `meant` int64[rows], which; `pays`
    bool[rows], whether one would be made to them if there were no caps; `by` is "rule", "uplift" or
    "score"; `unit` is the list's.
    """

    offers: tuple[OfferSpec, ...]
    offer: Ints
    value: Floats
    cost: Floats
    expected: Floats
    would: np.ndarray
    meant: Ints
    pays: np.ndarray
    by: str
    unit: str = ""

    def columns(self, rows: np.ndarray) -> dict[str, pa.Array]:
        """The list's columns, of these rows; amounts to two decimals, as pages show them: what a
        reader adds up is what sums say."""
        pick, made = self.offer[rows], self.offer[rows] >= 0
        texts = {
            "offer": [spec.name for spec in self.offers],
            "offer_channel": [spec.channel or None for spec in self.offers],
        }
        value, cost = np.round(self.value, 2), np.round(self.cost, 2)
        numbers = (value, cost, np.round(value - cost, 2), np.round(self.expected, 2))
        return {
            name: pa.array(found, pa.string()).take(pa.array(pick, mask=~made))
            for name, found in texts.items()
        } | {
            name: pa.array(found[rows], mask=np.isnan(found[rows]))
            for name, found in zip(OFFER_COLUMNS[2:], numbers, strict=True)
        }

    def names(self, rows: np.ndarray) -> pa.Array:
        """`text[rows]`: which offer each of these has, or would have."""
        meant = self.meant[rows]
        names = pa.array([spec.name for spec in self.offers], pa.string())
        return names.take(pa.array(meant, mask=meant < 0))

    def money(self, rows: np.ndarray) -> Money:
        """Of these rows together."""
        none, names = (None if self.by == "rule" else 0.0), [spec.name for spec in self.offers]
        empty = Money(
            value=0.0, cost=0.0, left=0.0, expected=none, by=self.by, unit=self.unit,
            offers=tuple((name, 0) for name in names),
        )  # fmt: skip
        return Money.of(pa.table(self.columns(rows)), empty)


def offered(
    target: TargetSpec,
    offers: Sequence[OfferSpec],
    table: pa.Table,
    score: Floats,
    could: np.ndarray,
    control: np.ndarray,
    reached: Mapping[str, np.ndarray],
    effects: Floats | None = None,
    *,
    people: pa.Array | pa.ChunkedArray,
    draw: Draw,
) -> Offered | None:
    """What is offered to whom; None where the list has no offers.

    Args:
        target: the list: how offers are chosen, its length and caps.
        offers: those of the job.
        table: of all rows, the columns that offers look at.
        score: float64[rows], the list's score: the chance where no control group has shown one.
        could: bool[rows], who may be on the list.
        control: bool[rows], who is held back.
        reached: channel to bool[rows], who may be reached by it; others reach everybody.
        effects: float64[rows], what being listed changes for each, from `shown_effects`.
        people: their names. Of those to whom an offer is worth the same the higher scores come
            first, then it is drawn: the oldest customers do not always have it.
        draw: the list's.

    Raises:
        InputError: a column that does not hold numbers.
    """
    mine = tuple(offer for offer in offers if offer.of(target.product))
    if not mine:
        return None
    shape = (table.num_rows, len(mine))
    value, cost, may = np.zeros(shape), np.zeros(shape), np.zeros(shape, bool)
    for place, offer in enumerate(mine):
        value[:, place] = offer.value + _sum(table, offer.value_of, offer)
        cost[:, place] = offer.cost + offer.share * _sum(table, offer.cost_of, offer)
        may[:, place] = _tier(table, offer) & np.isfinite(value[:, place] + cost[:, place])
        may[:, place] &= reached.get(offer.channel, True)
    may &= could[:, None]
    if target.choose == "rule":
        found = np.where(may.any(axis=1), may.argmax(axis=1), -1)
        none = np.full(shape, np.nan)
        has = found >= 0
        made = _of(mine, found, value, cost, none, would=has, meant=found, pays=has, by="rule")
        return replace(made, unit=target.unit)
    chance, by = _chances(mine, score, effects)
    ranks = np.isfinite(score)[:, None]  # a list ranks nobody else: no place is for them
    expected = np.where(may & ranks & np.isfinite(chance), chance * value - cost, -np.inf)
    pays = np.asarray((expected > 0).any(axis=1))
    order = _order(people, score, draw)
    free = order[pays[order] & ~control[order]]
    use, caps = _uses(target, mine, cost)
    chosen = best_under_caps(expected[free], use[:, free], caps)
    found = np.full(table.num_rows, -1)
    found[free] = chosen.offer
    left = expected - np.tensordot(chosen.prices, use, 1)
    would = _would(left, expected, order, found, control)
    meant = _meant(left, expected, order, found, would)
    made = _of(mine, found, value, cost, expected, would=would, meant=meant, pays=pays, by=by)
    return replace(made, unit=target.unit)


def _order(people: pa.Array | pa.ChunkedArray, score: Floats, draw: Draw) -> Ints:
    """`int64[rows]`: by score, the highest first, then as they are drawn."""
    drawn = draw.places(people)
    return np.asarray(np.lexsort((drawn, -np.nan_to_num(score, nan=-np.inf))), np.int64)


def _would(
    left: Floats, expected: Floats, order: Ints, found: Ints, control: np.ndarray
) -> np.ndarray:
    """`bool[rows]`: who has an offer, or would have it if they were not held back.

    An offer that brings just the prices of its caps is made to some: as many of those who are
    held back would have it, which are the ones that come before its last.

    Args:
        left: float64[rows, offers], what each brings after prices.
        expected: before them.
        order: int64[rows], in which ties were settled.
        found: int64[rows], the offer made, -1 for none.
    """
    rows, best = np.arange(len(left)), left.argmax(axis=1)
    worth, whole = left[rows, best], expected[rows, best]
    pays = np.isfinite(whole) & (whole > 0)
    edge = pays & (np.abs(worth) <= _EDGE * np.abs(whole))
    place = np.empty(len(order), np.int64)
    place[order] = rows
    free = edge & ~control
    made, none = place[free & (found >= 0)], place[free & (found < 0)]
    last = len(order) if not len(none) else int(made.max(initial=-1))
    return np.where(edge, place <= last, pays & (worth > 0))


def _meant(
    left: Floats, expected: Floats, order: Ints, found: Ints, would: np.ndarray
) -> np.ndarray:
    """`int64[rows]`: the offer of those who have one, or would have, -1 for the others.

    Of those held back to whom several bring the same after prices, each has that of the next of
    the listed of whom this is so too: as large a part of either has each.

    Arguments are those of `_would`, and what it gives.
    """
    rows, best = np.arange(len(left)), left.argmax(axis=1)
    meant = np.where(found >= 0, found, np.where(would, best, -1))
    whole = np.abs(expected[rows, best])
    with np.errstate(invalid="ignore"):  # nothing can be made to some
        alike = left >= (left[rows, best] - _EDGE * whole)[:, None]
    tied = np.flatnonzero((alike.sum(axis=1) > 1) & (meant >= 0))
    place = np.empty(len(order), np.int64)
    place[order] = rows
    kinds = np.unique(alike[tied], axis=0, return_inverse=True)[1].reshape(-1)
    for kind in np.unique(kinds):
        same = tied[kinds == kind]
        listed = same[found[same] >= 0]
        listed = listed[np.argsort(place[listed])]
        held = same[found[same] < 0]
        if len(listed) and len(held):
            after = np.searchsorted(place[listed], place[held])
            meant[held] = found[listed[np.minimum(after, len(listed) - 1)]]
    return meant


def _of(
    offers: tuple[OfferSpec, ...],
    found: Ints,
    value: Floats,
    cost: Floats,
    expected: Floats,
    *,
    would: np.ndarray,
    meant: np.ndarray,
    pays: np.ndarray,
    by: str,
) -> Offered:
    rows, made = np.arange(len(found)), found >= 0
    taken = (np.where(made, each[rows, found], np.nan) for each in (value, cost, expected))
    worth, costs, hoped = taken
    return Offered(
        offers=offers,
        offer=found.astype(np.int64),
        value=worth,
        cost=costs,
        expected=hoped,
        would=would,
        meant=meant.astype(np.int64),
        pays=pays,
        by=by,
    )


def _chances(
    offers: Sequence[OfferSpec], score: Floats, effects: Floats | None
) -> tuple[Floats, str]:
    """`float64[rows, offers]`: what an offer changes, or how likely the outcome is."""
    if effects is not None:
        return np.repeat(effects[:, None], len(offers), axis=1), "uplift"
    shown = [offer.uplift for offer in offers]
    if None not in shown:
        return np.broadcast_to(np.array(shown, np.float64), (len(score), len(offers))), "uplift"
    return np.repeat(score[:, None], len(offers), axis=1), "score"


def _uses(target: TargetSpec, offers: Sequence[OfferSpec], cost: Floats) -> tuple[Floats, Floats]:
    """What each offer uses of each cap: the list's length, its budget, places of channels."""
    uses, caps = [np.ones(cost.shape)], [float(target.top)]
    if target.budget is not None:
        uses, caps = [*uses, cost], [*caps, target.budget]
    for channel, places in target.channels:
        there = np.array([offer.channel == channel for offer in offers], np.float64)
        uses, caps = [*uses, np.broadcast_to(there, cost.shape)], [*caps, float(places)]
    return np.stack(uses), np.array(caps)


def _tier(table: pa.Table, offer: OfferSpec) -> np.ndarray:
    if not offer.column:
        return np.ones(table.num_rows, bool)
    found = _numbers(table, offer.column, offer)
    least = -np.inf if offer.least is None else offer.least
    return (found >= least) & (found < (np.inf if offer.below is None else offer.below))


def _sum(table: pa.Table, columns: Sequence[str], offer: OfferSpec) -> Floats:
    """NaN where one is missing: nobody is offered what cannot be worked out."""
    parts = [_numbers(table, column, offer) for column in columns]
    return np.sum(parts, axis=0) if parts else np.zeros(table.num_rows)


def check_numbers(table: pa.Table, column: str, offer: OfferSpec) -> None:
    """Raise `InputError` where a column of an offer does not hold numbers."""
    found = table.column(column)
    if kind_of(found.type) not in ("number", "nothing"):
        raise InputError(
            f"[[offer]] {offer.name!r}: {column!r} holds {found.type}, and an offer numbers",
            hint="types in tables.toml say what a column is",
        )


def _numbers(table: pa.Table, column: str, offer: OfferSpec) -> Floats:
    check_numbers(table, column, offer)
    return np.asarray(table.column(column).cast(pa.float64(), safe=False).to_numpy(), np.float64)

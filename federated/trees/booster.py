"""Second-order boosting in whole numbers, level by level, and a booster of one party's own columns.

A row's slope g and curvature h of the logistic loss are whole numbers in public units, so that sums
are exact in any order and equal to what two parties' shares add up to. A split of a node with sums
G, H into G_L, H_L and the rest gains

    D² T / (L (T - L)) - G² / (H + λ) + G² / T,    L = H_L + λ, T = H + 2 λ, D = G_L - G L / T

which is XGBoost's gain; in this form all that G_L and H_L change is the first term.

Source: T. Chen, C. Guestrin, "XGBoost", 2016, equation 7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from federated.trees.forest import OWN, Forest, Tree
from federated.trees.layout import Layout
from federated.trees.plan import CURVATURE_BITS, SLOPE_BITS, TreesPlan
from psi.protocol import MisuseError

__all__ = [
    "Best",
    "Growing",
    "base_score",
    "grow_alone",
    "histograms",
    "log_loss",
    "own_best",
    "own_gain",
    "right_of",
    "slopes",
]

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Bins = NDArray[np.uint16]
Ways = NDArray[np.int8]
Sums = tuple[Whole, ...]

NOWHERE = -1
_NOTHING = 1e-6
"""A gain that is rounding."""


@dataclass(frozen=True)
class Best:
    """Of each node its best own split: gain `float64[nodes]`, `candidate: int64[nodes]`.

    -1 and the plan's `least_gain` where none gains more.
    """

    gain: Floats
    candidate: Whole


def slopes(margin: Floats, y: NDArray[np.int8], used: NDArray[np.bool_]) -> tuple[Whole, Whole]:
    """g and h of each row in units of 2^-8 and 2^-10, `int64[n]`; 0 in rows that are not used.

    A curvature is one unit at least, so that a bound on g²/h holds.
    """
    p = 1.0 / (1.0 + np.exp(-margin))
    g = np.rint((p - y) * 2.0**SLOPE_BITS).astype(np.int64)
    h = np.maximum(1, np.rint(p * (1.0 - p) * 2.0**CURVATURE_BITS).astype(np.int64))
    return np.where(used, g, 0), np.where(used, h, 0)


def base_score(y: NDArray[np.int8], used: NDArray[np.bool_]) -> float:
    """The log odds of the training rows."""
    mean = float(np.clip(y[used].mean(), 1e-6, 1 - 1e-6))
    return float(np.log(mean / (1.0 - mean)))


def log_loss(margin: Floats, y: NDArray[np.int8], rows: NDArray[np.bool_]) -> float:
    """The mean loss over some rows."""
    signed = np.where(y[rows] == 1, -margin[rows], margin[rows])
    return float(np.logaddexp(0.0, signed).mean())


class Growing:
    """One tree while it grows: `slot: int64[n]`, each row's node of the level, -1 in a leaf.

    ways: of own candidates, see `Layout.ways`.
    way: `int8[places]`, of the split that stands there: 1 where scores may not fall from its left
        side to its right, -1 where they may not rise, else 0.
    places: of each of the level's 2^level nodes its place in the tree, -1 where there is none any
    more: a node that is not split goes on as one without rows, so that every level has all nodes.
    """

    def __init__(self, plan: TreesPlan, rows: int, ways: Ways | None = None) -> None:
        self._plan, self.ways = plan, ways
        self.tree = Tree.empty(plan.depth)
        self.way = np.zeros(len(self.tree.kind), np.int8)
        self.slot = np.zeros(rows, np.int64)
        self.at = np.zeros(rows, np.int64)
        self.places: Whole = np.zeros(1, np.int64)

    @property
    def alive(self) -> NDArray[np.bool_]:
        """`bool[nodes]`."""
        return self.places >= 0

    def totals(self, *weights: Whole) -> tuple[Whole, ...]:
        """Of rows' g and h, and what else there is, the sums of each node, `int64[nodes]`."""
        live = self.slot >= 0
        slot, nodes = self.slot[live], len(self.places)
        return tuple(_added(slot, each[live], nodes) for each in weights)

    def split(
        self,
        kind: NDArray[np.int8],
        split: Whole,
        gain: Floats,
        right: NDArray[np.bool_],
        swap: NDArray[np.bool_] | None = None,
        rising: NDArray[np.bool_] | None = None,
    ) -> None:
        """Take a split in each node whose `kind` is not `LEAF`, and go a level down.

        Args:
            kind, split, gain: of each node, as in `Tree`.
            right: `bool[n]`, whether a row goes right in its node.
            swap: `bool[nodes]`, where the right child stands first on the next level.
            rising: `bool[nodes]`, where a partner's split has a way; its right side is the upper.
        """
        nodes = len(self.places)
        turned = np.zeros(nodes, np.bool_) if swap is None else swap
        done = (kind > 0) & self.alive
        places = self.places[done]
        self.tree.kind[places], self.tree.split[places] = kind[done], split[done]
        self.tree.gain[places] = gain[done]
        way = np.zeros(nodes, np.int8) if rising is None else rising.astype(np.int8)
        if self.ways is not None:
            own = kind == OWN
            way[own] = self.ways[split[own]]
        self.way[places] = way[done]
        below = np.full((nodes, 2), NOWHERE, np.int64)
        below[done, turned[done].astype(int)] = 2 * places + 1
        below[done, 1 - turned[done].astype(int)] = 2 * places + 2
        moved = (self.slot >= 0) & done[self.slot]
        rows, to = self.slot[moved], right[moved]
        self.at[moved] = 2 * self.places[rows] + 1 + to
        new = np.full_like(self.slot, NOWHERE)
        new[moved] = 2 * rows + (to ^ turned[rows])
        self.slot, self.places = new, below.reshape(-1)

    def finish(
        self, g: Whole, h: Whole, blur: Callable[[Sums], Sums] | None = None, noise: float = 0.0
    ) -> Floats:
        """Set the values of all places; each row's `float64[n]`.

        Args:
            g, h: of the rows.
            blur: what adds noise to the sums of places.
            noise: its variance in rows' slopes: values are smaller where it is much of a sum.
        """
        plan, size = self._plan, len(self.tree.value)
        sums = np.stack([_added(self.at, each, size) for each in (g, h)])
        if blur is not None:
            sums = np.where(sums[1] > 0, np.stack(blur((sums[0], sums[1]))), 0)
        for place in range(size - 1, 0, -1):  # from the leaves up
            sums[:, (place - 1) // 2] += sums[:, place]
        slope, curvature = sums[0] * 2.0**-SLOPE_BITS, sums[1] * 2.0**-CURVATURE_BITS
        known = curvature > 0
        value = np.zeros(size)
        value[known] = -slope[known] / (curvature[known] + plan.penalty)
        if noise:
            chance = curvature + 0.25 * curvature**2
            value *= chance / (chance + noise)
        self.tree.value[:] = plan.rate * self._held(value)
        return np.asarray(self.tree.value[self.at])

    def _held(self, value: Floats) -> Floats:
        """Values within the bounds that splits on their path set, whose columns have a way to go.

        The children of such a split may go up to the middle of their values, from either side, and
        so all places below: no later split takes a column's way back.
        """
        if not self.way.any():
            return value
        low, high = np.full(len(value), -np.inf), np.full(len(value), np.inf)
        found = value.copy()
        for place in range(len(value)):  # parents come before their children
            found[place] = np.clip(found[place], low[place], high[place])
            if not self.tree.kind[place]:
                continue
            pair = [2 * place + 1, 2 * place + 2]
            low[pair], high[pair] = low[place], high[place]
            way = int(self.way[place])
            if way:
                middle = float(np.clip(value[pair], low[place], high[place]).mean())
                high[pair[way < 0]], low[pair[way > 0]] = middle, middle
        return found


def histograms(bins: Sequence[Bins], layout: Layout, growing: Growing, *lanes: Whole) -> Whole:
    """G_L and H_L of every own candidate in every node: `int64[candidates, nodes, lanes]`.

    lanes: g and h of rows, and what else is to be summed.
    """
    nodes, live = len(growing.places), np.flatnonzero(growing.slot >= 0)
    slot, weights = growing.slot[live], [each[live].astype(float) for each in lanes]
    cells = []
    for column, own in zip(layout.columns, bins, strict=True):
        key = own[live].astype(np.int64) * nodes + slot
        sums = [np.bincount(key, weight, column.cells * nodes) for weight in weights]
        cells.append(np.stack(sums, axis=1).astype(np.int64).reshape(column.cells, -1))
    return layout.sums(cells).reshape(-1, nodes, len(lanes)).astype(np.int64)


def own_best(
    plan: TreesPlan, left: Whole, totals: Sequence[Whole], ways: Ways | None = None
) -> Best:
    """The best own split of each node, from `histograms` and the nodes' sums of the same lanes.

    Candidates with a way to go in `ways`, see `Layout.ways`, count only where they take it.
    """
    g_left = left[..., 0] * 2.0**-SLOPE_BITS
    h_left = left[..., 1] * 2.0**-CURVATURE_BITS
    g, h = totals[0] * 2.0**-SLOPE_BITS, totals[1] * 2.0**-CURVATURE_BITS
    total, one = h + 2.0 * plan.penalty, h_left + plan.penalty
    apart = g_left - g * one / total  # above 0 where the right side has the higher value
    term = apart**2 * total / (one * (total - one))
    gain = term - g * g / (h + plan.penalty) + g * g / total
    light = np.minimum(h_left, h - h_left) < plan.least_weight
    light |= np.minimum(left[..., 1], totals[1] - left[..., 1]) <= 0
    if plan.least_rows:
        light |= np.minimum(left[..., 2], totals[2] - left[..., 2]) < plan.least_rows
    if ways is not None:
        light |= apart * ways[:, None] < 0
    least = np.full((1, len(g)), plan.least_gain + _NOTHING)
    gain = np.vstack([least, np.where(light, -np.inf, gain)])
    first = gain.argmax(axis=0)
    best = gain[first, np.arange(len(g))]
    return Best(np.where(first, best, plan.least_gain), first - 1)


def right_of(
    bins: Sequence[Bins], layout: Layout, growing: Growing, candidate: Whole
) -> NDArray[np.bool_]:
    """`bool[n]`: which rows go right by the own splits of their nodes, -1 for none."""
    right = np.zeros(len(growing.slot), np.bool_)
    for node in np.flatnonzero(candidate >= 0):
        rows = np.flatnonzero(growing.slot == node)
        column, left = layout.split(int(candidate[node]))
        right[rows] = ~left[bins[column][rows]]
    return right


def grow_alone(
    bins: Sequence[Bins],
    layout: Layout,
    y: NDArray[np.int8],
    plan: TreesPlan,
    *,
    used: NDArray[np.bool_] | None = None,
    drawn: Sequence[NDArray[np.bool_]] = (),
    ways: Sequence[int] = (),
) -> tuple[Forest, Floats]:
    """Boosted trees of one party's own columns, and every row's score `float64[n]`.

    Args:
        bins: of each column `uint16[n]`.
        layout: of these columns.
        y: `int8[n]`, 1, 0, and -1 for no label: these rows are only scored.
        plan: rows, trees and how they grow; patience and subsample need `drawn`.
        used: `bool[n]`, the rows that trees grow on; None: all with a label.
        drawn: of each tree the rows it takes, where the plan has a `subsample`.
        ways: of each column 1 where scores may only rise with it, -1 where they may only fall;
            empty: none has a way.

    Raises:
        MisuseError: columns of different lengths, more rows than planned, no label.
    """
    rows = len(y)
    mask = (y >= 0) if used is None else used & (y >= 0)
    if rows > plan.rows or any(len(own) != rows for own in bins) or not mask.any():
        raise MisuseError(f"{rows} rows of columns that do not fit, {plan.rows} planned")
    base = base_score(y, mask)
    margin, trees, going = np.full(rows, base), [], layout.ways(ways)
    for number in range(plan.trees):
        rows_of = mask & drawn[number] if drawn else mask
        g, h = slopes(margin, y, rows_of)
        lanes = (g, h, rows_of.astype(np.int64)) if plan.least_rows else (g, h)
        growing = Growing(plan, rows, going)
        for _ in range(plan.depth):
            own_level(plan, bins, layout, growing, *lanes)
        margin = margin + growing.finish(g, h)
        trees.append(growing.tree)
    return Forest(base, tuple(trees), layout), margin


def own_level(
    plan: TreesPlan,
    bins: Sequence[Bins],
    layout: Layout,
    growing: Growing,
    *lanes: Whole,
) -> None:
    """Take the best own split in each node, and go a level down. lanes: as of `histograms`."""
    left = histograms(bins, layout, growing, *lanes)
    best = own_best(plan, left, growing.totals(*lanes), growing.ways)
    right = right_of(bins, layout, growing, best.candidate)
    kind = np.where(best.candidate >= 0, OWN, 0).astype(np.int8)
    growing.split(kind, best.candidate, best.gain, right)


def _added(key: Whole, numbers: Whole, size: int) -> Whole:
    """Sums by key; exact, for they stay below 2^53."""
    return np.bincount(key, numbers.astype(float), size).astype(np.int64)


def own_gain(
    plan: TreesPlan, growing: Growing, right: NDArray[np.bool_], g: Whole, h: Whole
) -> Floats:
    """What splitting each node by `right: bool[n]` gains, `float64[nodes]`."""
    left = (growing.slot >= 0) & ~right
    nodes = len(growing.places)
    sums = np.stack([_added(growing.slot[left], each[left], nodes) for each in (g, h)], axis=-1)
    free = replace(plan, least_weight=0.0, least_gain=0.0, least_rows=0)
    return own_best(free, sums[None], growing.totals(g, h)).gain

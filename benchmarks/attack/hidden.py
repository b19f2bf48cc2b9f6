"""What trees that tell no side tell each party: rows of the partner's, and labels.

`rows`: the receiver has each row's score in steps, its own splits, and the leaves' values. The
insider knows besides every tuple of the partner's columns with its frequency, and the partner's
splits exactly, node by node, which no party is told: so it has each tuple's score beside a row's
own columns. It takes the most frequent tuple whose score lies in the step that was told.
`labels`: the partner sees which of its splits won which node, as of private trees.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.attack.data import Ints, Joined, bound, joined
from benchmarks.attack.finding import Finding, Scale
from benchmarks.attack.insider import TRIED
from benchmarks.attack.trees import Won, inferred_labels
from federated.hidden_trees import (
    HiddenFeature,
    HiddenFeatureParty,
    HiddenLabel,
    HiddenLabelParty,
    HiddenPlan,
    party,
)
from federated.hidden_trees.plan import FEWEST_ROWS, TOLD_REACH, VALUE_BITS, score_step
from federated.trees.binning import Binning
from federated.trees.layout import Layout
from federated.trees.results import PartnerSplit
from psi.protocol import Context, Pair

__all__ = ["labels", "rows"]

Bins = list[NDArray[np.uint16]]
Sides = list[NDArray[np.bool_] | None]
FINEST = 10
PROTOCOL = "trees that tell nothing, one partner"


@dataclass(frozen=True, repr=False)
class _Both:
    """One training: both results, both parties' bins of rows, and their candidates."""

    label: HiddenLabel
    feature: HiddenFeature
    bins: tuple[Bins, Bins]
    layouts: tuple[Layout, Layout]


def rows(scale: Scale) -> Iterator[Finding]:
    """The receiver as an insider, at the bits of a score that a job tells by default, and ten."""
    for name in scale.sets:
        found = joined(bound(name))
        some = _some(found, scale, np.ones(len(found.label), np.bool_))
        if not len(some):
            continue
        for bits in (5, FINEST):
            figure = _decoded(name, found, some, bits)
            yield Finding(
                attack="",
                protocol=PROTOCOL,
                data=f"{name}, {len(some):,} rows",
                who="receiver, semi-honest",
                what=f"whole rows of the partner recovered, by an insider; score_bits = {bits}",
                figure=figure,
                baseline=found.mode,
                bar=0.05 if bits == 5 else None,
                more={"bits_told": bits, "bits_held": found.entropy},
            )


def labels(scale: Scale) -> Iterator[Finding]:
    """A semi-honest partner with some known labels, from all that it sees."""
    for name in scale.sets:
        found = joined(bound(name))
        some = _some(found, scale, found.label >= 0)
        if not len(some):
            continue

        def fit(name: str = name, found: Joined = found, some: Ints = some) -> Won:
            return _won(_grown(name, found, some, 5))

        yield from inferred_labels(PROTOCOL, name, found, some, fit, scale)


def _won(both: _Both) -> Won:
    """The partner's splits, and the level of each by its node's number."""
    tree, node = np.nonzero(both.feature.splits >= 0)
    found = [both.layouts[1].split(int(number)) for number in both.feature.splits[tree, node]]
    depth = both.feature.splits.shape[1].bit_length()
    level = np.floor(np.log2(node + 1)).astype(np.int64)
    splits = tuple(PartnerSplit(column, left) for column, left in found)
    return Won(splits, both.bins[1], tree * depth + level)


def _some(found: Joined, scale: Scale, allowed: NDArray[np.bool_]) -> Ints:
    """Which rows are trained on; none where such a job is refused."""
    some = np.flatnonzero(allowed)
    if scale.rows and scale.rows < len(some):
        some = np.sort(np.random.default_rng(0).permutation(some)[: scale.rows])
    return some if len(some) >= FEWEST_ROWS or scale.name == "tiny" else some[:0]


def _grown(name: str, found: Joined, some: Ints, bits: int) -> _Both:
    tables = bound(name).take(some)
    own, partner = tables.features
    label = found.label[some]
    mine, theirs = Binning.fit(tables.own, own, label >= 0), Binning.fit(tables.partner, partner)
    plan = HiddenPlan(rows=len(some), trees=20, score_bits=bits)
    a, b = mine.transform(tables.own), theirs.transform(tables.partner)
    session = secrets.token_bytes(32)

    def context(who: str) -> Context:
        return Context(session, "train/t", who, secrets.token_bytes)

    with ExitStack() as stack:
        if len(some) < FEWEST_ROWS:  # a tiny run of the suite
            stack.enter_context(patch.object(party, "FEWEST_ROWS", 64))
        results = Pair(
            HiddenLabelParty(context("bank"), "partner", a, mine.layout, label, plan=plan),
            HiddenFeatureParty(context("partner"), "bank", b, theirs.layout, plan=plan),
        ).run()
    layouts = mine.layout, theirs.layout
    return _Both(results["bank"], results["partner"], (list(a), list(b)), layouts)


def _decoded(name: str, found: Joined, some: Ints, bits: int) -> float:
    both = _grown(name, found, some, bits)
    a, b = both.bins
    tried = np.random.default_rng(0).permutation(len(some))[:TRIED]
    _, which, counts = found.tuples
    tuples, example = np.unique(which[some], return_index=True)
    sides = (a, both.layouts[0], tried), (b, both.layouts[1], example)
    score = _scores(both.label, both.feature, *sides)
    half = score_step(bits) / 2 * 1.001
    told = (both.label.margin[tried] - both.label.base)[:, None]
    last = told > TOLD_REACH - 3 * half, told <= half - TOLD_REACH  # steps without an end
    near = ((score - told <= half) | last[0]) & ((told - score <= half) | last[1])
    guess = tuples[np.where(near, counts[tuples][None, :], 0).argmax(axis=1)]
    return float((guess == which[some][tried]).mean())


def _scores(
    label: HiddenLabel,
    feature: HiddenFeature,
    own: tuple[Bins, Layout, Ints],
    other: tuple[Bins, Layout, Ints],
) -> NDArray[np.float32]:
    """Of each tried row, beside each tuple's columns, what the trees add: `[rows, tuples]`."""
    (a, layout, tried), (b, theirs_layout, example) = own, other
    total = np.zeros((len(tried), len(example)), np.float32)
    trees = zip(label.splits, feature.splits, label.values * 2.0**-VALUE_BITS, strict=True)
    for candidates, others, values in trees:
        mine: Sides = []
        theirs: Sides = []
        for candidate, split in zip(candidates, others, strict=True):
            if candidate >= 0:
                column, left = layout.split(int(candidate))
                mine.append(~left[a[column][tried]])
                theirs.append(None)
            else:
                column, left = theirs_layout.split(int(split))
                mine.append(None)
                theirs.append(~left[b[column][example]])
        first, second = _inside(mine, len(tried)), _inside(theirs, len(example))
        total += (first * values[:, None]).astype(np.float32).T @ second.astype(np.float32)
    return total


def _inside(sides: Sides, rows: int) -> NDArray[np.bool_]:
    """Which leaves rows may be in by one party's splits, level by level: `bool[leaves, n]`."""
    found, at = np.ones((1, rows), np.bool_), 0
    while at < len(sides):
        below: list[NDArray[np.bool_]] = []
        for place, inside in enumerate(found):
            right = sides[at + place]
            below += [inside, inside] if right is None else [inside & ~right, inside & right]
        at += len(found)
        found = np.array(below)
    return found

"""What boosted trees tell each side, by the product's own roles over aligned rows.

The feature party sees its winning splits, on which level of which tree each won, and how many
nodes it won there. `labels`: it knows 50 labels and infers the others; its baseline is what it
keeps whatever happens between, its own columns and its part of the model. The label party sees
of each told level one bit of each row, and the ends of its rows. `rows`: an insider who knows every
tuple of the partner's columns with its frequency, and the partner's splits exactly, takes the most
frequent tuple that agrees with all bits of a row. `aimed`: a partner that lies has bins of one row,
and adds the same to its own shares of all of them, so that a row with a label of 1 wins.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.attack.data import Floats, Ints, Joined, bound, joined
from benchmarks.attack.finding import Finding, Scale
from benchmarks.attack.insider import TRIED
from benchmarks.attack.labels import BAR, KNOWN, MANY, PENALTIES, known_rows, learned
from federated.evaluation import auc
from federated.releases.budget import allowed_bits
from federated.releases.limits import ReleaseLimits
from federated.trees import FeatureParty, LabelParty, TreesPlan
from federated.trees.binning import Binning
from federated.trees.forest import PARTNER
from federated.trees.layout import Column, Layout
from federated.trees.plan import CURVATURE_BITS, MANY_ROWS, SLOPE_BITS
from federated.trees.results import LabelTrees, PartnerSplit
from psi.protocol import Context, Pair

__all__ = ["Grown", "Won", "aimed", "grown", "inferred_labels", "labels", "rows"]

PROTOCOL = "trees, one partner"
# bits of a row where nothing bounds them
FREE = 1000
WHOLE_ROWS = 0.05
# rows alone in a bin, of each of two columns
ALONE = 31
# trainings that labels are inferred from, by as many draws of known labels as there are seeds
TRAININGS = 3


@dataclass(frozen=True, repr=False)
class Won:
    """What a partner sees of a training: its splits that won.

    splits: tree by tree; bins: of each of its columns `uint16[n]`; levels: of each split, of all
    trees.
    """

    splits: tuple[PartnerSplit, ...]
    bins: list[NDArray[np.uint16]]
    levels: NDArray[np.int64]

    def sides(self) -> NDArray[np.bool_]:
        """`bool[n, splits]`: whether a row goes right."""
        return np.column_stack([~s.left[self.bins[s.column]] for s in self.splits])


@dataclass(frozen=True, repr=False)
class Grown:
    """One training: the label party's result, and what the partner saw."""

    label: LabelTrees
    won: Won


def grown(name: str, found: Joined, rows: NDArray[np.int64], *, row_bits: int, trees: int) -> Grown:
    """A training over these rows at a job's defaults but for `row_bits` and `trees`.

    Raises what a role raises.
    """
    tables = bound(name).take(rows)
    own, partner = tables.features
    label = found.label[rows]
    mine = Binning.fit(tables.own, own, label >= 0)
    theirs = Binning.fit(tables.partner, partner)
    plan = TreesPlan(rows=len(rows), trees=trees, row_bits=row_bits)
    session, seen = secrets.token_bytes(32), []
    decide = FeatureParty.finder.decide

    def watched(self: Any, level: Any, sent: Any) -> Any:
        told = decide(self, level, sent)
        seen.extend([level.number] * int((told[1] >= 0).sum()))
        return told

    def context(party: str) -> Context:
        return Context(session, "train/t", party, secrets.token_bytes)

    bins = theirs.transform(tables.partner)
    with patch.object(FeatureParty.finder, "decide", watched):
        results = Pair(
            LabelParty(
                context("bank"), ["partner"], mine.transform(tables.own), mine.layout, label,
                plan=plan,
            ),
            FeatureParty(context("partner"), "bank", bins, theirs.layout, plan=plan),
        ).run()  # fmt: skip
    won = Won(results["partner"].splits, list(bins), np.array(seen, np.int64))
    return Grown(results["bank"], won)


def labels(scale: Scale) -> Iterator[Finding]:
    """A semi-honest partner with some known labels, from all that it sees."""
    for name in scale.sets:
        found, rows = _sample(name, scale, labelled=True)

        def fit(name: str = name, found: Joined = found, rows: Ints = rows) -> Won:
            return grown(name, found, rows, row_bits=FREE, trees=20).won

        yield from inferred_labels(PROTOCOL, name, found, rows, fit, scale)


def inferred_labels(
    protocol: str, name: str, found: Joined, rows: Ints, fit: Callable[[], Won], scale: Scale
) -> Iterator[Finding]:
    """What the partner infers of labels, over trainings and draws of what it knows before."""
    many, pairs = min(scale.seeds, TRAININGS), []
    fits = [fit() for _ in range(many)]
    for seed in range(scale.seeds):
        rng = np.random.default_rng(seed)
        pairs.append(_inferred(found.partner[rows], found.label[rows], fits[seed % many], rng))
    base, all_of_it = (np.array(column) for column in zip(*pairs, strict=True))
    yield Finding(
        attack="",
        protocol=protocol,
        data=f"{name}, {len(rows):,} rows",
        who="partner, semi-honest",
        what=f"AUC of labels it does not know, with {KNOWN} known: all it sees beyond its own "
        "columns and its part of the model",
        figure=float(all_of_it.mean()),
        baseline=float(base.mean()),
        bar=BAR if len(rows) >= MANY else None,
        more={
            "seeds": len(pairs),
            "trainings": many,
            "largest_above": float((all_of_it - base).max()),
        },
    )


def _inferred(
    x: Floats, y: NDArray[np.int8], fit: Won, rng: np.random.Generator
) -> tuple[float, float]:
    known = known_rows(y, rng)
    rest = np.ones(len(y), np.bool_)
    rest[known] = False

    def best(rules: list[Floats]) -> float:
        return max(auc(y[rest], rule[rest]) for rule in rules)

    sides = fit.sides().astype(np.float64)
    both = np.column_stack([x, sides])
    base = [learned(each, y, known, np.full(each.shape[1], p))
            for each in (x, sides, both) for p in PENALTIES]  # fmt: skip
    # a split goes the way in which the known labels go; its part of the model has them in order
    lean = np.sign((y[known] - y[known].mean()) @ (sides[known] - sides[known].mean(axis=0)))
    base += [sides @ (lean * fade ** np.arange(len(lean))) for fade in (1.0, 0.99, 0.97)]
    # when a split won: early ones move more, those of a tree's first level all rows
    tree, depth = np.divmod(fit.levels, TreesPlan(rows=1, trees=1, row_bits=0).depth)
    more = []
    for fade in (0.7, 0.9):
        for spread in (0.5, 1.0):
            weighed = sides * fade**tree * spread**depth
            wide = np.column_stack([x, weighed])
            more += [learned(wide, y, known, np.full(wide.shape[1], p)) for p in PENALTIES]
            more.append(weighed @ lean)
    return best(base), best([*base, *more])


def rows(scale: Scale) -> Iterator[Finding]:
    """The receiver as an insider: at what a new node lets a training tell, and without a bound."""
    for name in scale.sets:
        found, some = _sample(name, scale)
        limits = ReleaseLimits()
        allowed = int(allowed_bits(limits, found.entropy) / 1e6)
        for bits, asked in ((allowed, f"row_bits = {allowed}, a new node's most"),
                            (FREE, "no bound on the bits of a row")):  # fmt: skip
            fit = grown(name, found, some, row_bits=bits, trees=20)
            (told,) = fit.label.told_levels
            yield Finding(
                attack="",
                protocol=PROTOCOL,
                data=f"{name}, {len(some):,} rows",
                who="receiver, semi-honest",
                what=f"whole rows of the partner recovered, by an insider; {asked}",
                figure=_decoded(found, some, fit),
                baseline=found.mode,
                bar=WHOLE_ROWS if bits == allowed else None,
                more={"bits_told": told, "bits_held": found.entropy,
                      "partner_splits": len(fit.won.splits)},
            )  # fmt: skip


def aimed(scale: Scale) -> Iterator[Finding]:
    """Rows that win by themselves: how many of them have a label of 1."""
    for name in scale.sets:
        found = joined(bound(name))
        for most in (len(found.label), MANY_ROWS - 1):
            if most > len(found.label):
                continue
            some = np.random.default_rng(1).permutation(np.flatnonzero(found.label >= 0))[:most]
            equal = [np.flatnonzero(found.label[some] == value)[:ALONE] for value in (0, 1)]
            first = np.stack(equal, axis=1).reshape(-1)  # as many of both classes are aimed at
            some = np.concatenate([some[first], np.delete(some, first)])
            y = found.label[some]
            won = _won(name, some, y)
            noise = TreesPlan(rows=len(some), trees=1, row_bits=0).noise
            yield Finding(
                attack="",
                protocol=PROTOCOL,
                data=f"{name}, {len(some):,} rows",
                who="partner, lies: bins of one record",
                what="labels of 1 among records that won, a tree each, of equal classes; "
                f"noise {noise:g}",
                figure=float(y[won].mean()),
                baseline=float(y[: 2 * ALONE].mean()),
                more={"won": len(won), "noise": noise},
            )
            if len(found.label) < MANY_ROWS:
                break


def _won(name: str, some: NDArray[np.int64], y: NDArray[np.int8]) -> list[int]:
    """The rows, of the first in `some`, that a partner's bins of one row each let win."""
    tables, rows = bound(name).take(some), len(some)
    mine = Binning.fit(tables.own, tables.features[0])
    bins = [np.full(rows, ALONE, np.uint16) for _ in range(2)]
    for number, own in enumerate(bins):
        own[ALONE * number : ALONE * (number + 1)] = np.arange(ALONE)
    won: list[int] = []

    class Liar(FeatureParty):
        @property
        def _kept(self) -> Any:
            kept = np.ones(2 * (ALONE + 1), np.bool_)
            kept[[ALONE, 2 * ALONE + 1, *won]] = False
            return kept

        @staticmethod
        def _candidates(layout: Any, cells: Any) -> Any:
            g, h = FeatureParty._candidates(layout, cells)
            much = max(60, rows // 20)
            return g - np.uint32(much << SLOPE_BITS), h + np.uint32(much << CURVATURE_BITS)

        def on_split_circuit(self, state: Any, sent: Any, peer: str) -> Any:
            numbers = self._finder(state).decide(self._now(state), sent)[1]
            won.extend(int(number) for number in numbers if number >= 0)
            return super().on_split_circuit(state, sent, peer)

    plan, session = TreesPlan(rows=rows, trees=20, depth=1, row_bits=FREE), secrets.token_bytes(32)
    bank, partner = (
        Context(session, "train/t", party, secrets.token_bytes) for party in ("bank", "partner")
    )
    layout = Layout((Column(ALONE + 1, False, False),) * 2)
    Pair(
        LabelParty(bank, ["partner"], mine.transform(tables.own), mine.layout, y, plan=plan),
        Liar(partner, "bank", bins, layout, plan=plan),
    ).run()
    return [number - (number > ALONE) for number in won]


def _decoded(found: Joined, some: NDArray[np.int64], fit: Grown) -> float:
    """Share of rows whose tuple is the most frequent one that agrees with all bits of the row."""
    first, which, counts = found.tuples
    own = np.unique(which[some])
    place = {int(row): at for at, row in enumerate(some)}
    sides, n = fit.won.sides(), len(some)
    # of each tuple a row that has it, among those trained on
    example = np.array([place.get(int(first[t]), -1) for t in own])
    for at in np.flatnonzero(example < 0):
        example[at] = np.flatnonzero(which[some] == own[at])[0]
    tried = np.random.default_rng(0).permutation(n)[:TRIED]
    met, right = _path(fit, tried, sides.shape[1])
    tuples = sides[example].astype(np.float32)
    met32, right32 = met.astype(np.float32), (met & right).astype(np.float32)
    wrong = (met32 - right32) @ tuples.T + right32 @ (1 - tuples.T)
    chance = np.where(wrong < 0.5, counts[own][None, :], 0)
    guess = own[chance.argmax(axis=1)]
    return float((guess == which[some][tried]).mean())


def _path(
    fit: Grown, tried: NDArray[np.int64], splits: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of the partner's splits stand on each row's path, and whether it goes right there."""
    met = np.zeros((len(tried), splits), np.bool_)
    right = np.zeros_like(met)
    for tree, ends in zip(fit.label.forest.trees, fit.label.places, strict=True):
        at = ends[tried].astype(np.int64)
        while at.any():
            above, to_right = (at - 1) // 2, at % 2 == 0
            on = np.flatnonzero((at > 0) & (tree.kind[np.maximum(above, 0)] == PARTNER))
            met[on, tree.split[above[on]]] = True
            right[on, tree.split[above[on]]] = to_right[on]
            at = np.where(at > 0, above, 0)
    return met, right


def _sample(name: str, scale: Scale, *, labelled: bool = False) -> tuple[Joined, NDArray[np.int64]]:
    found = joined(bound(name))
    some = np.flatnonzero(found.label >= 0) if labelled else np.arange(len(found.label))
    if scale.rows and scale.rows < len(some):
        some = np.sort(np.random.default_rng(0).permutation(some)[: scale.rows])
    return found, some

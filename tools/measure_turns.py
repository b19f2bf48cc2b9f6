"""How several partners of boosted trees take turns, in plain numbers: AUC and levels that tell.

    FEDPROFILE_DATA=... python tools/measure_turns.py bank|credit [--partners 2] [--row-bits 5]

Tables and splits of the rows as in `measure_trees.py`, the feature party's columns dealt to so many
partners. `open` asks all partners on each level, one after the other, each against the best so far:
the joint winner of each node, whose loser has told a bit for nothing. `tree` and `level` ask one
partner a tree, or a level. No cryptography and no noise: what is compared is who is asked.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from measure_trees import bank, credit
from numpy.typing import NDArray

from federated.evaluation import auc
from federated.trees import Binning, Layout, TreesPlan
from federated.trees.booster import Growing, base_score, histograms, own_best, right_of, slopes
from federated.trees.forest import OWN

WAYS = ("open", "tree", "level")


@dataclass
class Party:
    """A party's columns; told: levels on which it has told a bit of each row."""

    bins: list[NDArray[np.uint16]]
    layout: Layout
    told: int = field(default=0)


def main() -> None:
    """A line a split of the rows and way, then each way's difference from the first."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    given.add_argument("table", choices=("bank", "credit"))
    for name, default in (("partners", 2), ("splits", 10), ("trees", 20), ("row-bits", 1000)):
        given.add_argument(f"--{name}", type=int, default=default)
    asked = given.parse_args()
    table, label, theirs = {"bank": bank, "credit": credit}[asked.table]()
    own = [name for name in table.column_names if name not in theirs]
    dealt = [own, *(theirs[at :: asked.partners] for at in range(asked.partners))]
    binnings = [Binning.fit(table, names) for names in dealt]
    columns = [(binning.transform(table), binning.layout) for binning in binnings]
    y, found = label.astype(np.int8), np.zeros((asked.splits, len(WAYS)))
    for split in range(asked.splits):
        order = np.random.default_rng(42 + split).permutation(len(y))
        held, used = order[: len(y) // 5], np.ones(len(y), np.bool_)
        used[held] = False
        for at, way in enumerate(WAYS):
            parties = [Party(*each) for each in columns]
            margin = grown(way, parties, y, used, asked)
            found[split, at] = auc(y[held], margin[held])
            told = " and ".join(str(party.told) for party in parties[1:])
            print(f"{way}: AUC {found[split, at]:.4f}, {told} levels", flush=True)  # noqa: T201
    gaps = found - found[:, :1]
    for at, way in enumerate(WAYS):
        error = gaps[:, at].std(ddof=1) / np.sqrt(len(gaps)) if len(gaps) > 1 else np.nan
        print(f"{way}: {gaps[:, at].mean():+.4f}, standard error {error:.4f}")  # noqa: T201


def grown(
    way: str,
    parties: Sequence[Party],
    y: NDArray[np.int8],
    used: NDArray[np.bool_],
    asked: argparse.Namespace,
) -> NDArray[np.float64]:
    """All rows' scores by trees that grow on the `used` ones; the first party has the label."""
    rows, partners = len(y), asked.partners
    plan = TreesPlan(rows=rows, trees=asked.trees, row_bits=asked.row_bits, partners=partners)
    margin = np.full(rows, base_score(y, used))
    for tree in range(plan.trees):
        weights, growing = slopes(margin, y, used), Growing(plan, rows)
        for depth in range(plan.depth):
            turns = {"tree": [tree], "level": [tree + depth]}.get(way, range(tree, tree + partners))
            every = [parties[0], *(parties[1 + turn % partners] for turn in turns)]
            split(plan, [p for p in every if p.told < plan.row_bits], growing, weights)
        margin = margin + growing.finish(*weights)
    return margin


def split(
    plan: TreesPlan, parties: Sequence[Party], growing: Growing, weights: tuple[NDArray, ...]
) -> None:
    """Take the best split of each node, each party's held against the best of those before it."""
    nodes = len(growing.places)
    gain, who = np.zeros(nodes), np.full(nodes, -1)
    right = np.zeros(len(growing.slot), np.bool_)
    for at, party in enumerate(parties):
        left = histograms(party.bins, party.layout, growing, *weights)
        best = own_best(plan, left, growing.totals(*weights))
        won = (best.candidate >= 0) & (best.gain > gain) & growing.alive
        party.told += bool(at and won.any())
        chosen = right_of(party.bins, party.layout, growing, np.where(won, best.candidate, -1))
        right = np.where((growing.slot >= 0) & won[growing.slot], chosen, right)
        gain, who = np.where(won, best.gain, gain), np.where(won, at, who)
    kind = np.where(who >= 0, OWN, 0).astype(np.int8)
    growing.split(kind, np.zeros(nodes, np.int64), gain, right)


if __name__ == "__main__":
    main()

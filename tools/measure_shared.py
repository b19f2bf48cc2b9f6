"""Counts and lists by a score of several partners, beside those by exact scores.

    FEDPROFILE_DATA=... python -m tools.measure_shared bank|credit [--partners 2] [--draws 20]

As `tools.measure_counted`, whose partner's columns are dealt to several here. All roles run in this
process; seconds are of all parties.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from federated.counted import (
    LANES,
    MOST_RANGES,
    Joined,
    PartAdder,
    PartHearer,
    PartTeller,
    WideHearer,
    WideTeller,
    aimed,
    asked_places,
    auc_of_counts,
    bins_of,
    counts_of,
    lanes_of,
    leaves_of,
    list_noise,
    threshold,
    width_of,
)
from federated.evaluation import auc
from federated.regression import FeatureParty, LabelParty, planned
from federated.sharing import BinHolder, ValueHolder
from tools.measure_counted import FOLDS, context
from tools.measure_trees import Counted, bank, credit

Floats = NDArray[np.float64]
PARTNERS = ("bureau", "telco", "registry")


def main() -> None:
    """A few lines."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    given.add_argument("table", choices=("bank", "credit"))
    given.add_argument("--partners", type=int, default=2, choices=(2, 3))
    given.add_argument("--draws", type=int, default=20)
    asked = given.parse_args()
    table, label, partners = {"bank": bank, "credit": credit}[asked.table]()
    y = label.astype(np.int8)
    columns = {name: np.asarray(table[name], np.float64) for name in table.column_names}
    columns = {name: (x - x.mean()) / x.std() for name, x in columns.items()}
    own = np.column_stack([x for name, x in columns.items() if name not in partners])
    names = PARTNERS[: asked.partners]
    dealt = [list(partners)[at :: len(names)] for at in range(len(names))]
    theirs = [np.column_stack([columns[name] for name in mine]) for mine in dealt]
    folds = np.random.default_rng(0).integers(0, FOLDS, len(y))
    plan = planned(len(y), folds=FOLDS, score_bits=0, partners=len(names))
    total = sum(part.shape[1] for part in theirs)
    fit = Counted(
        LabelParty(context("bank"), list(names), own, y, plan=plan, folds=folds),
        *(
            FeatureParty(
                context(name), "bank", part, plan=plan, partners=names, others=total - part.shape[1]
            )
            for name, part in zip(names, theirs, strict=True)
        ),
    )
    start = time.process_time()
    results = fit.run()
    took = time.process_time() - start
    a, parts = results["bank"].own, [results[name].own for name in names]
    sys.stdout.write(f"fit: {took:.2f} s of processor time, {fit.bytes / 1e6:.1f} MB\n")
    start, middle = time.process_time(), a.mean()
    roles = [
        (PartAdder if name == names[-1] else PartTeller)(
            context(name), "bank", names, part, float(part.std())
        )
        for name, part in zip(names, parts, strict=True)
    ]
    pair = Counted(PartHearer(context("bank"), names, a - middle), *roles)
    found = pair.run()
    took = time.process_time() - start
    mine, last = found["bank"], found[names[-1]]
    score = a - middle + sum(parts)
    sys.stdout.write(
        f"shares: {took:.2f} s, {pair.bytes / 1e6:.2f} MB; a turn is {mine.grid.turn:.3g}, "
        f"{mine.grid.turn / score.std():.1f} deviations of the score\n"
    )
    exact, by_counts, size = [], [], 0.0
    start = time.process_time()
    for fold in range(FOLDS):
        rows = np.flatnonzero(folds == fold)
        counts, sent = counted(mine, last, rows, y[rows], mine.grid.most)
        exact.append(auc(y[rows], score[rows]))
        width = mine.grid.blur * width_of(mine.grid.middles())
        by_counts.append(auc_of_counts(counts, width))
        size += sent
    took = time.process_time() - start
    sys.stdout.write(
        f"mean AUC of the folds: {np.mean(exact):.5f}, by exact counts {np.mean(by_counts):.5f}; "
        f"counts {took:.2f} s, {size / 1e6:.1f} MB\n"
    )
    for length in (len(y) // 100, len(y) // 10):
        listed(a - middle, score, mine, last, length, asked.draws)


def counted(
    mine: Joined, last: Joined, rows: NDArray[np.int64], classes: NDArray[np.int8], most: int
) -> tuple[NDArray[np.int64], int]:
    """Exact counts of some rows by class and range, and how many bytes they took."""
    grid = replace(mine.grid, most=most)
    lanes = lanes_of(grid.theirs(last.share[rows]))
    bins = bins_of(grid, mine.share[rows], classes)
    pair = Counted(
        BinHolder(context("bank"), "bureau", [bins], [leaves_of(grid)], LANES),
        ValueHolder(
            context("bureau"), "bank", len(rows), LANES, lambda i, j: lanes[i:j], columns=1
        ),
    )
    found = pair.run()
    both = found["bank"][0] + found["bureau"][0]
    return counts_of(grid, both).view(np.int64), pair.bytes


def listed(own: Floats, score: Floats, mine: Joined, last: Joined, length: int, n: int) -> None:
    """A list of all rows: told once, its end found by `n` draws of the noise."""
    start, noise = time.process_time(), list_noise(1.0, length)
    every, may = np.arange(len(own)), np.ones(len(own), bool)
    counts, size = counted(mine, last, every, np.zeros(len(own), np.int8), MOST_RANGES)
    grid, rng = replace(mine.grid, most=MOST_RANGES), np.random.default_rng(secrets.randbits(64))
    ends = []
    for _ in range(n):
        drawn = np.rint(noise * rng.normal(size=grid.bins)).astype(np.int64)
        ends.append(threshold(counts[0] + drawn, grid, aimed(length, noise, len(own))))
    asked = asked_places(own, mine.pads, may, ends[0], grid, mine.far)
    pair = Counted(
        WideHearer(context("bank"), "bureau", asked),
        WideTeller(context("bureau"), "bank", last.share),
    )
    told = pair.run()["bank"] > 0
    took, size = time.process_time() - start, size + pair.bytes
    best = score >= np.sort(score)[-int(told.sum())]
    lengths = np.array([np.count_nonzero(score >= end) for end in ends])
    sys.stdout.write(
        f"list of {length}: {told.sum()} told, {np.mean(best[told]):.2%} among as many highest; by "
        f"draws {lengths.mean():.0f} ({lengths.std():.0f}); {took:.2f} s, {size / 1e6:.1f} MB "
        f"(bits {pair.bytes / 1e6:.1f})\n"
    )


if __name__ == "__main__":
    main()

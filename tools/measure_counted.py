"""AUC by counts of rows beside AUC by their scores: how exact, how long, how many bytes.

    FEDPROFILE_DATA=... python -m tools.measure_counted bank|credit [--draws 20]

Tables as in `tools/measure_trees.py`. Both roles of a regression of five folds run in this process,
then the rows are counted by fold (`score_bits = 0`); seconds are of both parties, of this process.
The counts are opened `--draws` times, each with noise of its own. Then lists of a hundredth and a
tenth of the rows are told (`tells = "list"`), beside those by exact scores.
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
    CountsGiver,
    CountsTaker,
    ListHearer,
    ListTeller,
    ScoreGrid,
    SpreadHearer,
    SpreadTeller,
    aimed,
    auc_of_counts,
    bins_of,
    counts_of,
    groups_of,
    lanes_of,
    leaves_of,
    list_noise,
    noise_of_auc,
    questions,
    threshold,
)
from federated.evaluation import auc
from federated.regression import FeatureParty, LabelParty, count_noise, counted_bits, planned
from federated.regression.rounding import FRACTION_BITS, rounded
from federated.sharing import BinHolder, ValueHolder
from psi.protocol import Context, MemoryStore
from tools.measure_trees import Counted, bank, credit

FOLDS = 5
Floats = NDArray[np.float64]


def context(party: str) -> Context:
    return Context(b"m" * 32, "train/t", party, secrets.token_bytes, MemoryStore())


def main() -> None:
    """A few lines."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    given.add_argument("table", choices=("bank", "credit"))
    given.add_argument("--draws", type=int, default=20)
    asked = given.parse_args()
    table, label, partners = {"bank": bank, "credit": credit}[asked.table]()
    y = label.astype(np.int8)
    columns = {name: np.asarray(table[name], np.float64) for name in table.column_names}
    columns = {name: (x - x.mean()) / x.std() for name, x in columns.items()}
    own = np.column_stack([x for name, x in columns.items() if name not in partners])
    theirs = np.column_stack([columns[name] for name in partners])
    folds = np.random.default_rng(0).integers(0, FOLDS, len(y))
    plan = planned(len(y), folds=FOLDS, score_bits=0)
    fit = Counted(
        LabelParty(context("bank"), ["bureau"], own, y, plan=plan, folds=folds),
        FeatureParty(context("bureau"), "bank", theirs, plan=plan),
    )
    start = time.process_time()
    results = fit.run()
    trained = time.process_time() - start
    a, b = results["bank"].own, results["bureau"].own
    sys.stdout.write(f"fit: {trained:.2f} s of processor time, {fit.bytes / 1e6:.1f} MB\n")

    start, middle = time.process_time(), a.mean()
    spread = Counted(
        SpreadTeller(context("bureau"), "bank", float(b.std())), SpreadHearer(context("bank"), a)
    )
    grid = spread.run()["bank"]
    sent, shares = spread.bytes, []
    bins, points = bins_of(grid, a - middle, y), grid.theirs(b)
    for rows in groups_of(y >= 0, folds.astype(np.int8), FOLDS, later=False):
        lanes = lanes_of(points[rows])
        holder = BinHolder(context("bank"), "bureau", [bins[rows]], [leaves_of(grid)], LANES)
        giver = ValueHolder(
            context("bureau"), "bank", len(rows), LANES, lambda i, j, v=lanes: v[i:j], columns=1
        )
        pair = Counted(holder, giver)
        found = pair.run()
        shares.append((found["bank"][0], found["bureau"][0]))
        sent += pair.bytes
    counted = time.process_time() - start
    sys.stdout.write(f"counts: {counted:.2f} s of processor time, {sent / 1e6:.1f} MB; {grid}\n")

    exact = [auc(y[folds == f], (a + b)[folds == f]) for f in range(FOLDS)]
    told = np.ldexp(rounded(b, 5, secrets.token_bytes).astype(float), -FRACTION_BITS)
    finest = [auc(y[folds == f], (a + told)[folds == f]) for f in range(FOLDS)]
    sys.stdout.write(
        f"mean AUC of the folds: {np.mean(exact):.5f}; at score_bits = 5 {np.mean(finest):.5f}\n"
    )
    width = float(np.diff(grid.middles()).mean())
    rows = np.array([[np.sum((folds == f) & (y == c)) for c in (0, 1)] for f in range(FOLDS)])
    whole = [counts_of(grid, mine + other).view(np.int64) for mine, other in shares]
    sys.stdout.write(f"by exact counts: {np.mean([auc_of_counts(c, width) for c in whole]):.5f}\n")
    for noise in (count_noise(plan.noise), 2.0, 4.0):
        off = []
        for _ in range(asked.draws):
            parts = [part for part, _ in shares], [part for _, part in shares]
            pair = Counted(
                CountsTaker(context("bank"), parts[0], grid),
                CountsGiver(
                    context("bureau"), "bank", parts[1], grid, noise, secrets.token_bytes(32)
                ),
            )
            counts = pair.run()["bank"]
            off.append([auc_of_counts(c, width) for c in counts])
        gaps = np.array(off) - exact
        said = [noise_of_auc(c, noise) for c in whole]
        sys.stdout.write(
            f"noise {noise:g}: mean AUC off by {gaps.mean():+.5f} "
            f"({gaps.mean(axis=1).std():.5f} from draw to draw, {np.linalg.norm(said) / FOLDS:.5f} "
            f"said; a fold's {gaps.std():.5f}), at most {np.abs(gaps.mean(axis=1)).max():.5f}\n"
        )
    for length in (len(y) // 100, len(y) // 10):
        listed(a - middle, b, replace(grid, most=MOST_RANGES), length, plan.noise, asked.draws)


def listed(own: Floats, theirs: Floats, grid: ScoreGrid, length: int, noise: float, n: int) -> None:
    """A list of all rows: told once, its end found by `n` draws of the noise."""
    start, drawn = time.process_time(), list_noise(noise, length)
    bins, lanes = bins_of(grid, own, np.zeros(len(own), np.int8)), lanes_of(grid.theirs(theirs))
    counts = Counted(
        BinHolder(context("bank"), "bureau", [bins], [leaves_of(grid)], LANES),
        ValueHolder(context("bureau"), "bank", len(own), LANES, lambda i, j: lanes[i:j], columns=1),
    )
    found = counts.run()
    parts, may = (found["bank"], found["bureau"]), np.ones(len(own), bool)
    ends = []
    for _ in range(n):
        seed = secrets.token_bytes(32)
        opened = Counted(
            CountsTaker(context("bank"), parts[0], grid),
            CountsGiver(context("bureau"), "bank", parts[1], grid, drawn, seed),
        ).run()["bank"]
        ends.append(threshold(opened[0][0], grid, aimed(length, drawn, len(own))))
    pair = Counted(
        ListHearer(context("bank"), "bureau", questions(own, may, ends[0], grid)),
        ListTeller(context("bureau"), "bank", theirs, grid),
    )
    told = pair.run()["bank"] > 0
    took, size = time.process_time() - start, (counts.bytes + pair.bytes) / 1e6
    score = own + theirs
    exact, best = score >= ends[0], score >= np.sort(score)[-int(told.sum())]
    lengths = np.array([np.count_nonzero(score >= end) for end in ends])
    sys.stdout.write(
        f"list of {length}: {told.sum()} told, of which {np.mean(exact[told]):.2%} by exact scores "
        f"at that threshold ({exact.sum()}), {np.mean(best[told]):.2%} among as many highest; "
        f"by draws {lengths.mean():.0f} ({lengths.std():.0f}); noise {drawn:g}, "
        f"{1 + counted_bits(drawn):.3f} bits; {took:.2f} s, {size:.1f} MB\n"
    )


if __name__ == "__main__":
    main()

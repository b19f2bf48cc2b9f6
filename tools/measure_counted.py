"""AUC by counts of rows beside AUC by their scores: how exact, how long, how many bytes.

    FEDPROFILE_DATA=... python -m tools.measure_counted bank|credit [--draws 20]

Tables as in `tools/measure_trees.py`. Both roles of a regression of five folds run in this process,
then the rows are counted by fold (`score_bits = 0`); seconds are of both parties, of this process.
The counts are opened `--draws` times, each with noise of its own.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time

import numpy as np

from federated.counted import (
    LANES,
    CountsGiver,
    CountsTaker,
    SpreadHearer,
    SpreadTeller,
    bins_of,
    groups_of,
    lanes_of,
    leaves_of,
)
from federated.evaluation import auc
from federated.regression import FeatureParty, LabelParty, count_noise, planned
from federated.regression.rounding import FRACTION_BITS, rounded
from federated.sharing import BinHolder, ValueHolder
from profiles.counted_outputs import auc_of_counts, noise_of_auc
from psi.protocol import Context, MemoryStore
from tools.measure_trees import Counted, bank, credit

FOLDS = 5


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
    spread = Counted(SpreadTeller(context("bureau"), "bank", b), SpreadHearer(context("bank"), a))
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
    whole = [grid.counted(mine + other).view(np.int64) for mine, other in shares]
    sys.stdout.write(f"by exact counts: {np.mean([auc_of_counts(c, width) for c in whole]):.5f}\n")
    for noise in (count_noise(plan.noise), 2.0, 4.0):
        off = []
        for _ in range(asked.draws):
            parts = [part for part, _ in shares], [part for _, part in shares]
            pair = Counted(
                CountsTaker(context("bank"), parts[0], grid, noise, rows),
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


if __name__ == "__main__":
    main()

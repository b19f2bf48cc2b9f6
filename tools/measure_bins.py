"""Information values of default bins beside those of `optbinning`'s optimal ones, and under noise.

    FEDPROFILE_DATA=... python tools/measure_bins.py credit|bank|FILE.csv:LABEL [--rows 3000]
        [--bins 10] [--draws 10]

`credit` is credit_default, `bank` bank_marketing. A FILE may be any table with a LABEL of 0 and 1.
A line for each column of less than nine tenths of the optimal value, which is cut by the label;
then how far noise of an epsilon of 1 over all columns moves values. Optimal bins are left out where
`optbinning` is not installed.
"""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from federated.binning import binned_column, noise_scale, worth_of
from federated.steps.binning import CLASS_ROWS

DATA = Path(os.environ.get("FEDPROFILE_DATA", "."))
IDS = ("ID", "id", "idx")
GROUP = 20


def loaded(named: str) -> tuple[pa.Table, np.ndarray]:
    """All columns but identifiers, and labels."""
    path, sign, label = DATA / "credit_default" / "UCI_Credit_Card.csv", ",", ""
    if named == "bank":
        path, sign, label = DATA / "bank_marketing" / "bank-full.csv", ";", "y"
    elif named != "credit":
        name, _, label = named.rpartition(":")
        path = Path(name)
    table = csv.read_csv(path, parse_options=csv.ParseOptions(delimiter=sign))
    label = label or table.column_names[-1]
    y = np.array([str(value) in ("1", "yes") for value in table[label].to_pylist()])
    return table.drop_columns([c for c in table.column_names if c in (*IDS, label)]), y


def optimal(values: pa.ChunkedArray, y: np.ndarray) -> float:
    """The information value of optimal bins; NaN where nothing can tell."""
    try:
        found = import_module("optbinning")
    except ImportError:
        return float("nan")
    text = pa.types.is_string(values.type)
    fit = found.OptimalBinning(dtype="categorical" if text else "numerical")
    fit.fit(np.array(values.to_pylist()), y.astype(int))
    return float(fit.binning_table.build().loc["Totals", "IV"])


def main() -> None:
    """Print both."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    given.add_argument("table")
    given.add_argument("--rows", type=int, default=0)
    given.add_argument("--bins", type=int, default=10)
    given.add_argument("--draws", type=int, default=10)
    asked = given.parse_args()
    table, y = loaded(asked.table)
    if asked.rows:
        rows = np.random.default_rng(1).permutation(len(y))[: asked.rows]
        table, y = table.take(pa.array(rows)), y[rows]
    scale, low, moved = noise_scale(table.num_columns, 1000), 0, list[float]()
    draw, chance = np.random.default_rng(0), 1 - np.exp(-1 / scale)
    for name in table.column_names:
        bins, codes = binned_column(table, name, asked.bins, GROUP)
        rows = np.bincount(codes, minlength=bins.count)
        counts = np.stack([np.bincount(codes[y], minlength=bins.count), rows], axis=1)

        def value(opened: np.ndarray, noise: int, name: str = name) -> float:
            own = (name, bins, rows.tolist(), opened)  # noqa: B023  called at once
            return worth_of(*own, least=CLASS_ROWS, monotone=False, scale=noise).value

        exact, best = value(counts, 0), optimal(table[name], y)
        low += exact < 0.8 * best
        if exact < 0.9 * best:
            print(f"{name}: {exact:.4f}, optimal {best:.4f}, {exact / best:.3f} of it")  # noqa: T201
        for _ in range(asked.draws):
            noise = draw.geometric(chance, counts.shape) - draw.geometric(chance, counts.shape)
            moved.append(value(counts + noise, scale) - exact)
    far = np.abs(moved)
    print(  # noqa: T201
        f"{table.num_columns} columns, {low} below .8 of the optimal; noise moves a value by "
        f"{far.mean():.4f} in the mean, {far.max():.3f} at most, upwards by {np.mean(moved):.4f}"
    )


if __name__ == "__main__":
    main()

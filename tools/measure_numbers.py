"""How far noise moves a regression of numbers, counts or weighted rows: standard errors, explained.

    python -m tools.measure_numbers [--rows 20000] [--runs 3]

Made data of 8 columns, half at each party; each run has data of its own. Coefficients are held
against the fit of one process (penalty 1), in standard errors that hold for any weights (sandwich):
the root mean square over columns and runs.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from dataclasses import replace

import numpy as np

from federated.models import MODELS
from federated.regression import FeatureParty, LabelParty, planned
from profiles.central import central
from psi.protocol import Context, MemoryStore, Pair

CASES = ("logistic", "logistic, positives × 5", "linear, R² .3", "linear, R² .9", "poisson")


def made(case: str, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Columns `float64[rows, 8]`, labels, and weights where rows have any."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 8))
    x[:, 4:] += 0.4 * x[:, :4]
    score = x @ np.array([0.4, -0.3, 0.2, 0.1, 0.3, -0.3, 0.2, 0.1])
    if case.startswith("logistic"):
        y = (rng.random(rows) < 1 / (1 + np.exp(1.5 - score))).astype(np.int8)
        return x, y, np.where(y == 1, 5.0, 1.0) if "×" in case else None
    if case == "poisson":
        return x, rng.poisson(np.exp(0.3 + 0.7 * score)).astype(float), None
    share = float(case.rsplit(" ", 1)[1])
    spread = score.std() * np.sqrt(1 / share - 1)
    return x, 50 + score + rng.normal(0, spread, rows), None


def run(case: str, rows: int, seed: int) -> tuple[np.ndarray, int]:
    """Deviations of coefficients in standard errors, and evaluations."""
    x, y, weights = made(case, rows, seed)
    model = MODELS[case.partition(",")[0].split()[0]]
    terms = planned(rows, folds=0, link=model.name)
    terms = replace(terms, weighted=weights is not None, noise=1.0)

    def context(name: str) -> Context:
        return Context(b"m" * 32, "train/t", name, secrets.token_bytes, MemoryStore())

    bank = LabelParty(context("bank"), ["bureau"], x[:, :4], y, plan=terms, weights=weights)
    found = Pair(bank, FeatureParty(context("bureau"), "bank", x[:, 4:], plan=terms)).run()
    label, feature = found["bank"], found["bureau"]
    exact = central(model, x, y, weights)
    scores, each = exact.scores(x), np.ones(rows) if weights is None else weights
    design = np.column_stack([np.ones(rows), x])
    square = np.linalg.inv((design * (each * model.curvature(scores))[:, None]).T @ design)
    slopes = design * (each * model.slope(scores, y))[:, None]
    errors = np.sqrt(np.diag(square @ (slopes.T @ slopes) @ square))[1:]
    got = np.concatenate([label.coefficients, feature.coefficients])
    wanted = exact.contributions(np.eye(8), np.zeros(8)).diagonal()
    return (got - wanted) / errors, label.evaluations


def main() -> None:
    """Print a row a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    for case in CASES:
        runs = [run(case, asked.rows, seed) for seed in range(asked.runs)]
        off = np.sqrt(np.mean(np.square([found for found, _ in runs])))
        evaluations = [number for _, number in runs]
        sys.stdout.write(f"{case}: {off:.2f} standard errors, {evaluations} evaluations\n")


if __name__ == "__main__":
    main()

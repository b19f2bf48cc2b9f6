"""New customers scored by kept models, after alignment: processor time and bytes of both parties.

    FEDPROFILE_DATA=... python tools/measure_scoring.py [--rows 100000] [--row-bits 5,20]

Models are of bank_marketing without `duration`, the feature party having age, job, marital and
education: a regression, and 20 trees of depth 4 under each cap of bits. New rows are drawn from the
table with replacement. Both roles run in this process, encoding and bins included; trees' scores
are compared with those of both parts in one process, the regression's with the sum of its parts.
"""

from __future__ import annotations

import argparse
import secrets
import time
from typing import Any

import numpy as np
import pyarrow as pa
from measure_trees import Counted, bank

from federated.models import LinearPart
from federated.regression.newton import fit_logistic
from federated.scoring.fixed import FRACTION_BITS, fixed_scores, shift_of
from federated.scoring.paths import PathPartner, PathReceiver, partner_levels
from federated.scoring.sums import SumPartner, SumReceiver
from federated.tables.encoding import Encoder
from federated.trees import boost_trees
from psi.protocol import Context

SCORE_BITS = 5


def main() -> None:
    """One line a model."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    given.add_argument("--rows", type=int, default=100_000)
    given.add_argument("--row-bits", default="5,20")
    asked = given.parse_args()
    table, y, theirs = bank()
    own = [name for name in table.column_names if name not in theirs]
    place = np.random.default_rng(7).integers(0, len(y), asked.rows)
    new = table.take(pa.array(place))
    print(_regression(table, y, own, theirs, new), flush=True)  # noqa: T201
    for bits in map(int, asked.row_bits.split(",")):
        print(_trees(table, y, own, theirs, new, bits), flush=True)  # noqa: T201


def _context(party: str, session: bytes) -> Context:
    return Context(session, "score/x", party, secrets.token_bytes)


def _regression(
    table: pa.Table, y: np.ndarray, own: list[str], theirs: list[str], new: pa.Table
) -> str:
    encoders = [Encoder.fit(table, names) for names in (own, theirs)]
    matrices = [encoder.transform(table)[0] for encoder in encoders]
    whole = np.hstack([np.ones((len(y), 1)), *matrices])
    penalty = np.append(0.0, np.ones(whole.shape[1] - 1))
    weights = fit_logistic(whole, y.astype(np.float64), penalty).coefficients
    width = matrices[0].shape[1] + 1
    parts = LinearPart(weights[1:width], float(weights[0])), LinearPart(weights[width:])
    told = parts[1].scores(matrices[1])
    mean, deviation = float(told.mean()), float(told.std())
    session, since = secrets.token_bytes(32), time.process_time()
    scores = [
        fixed_scores(encoder.transform(new)[0], part.coefficients, part.intercept)
        for encoder, part in zip(encoders, parts, strict=True)
    ]
    shift = shift_of(deviation, SCORE_BITS)
    partner = SumPartner(
        _context("b", session), "a", ["b"], scores[1], shift=shift, mean=mean, deviation=deviation
    )
    pair = Counted(SumReceiver(_context("a", session), ["b"], new.num_rows), partner)
    found = pair.run()["a"]
    spent = time.process_time() - since
    off = np.ldexp((found - scores[1]).astype(np.float64), -FRACTION_BITS)
    return (
        f"regression, score_bits {SCORE_BITS}: {spent:.2f} s of both, {pair.bytes / 1e6:.1f} MB, "
        f"scores off by {off.std():.4f} of a part's deviation {deviation:.4f}"
    )


def _trees(
    table: pa.Table, y: np.ndarray, own: list[str], theirs: list[str], new: pa.Table, bits: int
) -> str:
    mine, other = boost_trees(
        table.select(own), y.astype(np.int8), table.select(theirs), row_bits=bits, trees=20
    )
    session, since = secrets.token_bytes(32), time.process_time()
    ends: Any = PathReceiver(
        _context("a", session), "b", mine, mine.binning.transform(new), new.num_rows
    )
    pair = Counted(ends, PathPartner(_context("b", session), "a", other, other.sides(new), bits))
    found = pair.run()["a"]
    scores = np.full(new.num_rows, mine.forest.base)
    for tree, places in zip(mine.forest.trees, found, strict=True):
        scores += tree.value[places]
    spent = time.process_time() - since
    same = np.array_equal(scores, mine.scores(new, other.sides(new)))
    return (
        f"trees, {len(partner_levels(mine.forest))} levels told: {spent:.2f} s of both, "
        f"{pair.bytes / 1e6:.1f} MB, the same scores: {same}"
    )


if __name__ == "__main__":
    main()

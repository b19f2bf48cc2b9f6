"""New customers scored by kept models, after alignment: processor time and bytes of both parties.

    FEDPROFILE_DATA=... python tools/measure_scoring.py [--rows 100000] [--row-bits 5,20]

Models are of bank_marketing without `duration`, the feature party having age, job, marital and
education: a regression, and 20 trees of depth 4 under each cap of bits. New rows are drawn from the
table with replacement. Both roles run in this process, encoding and bins included; trees' scores
are compared with those of both parts in one process, the regression's with the sum of its parts.
The trees of the least cap are then taken for hidden ones, which tell a score in 5 bits and no side.
"""

from __future__ import annotations

import argparse
import secrets
import time
from typing import Any

import numpy as np
import pyarrow as pa
from measure_trees import Counted, bank

from federated.hidden_trees import (
    HiddenFeatureModel,
    HiddenLabelModel,
    HiddenScorePartner,
    HiddenScoreReceiver,
)
from federated.hidden_trees.plan import TOLD_REACH, VALUE_BITS, score_step
from federated.hidden_trees.rounding import units_of_leaf
from federated.models import LinearPart
from federated.regression.newton import fit_logistic
from federated.scoring.fixed import FRACTION_BITS, fixed_scores, shift_of
from federated.scoring.paths import PathPartner, PathReceiver, partner_levels
from federated.scoring.sums import SumPartner, SumReceiver
from federated.tables.encoding import Encoder
from federated.trees import FeatureModel, LabelModel, boost_trees
from federated.trees.forest import OWN
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
    print(_hidden(table, y, own, theirs, new), flush=True)  # noqa: T201


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
        _context("a", session), ["b"], mine, mine.binning.transform(new), new.num_rows
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


def _hidden(
    table: pa.Table, y: np.ndarray, own: list[str], theirs: list[str], new: pa.Table
) -> str:
    mine, other = boost_trees(
        table.select(own), y.astype(np.int8), table.select(theirs), row_bits=1000, trees=20
    )
    label, feature = _as_hidden(mine, other)
    session, since = secrets.token_bytes(32), time.process_time()
    pair = Counted(
        HiddenScoreReceiver(
            _context("a", session), "b", label, label.binning.transform(new), SCORE_BITS
        ),
        HiddenScorePartner(
            _context("b", session), "a", feature, feature.binning.transform(new), SCORE_BITS
        ),
    )
    found = pair.run()["a"]
    spent = time.process_time() - since
    true = mine.scores(new, other.sides(new)) - label.base
    off, step = np.abs(found * 2.0**-VALUE_BITS - true), score_step(SCORE_BITS)
    far = off > step / 2 + 20 * 2.0**-VALUE_BITS
    last = np.abs(true) > TOLD_REACH - step  # steps without an end
    return (
        f"hidden trees, {feature.own_splits} of {label.splits.size} nodes the partner's, "
        f"{int((label.groups.max(axis=1) + 1).sum())} groups: {spent:.2f} s of both, "
        f"{pair.bytes / 1e6:.1f} MB, further than half a step from the score of one process: "
        f"{np.count_nonzero(far & ~last)} rows, and {np.count_nonzero(far & last)} at the ends"
    )


def _as_hidden(
    mine: LabelModel, other: FeatureModel
) -> tuple[HiddenLabelModel, HiddenFeatureModel]:
    """The same trees as hidden ones, whose nodes all have a split."""
    depth = max(int(np.log2(len(tree.kind) + 1)) for tree in mine.forest.trees) - 1
    nodes = (1 << depth) - 1
    splits, theirs = np.zeros((2, len(mine.forest.trees), nodes), np.int64)
    values = np.zeros((len(splits), nodes + 1), np.int64)
    for number, tree in enumerate(mine.forest.trees):
        ends = np.zeros(2 * nodes + 1)
        for node in range(2 * nodes + 1):
            above = (node - 1) // 2
            inner = node < len(tree.kind) and tree.kind[node] != 0
            ends[node] = tree.value[node] if node < len(tree.kind) and not inner else 0.0
            if node and not (above < len(tree.kind) and tree.kind[above]):
                ends[node] = ends[above]  # below a leaf all leaves are worth what it is
            if node < nodes and inner:
                own = tree.kind[node] == OWN
                splits[number, node] = tree.split[node] if own else -1
                theirs[number, node] = -1 if own else _candidate(other, int(tree.split[node]))
            elif node < nodes:
                theirs[number, node] = -1
        values[number] = units_of_leaf(ends[nodes:])
    label = HiddenLabelModel(
        mine.training, mine.binning, splits, values, float(mine.forest.base), SCORE_BITS
    )
    return label, HiddenFeatureModel(other.training, other.binning, theirs)


def _candidate(model: FeatureModel, number: int) -> int:
    """The candidate that a kept split is."""
    split, layout = model.splits[number], model.binning.layout
    first = layout.ends[split.column - 1] if split.column else 0
    lefts = layout.lefts[split.column]
    return first + int(np.flatnonzero((lefts == split.left).all(axis=1))[0])


if __name__ == "__main__":
    main()

"""Boosted trees of two parties against XGBoost on the same bins: AUC, processor time, bytes.

    FEDPROFILE_DATA=... python tools/measure_trees.py bank|credit [--trees 20] [--row-bits 5]
        [--least-rows 50] [--rising age] [--falling host_x0] [--partners 2]
    FEDPROFILE_DATA=... python tools/measure_trees.py bank|credit --hidden 8 7 6 5 [--trees 20]

`bank` is bank_marketing without `duration`, the feature party having age, job, marital and
education; `credit` is credit_default as FATE splits it, ten columns at the feature party.
Categories are taken as numbers, as XGBoost takes them. A fifth of the rows is held out. All roles
run in this process. With `--partners` the feature party's columns are dealt to so many. With
`--hidden` the trees tell no row's side, and scores in the first of the bits named; held rows are
rows without a label then. What the other bits tell of the same trees is computed of both parties'
shares, which meet nowhere but here: rounding comes last, so one training shows them all. XGBoost is
left out where it is not installed; it rises and falls with the same columns, and counts no rows.
"""

from __future__ import annotations

import argparse
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from federated.evaluation import auc
from federated.hidden_trees import HiddenFeatureParty, HiddenLabelParty, HiddenPlan
from federated.hidden_trees.plan import TOLD_BITS, VALUE_BITS, ring_bits
from federated.hidden_trees.results import HiddenLabel
from federated.hidden_trees.rounding import margins, numbers, offsets
from federated.hidden_trees.slopes import units_of
from federated.trees import Binning, FeatureParty, LabelParty, TreesPlan
from federated.trees.saved import FeatureModel, LabelModel
from psi.protocol import Context, Pair

DATA = Path(os.environ.get("FEDPROFILE_DATA", "."))
THEIRS = ("age", "job", "marital", "education")


def bank() -> tuple[pa.Table, np.ndarray, list[str]]:
    """Columns as numbers, labels, the feature party's columns."""
    path = DATA / "bank_marketing" / "bank-full.csv"
    table = csv.read_csv(path, parse_options=csv.ParseOptions(delimiter=";"))
    y = np.asarray(pc.equal(table["y"], "yes"))
    names = [name for name in table.column_names if name not in ("y", "duration")]
    return pa.table({name: _numbers(table[name]) for name in names}), y, list(THEIRS)


def credit() -> tuple[pa.Table, np.ndarray, list[str]]:
    """As `bank`."""
    folder = DATA / "credit_default"
    guest = csv.read_csv(folder / "default_credit_hetero_guest.csv").sort_by("id")
    host = csv.read_csv(folder / "default_credit_hetero_host.csv").sort_by("id")
    if not guest["id"].equals(host["id"]):
        raise SystemExit("the two files have other rows")
    own = {name: guest[name] for name in guest.column_names if name not in ("id", "y")}
    other = {f"host_{name}": host[name] for name in host.column_names if name != "id"}
    return pa.table({**own, **other}), np.asarray(guest["y"]), list(other)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Numbers as they are, texts by their place in the alphabet."""
    if not pa.types.is_string(column.type):
        return np.asarray(column, np.float64)
    return np.unique(np.asarray(column.to_pylist()), return_inverse=True)[1].astype(np.float64)


class Counted(Pair):
    """A pair that counts bytes, and keeps none."""

    def __init__(self, *roles: Any) -> None:
        super().__init__(*roles)
        self.bytes = 0

    def _take(self, party: str, step: Any) -> None:
        for envelope in step.messages:
            self.bytes += len(envelope.payload)
        super()._take(party, step)
        self.sent.clear()


def main() -> None:
    """One line a split of the rows."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    given.add_argument("table", choices=("bank", "credit"))
    given.add_argument("--trees", type=int, default=20)
    given.add_argument("--splits", type=int, default=10)
    given.add_argument("--row-bits", type=int, default=1000)
    given.add_argument("--rate", type=float, default=0.3)
    given.add_argument("--depth", type=int, default=4)
    given.add_argument("--least-rows", type=int, default=0)
    for way in ("--rising", "--falling"):
        given.add_argument(way, nargs="+", default=[], metavar="COLUMN")
    given.add_argument("--partners", type=int, default=1)
    given.add_argument("--hidden", type=int, nargs="+", metavar="SCORE_BITS")
    asked = given.parse_args()
    table, y, theirs = {"bank": bank, "credit": credit}[asked.table]()
    own = [name for name in table.column_names if name not in theirs]
    binnings = [Binning.fit(table, own)]
    binnings += [Binning.fit(table, theirs[at :: asked.partners]) for at in range(asked.partners)]
    gaps: list[dict[str, float]] = []
    for split in range(asked.splits):
        order = np.random.default_rng(42 + split).permutation(len(y))
        held, rows = order[: len(y) // 5], np.sort(order[len(y) // 5 :])
        run = hidden if asked.hidden else one
        line, found = run(table, y, binnings, rows, held, asked)
        central = _xgboost(binnings, table, y, rows, held, asked)
        shown = ", ".join(f"{name} {each:.4f}" for name, each in found.items())
        print(f"{line}, {shown}, XGBoost {central:.4f}", flush=True)  # noqa: T201
        gaps.append({name: each - central for name, each in found.items()})
    for name in gaps[0] if len(gaps) > 1 else ():
        of = [gap[name] for gap in gaps]
        error = np.std(of, ddof=1) / np.sqrt(len(of))
        print(f"{name}: {np.mean(of):+.4f} of XGBoost's, standard error {error:.4f}")  # noqa: T201


def one(
    table: pa.Table,
    y: np.ndarray,
    binnings: Sequence[Binning],
    rows: np.ndarray,
    held: np.ndarray,
    asked: argparse.Namespace,
) -> tuple[str, dict[str, float]]:
    """A training: what it took, and its AUC."""
    session, train = secrets.token_bytes(32), table.take(pa.array(rows))
    plan = TreesPlan(
        rows=len(rows),
        trees=asked.trees,
        row_bits=asked.row_bits,
        rate=asked.rate,
        depth=asked.depth,
        least_rows=asked.least_rows,
        partner_ways=any(any(_ways(each, asked)) for each in binnings[1:]),
        partners=asked.partners,
    )
    mine, *others = binnings
    names = [f"b{at}" for at in range(asked.partners)]

    def context(name: str) -> Context:
        return Context(session, "trees", name, secrets.token_bytes)

    label = y[rows].astype(np.int8)
    own, ways = (mine.transform(train), mine.layout), _ways(mine, asked)
    a = LabelParty(context("a"), names, *own, label, plan=plan, ways=ways)
    b = [
        FeatureParty(
            context(name),
            "a",
            other.transform(train),
            other.layout,
            plan=plan,
            number=at,
            ways=_ways(other, asked),
        )
        for at, (name, other) in enumerate(zip(names, others, strict=True))
    ]
    pair, since = Counted(a, *b), time.process_time()
    found = pair.run()
    spent, rest = time.process_time() - since, table.take(pa.array(held))
    parts = [FeatureModel.of(found[n], b) for n, b in zip(names, others, strict=True)]
    sides = np.vstack([part.sides(rest) for part in parts])
    ours = auc(y[held], LabelModel.of(found["a"], mine).scores(rest, sides))
    size = pair.bytes / 1e6
    told = " and ".join(str(found[name].told_levels) for name in names)
    line = f"{spent:5.2f} s of all, {size:6.1f} MB, {told} levels told"
    return line, {"AUC": ours}


def _ways(binning: Binning, asked: argparse.Namespace) -> list[int]:
    """Of each column whether scores may only rise, or only fall, with it."""
    names = [each.name for each in binning.columns]
    return [(name in asked.rising) - (name in asked.falling) for name in names]


def hidden(
    table: pa.Table,
    y: np.ndarray,
    binnings: Sequence[Binning],
    rows: np.ndarray,
    held: np.ndarray,
    asked: argparse.Namespace,
) -> tuple[str, dict[str, float]]:
    """A training of hidden trees: what it took, and its AUC as told in so many bits."""
    session = secrets.token_bytes(32)
    terms = {"trees": asked.trees, "rate": asked.rate, "depth": asked.depth}
    plan = HiddenPlan(rows=len(y), score_bits=asked.hidden[0], **terms)
    label = np.full(len(y), -1, np.int8)
    label[rows] = y[rows]
    a, b = (Context(session, "trees", name, secrets.token_bytes) for name in ("a", "b"))
    mine, other = ((each.transform(table), each.layout) for each in binnings)
    pair = Counted(
        HiddenLabelParty(a, "b", *mine, label, plan=plan),
        HiddenFeatureParty(b, "a", *other, plan=plan),
    )
    since = time.process_time()
    found = pair.run()
    line = f"{time.process_time() - since:5.2f} s of both, {pair.bytes / 1e6:6.1f} MB"
    shares = [each.store.get("score", asked.trees & 1) for each in (a, b)]
    told = {bits: rounded(found["a"], shares, mine[0], bits) for bits in asked.hidden}
    bounds = a.store.get("bounds", asked.trees & 1) * 2.0**-VALUE_BITS
    line += f", scores between {bounds[0].min():.1f} and {bounds[1].max():.1f}"
    if (told[asked.hidden[0]] != found["a"].margin).any():
        raise SystemExit("the circuit has told other scores than these shares have")
    return line, {f"{bits} bits": auc(y[held], told[bits][held]) for bits in asked.hidden}


def rounded(found: HiddenLabel, shares: list[Any], bins: Any, bits: int) -> Any:
    """Scores as a circuit tells them in so many bits, of both parties' shares."""
    own = shares[0] - np.uint32(units_of(found.base))
    begins = offsets(found.training, bins, bits).astype(np.int64)
    units = numbers(own, leads=True) + numbers(shares[1], leads=False)
    ring, width, most = 1 << ring_bits(len(found.values)), 1 << (TOLD_BITS - bits), 1 << (bits - 1)
    signed = (units.astype(np.int64) + begins + ring // 2) % ring - ring // 2
    steps = np.clip(signed // width, -most, most - 1)
    return margins(found.base, steps * width + width // 2 - begins)


def _xgboost(
    binnings: Sequence[Binning],
    table: pa.Table,
    y: np.ndarray,
    rows: np.ndarray,
    held: np.ndarray,
    asked: argparse.Namespace,
) -> float:
    try:
        import xgboost
    except ImportError:
        return float("nan")
    x = np.stack([b for each in binnings for b in each.transform(table)], 1).astype(np.float32)
    terms = {
        "objective": "binary:logistic",
        "max_depth": 4,
        "eta": 0.3,
        "max_bin": 256,
        "tree_method": "hist",
        "nthread": 1,
        "base_score": float(y[rows].mean()),
        "monotone_constraints": tuple(way for each in binnings for way in _ways(each, asked)),
    }
    fit = xgboost.train(terms, xgboost.DMatrix(x[rows], y[rows]), asked.trees)
    return auc(y[held], fit.predict(xgboost.DMatrix(x[held])))


if __name__ == "__main__":
    main()

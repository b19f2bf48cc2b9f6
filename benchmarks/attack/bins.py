"""What a binning before a training tells the columns' owner of the label, by the product's roles.

`classifier`: the owner's weights of evidence, added up over its columns, are a classifier of the
label: that is what the binning is for, and it is told. `aimed`: an owner that lies has a bin of
one record in each of its columns, the same record in all, and guesses its label.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.attack.data import bound, joined
from benchmarks.attack.finding import Finding, Scale
from federated.binning import (
    LABEL_LANES,
    ColumnParty,
    LabelParty,
    NumberBins,
    label_lanes,
    noise_scale,
    told,
    worth_of,
)
from federated.binning.coding import binned_column
from federated.evaluation import auc
from federated.sharing import BinHolder, ValueHolder
from federated.steps.binning import CLASS_ROWS
from psi.protocol import Context, Pair

__all__ = ["aimed", "classifier", "opened"]

PROTOCOL = "binning"
BINS, LEAST = 10, 20
# an epsilon of one over all columns, in thousandths
EPSILON = 1000
AIMED, AIMED_COLUMNS = 200, 5
Codes = NDArray[np.int64]


def opened(label: NDArray[np.int8], codes: Sequence[Codes], epsilon: int) -> list[Codes]:
    """What the owner opens: of each column `[bins, 2]`, positives and rows with a label.

    Args:
        label: 1, 0, -1 for none.
        codes: each column's bins.
        epsilon: in thousandths, 0 for counts without noise.

    Raises what a role raises.
    """
    lanes, session = label_lanes(label), secrets.token_bytes(32)

    def context(party: str) -> Context:
        return Context(session, "binning", party, secrets.token_bytes)

    sizes = [max(2, int(code.max()) + 1) for code in codes]
    values = ValueHolder(
        context("bank"), "partner", len(label), LABEL_LANES, lambda low, high: lanes[low:high],
        columns=len(codes),
    )  # fmt: skip
    shares = Pair(
        values, BinHolder(context("partner"), "bank", list(codes), sizes, LABEL_LANES)
    ).run()
    scale = noise_scale(len(codes), epsilon)
    rows = [np.bincount(code, minlength=size) for code, size in zip(codes, sizes, strict=True)]
    found: list[list[Codes]] = []

    def judge(counts: list[Codes]) -> object:
        found.append(counts)
        edges = NumberBins((0.0,), 0)
        worth = worth_of(
            "c", edges, [1, 1], np.array([[30, 60], [30, 60]]), least=1, monotone=False
        )
        return told([worth] * len(codes))

    none = {"noise": lambda scales: [0] * len(scales)} if not epsilon else {}
    Pair(
        LabelParty(context("bank"), "partner", shares["bank"], scale, **none),
        ColumnParty(context("partner"), "bank", shares["partner"], rows, scale, judge),  # type: ignore[arg-type]
    ).run()
    return found[0]


def classifier(scale: Scale) -> Iterator[Finding]:
    """The owner's weights of evidence of all its columns, added up."""
    for name in scale.sets:
        tables, y = bound(name), joined(bound(name)).label
        if scale.rows:
            tables, y = tables.take(np.arange(min(scale.rows, len(y)))), y[: scale.rows]
        names = tables.features[1]
        made = [binned_column(tables.partner, column, BINS, LEAST) for column in names]
        codes, known = [code for _, code in made], y >= 0
        for epsilon in (EPSILON, 0):
            score = np.zeros(len(y))
            for (bins, code), counts in zip(made, opened(y, codes, epsilon), strict=True):
                rows = np.bincount(code, minlength=bins.count).tolist()
                worth = worth_of(
                    "c", bins, rows, counts, least=CLASS_ROWS, monotone=False,
                    scale=noise_scale(len(names), epsilon),
                )  # fmt: skip
                score += worth.woe[np.array(worth.groups)[code]]
            said = f"epsilon {epsilon / 1000:g}" if epsilon else "without noise"
            yield Finding(
                attack="",
                protocol=PROTOCOL,
                data=f"{name}, {len(y):,} rows",
                who="partner, semi-honest",
                what=f"AUC of labels by its weights of evidence added up, which it is told; {said}",
                figure=auc(y[known], score[known]),
                baseline=0.5,
                more={"epsilon": epsilon / 1000, "columns": len(names)},
            )


def aimed(scale: Scale) -> Iterator[Finding]:
    """Labels of records that have a bin of their own in each of the owner's columns."""
    for name in scale.sets[:1]:
        y = joined(bound(name)).label
        rng = np.random.default_rng(1)
        equal = [rng.permutation(np.flatnonzero(y == value))[: AIMED // 2] for value in (0, 1)]
        rows = np.concatenate(equal)
        others = rng.permutation(np.setdiff1d(np.flatnonzero(y >= 0), rows))[:4000]
        label = y[np.concatenate([rows, others])]
        for epsilon in (EPSILON, 0):
            # one column of a bin a record, five times: that is one record in five columns, each
            alone = np.minimum(np.arange(len(label)), len(rows)).astype(np.int64)
            counts = opened(label, [alone] * AIMED_COLUMNS, epsilon)
            lean = sum(2.0 * each[: len(rows), 0] - each[: len(rows), 1] for each in counts)
            tie = rng.random(len(rows)) < 0.5
            guess = np.where(lean == 0, tie, lean > 0)
            said = f"epsilon {epsilon / 1000:g}" if epsilon else "without noise"
            yield Finding(
                attack="",
                protocol=PROTOCOL,
                data=f"{name}, {len(label):,} rows",
                who="partner, lies: bins of one record",
                what=f"labels out of {len(rows)} of equal classes, each record alone in a bin of "
                f"{AIMED_COLUMNS} columns; {said}",
                figure=float((guess == (label[: len(rows)] == 1)).mean()),
                baseline=0.5,
                more={"epsilon": epsilon / 1000, "columns": AIMED_COLUMNS},
            )

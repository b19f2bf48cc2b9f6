"""What the receiver is shown of boosted trees: importance, reasons, metrics, a comparison.

An own column's reason names the column and its bin; of a partner's data only the sum of what its
splits moved is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from federated.contract.kinds.train_trees import grown_rows, plan_of, told_levels
from federated.evaluation import Interval, auc
from federated.hidden_trees.plan import score_step
from federated.readers.canonical import canonical
from federated.steps.facts import load_table
from federated.steps.outcome import Boosted, Grown, HiddenGrown, Outcome
from federated.steps.train_trees import ways_of
from federated.tables.source import Source
from federated.text import plain
from federated.trees import Binning, Layout, grow_alone
from federated.trees.binning import CategoryBins, NumberBins
from federated.trees.saved import added
from profiles.baseline import Comparison
from profiles.reasons import column_words, worded
from profiles.report.measured import Importance

__all__ = [
    "coarse_scores",
    "compare_trees",
    "hidden_metrics",
    "hidden_notes",
    "path_reasons",
    "trees_importance",
    "trees_metrics",
    "trees_notes",
    "trees_reasons",
    "without_split",
]

_WIDE = 1.5
"""Of steps that wide, in standard deviations of what was told, a fifth of its variance is error."""
_TOP = 3
"""Own columns in a reason, at most."""


def trees_importance(trained: Grown, receiver: str) -> tuple[Importance, ...]:
    """How far each own column, and each partner's as a whole, moves log odds."""
    names = [each.name for each in _bins(trained)]
    spread = trained.moved.std(axis=0) if len(trained.moved) else np.zeros(trained.moved.shape[1])
    ways = {c: 1 for one in trained.terms.rising if one.party == receiver for c in one.columns}
    ways |= {c: -1 for one in trained.terms.falling if one.party == receiver for c in one.columns}
    own = [
        Importance(receiver, column_words(name), float(size), ways.get(name, 0))
        for name, size in zip(names, spread[: len(names)], strict=True)
    ]
    theirs = [
        Importance(name, f"all columns of {name}", float(size), 0, columns)
        for (name, columns), size in zip(trained.brought.items(), spread[len(names) :], strict=True)
    ]
    return (*own, *theirs)


def trees_reasons(trained: Grown, table: pa.Table) -> pa.Array:
    """The largest contributions of each row of `table`, largest first: list<string>[rows].

    Each reads like "balance over 1200 (+0.42)"; the partner's "partner bureau (+0.31)".
    """
    moved = trained.moved - trained.average
    return path_reasons(_bins(trained), trained.bins, moved, trained.terms.partners, table)


def path_reasons(
    columns: Sequence[NumberBins | CategoryBins],
    bins: Sequence[np.ndarray],
    moved: np.ndarray,
    partners: Sequence[str],
    table: pa.Table | None = None,
) -> pa.Array:
    """The same of any rows whose paths are known.

    Args:
        columns, bins: own ones, and of each the rows' bins.
        moved: float64[rows, columns + partners], by how much each moves a row's score from that
            of the average row of the training.
        partners: their names.
        table: the rows; what has no bin is said as it is with it, and without as its bin.
    """
    texts, codes = list[str](), []
    held = None if table is None else canonical(table.select([each.name for each in columns]))
    for each, own in zip(columns, bins, strict=True):
        code, words = own.astype(np.int64), _bin_words(each)
        if held is not None:
            gone, rare = each.without(held)
            code[gone], code[rare] = len(words), len(words) + 1
            said = column_words(each.name)
            words += [f"{said} missing", f"{said} is a rare one"]
        codes.append(len(texts) + code)
        texts += words
    first = len(columns)
    for name in partners:
        codes.append(np.full(len(moved), len(texts), np.int64))
        texts.append(f"partner {plain(name, 60)}")
    code = np.stack(codes, axis=1)
    kept = np.argsort(-np.abs(moved[:, :first]), axis=1, kind="stable")[:, :_TOP]
    every = np.tile(np.arange(first, moved.shape[1]), (len(kept), 1))
    kept = np.hstack([kept, every])
    return worded(
        texts, np.take_along_axis(code, kept, axis=1), np.take_along_axis(moved, kept, axis=1)
    )


def trees_metrics(trained: Grown) -> dict[str, Any]:
    """How trees were grown, and what that told."""
    forest, terms = trained.trees.forest, trained.terms
    held = (trained.folds >= 0) & (trained.label >= 0)
    gains = trained.trees.importance(terms.partners).items()
    found = {
        "trees": len(forest.trees),
        "depth": terms.depth,
        "held_out_rows": int(held.sum()),
        "row_bits": max(told_levels(terms, name) for name in terms.partners),
        "row_bits_told": max(trained.told_levels),
        "partner_splits": forest.partner_splits,
        "gain": {name: float(f"{g:.4g}") for name, g in gains},
    }
    if len(terms.partners) > 1:
        found["by_partner"] = {
            name: {
                "row_bits": told_levels(terms, name),
                "row_bits_told": told,
                "splits": splits,
                "auc_added": {k: round(getattr(worth, k), 4) for k in ("mean", "low", "high")},
            }
            for (name, told, splits), worth in zip(
                _of_partners(trained), _added(trained), strict=True
            )
        }
    return found


def _of_partners(trained: Grown) -> Iterator[tuple[str, int, int]]:
    """Each partner's name, levels on which it told a bit of a row, and how many splits it has."""
    splits = trained.trees.forest.splits_of
    yield from zip(trained.terms.partners, trained.told_levels, splits, strict=True)


def _added(trained: Grown) -> tuple[Interval, ...]:
    """Of each partner the AUC that what its splits move brings, on held-out rows."""
    label = np.where(trained.folds >= 0, trained.label, np.int8(-1))
    theirs = trained.moved[:, -len(trained.terms.partners) :]
    return added(label, trained.model.link(trained.scores), theirs)


def trees_notes(trained: Grown) -> tuple[str, ...]:
    """Sentences beneath a report's model."""
    grown = f"{len(trained.trees.forest.trees)} trees of up to {trained.terms.depth} levels, with "
    several, found = len(trained.terms.partners) > 1, []
    for name, told, splits in _of_partners(trained):
        most = told_levels(trained.terms, name)
        after = "on its levels after them" if several else "after them"
        spent = f" These are spent: splits {after} are of own columns only." * (told >= most)
        found.append(
            f"{grown}{splits} splits of {name}'s. They told {told} bits of each shared record, of "
            f"{most} allowed.{spent}"
        )
    if several:
        for name, worth in zip(trained.terms.partners, _added(trained), strict=True):
            found.append(
                f"What {name}'s splits move is worth {worth.mean:.3f} of AUC [{worth.low:.3f}, "
                f"{worth.high:.3f}] in these trees. Trees grown without it would lose less where "
                "other columns say the same."
            )
    return (*found, *trained.trees.binning.notes)


def without_split(trained: Grown) -> tuple[str, ...]:
    """A warning where no tree has a split, with the cause as far as it is known."""
    if any(tree.kind.any() for tree in trained.trees.forest.trees):
        return ()
    terms = trained.terms
    rows = grown_rows(terms, int(np.count_nonzero(np.asarray(trained.label) >= 0)))
    begun = "No tree has a split, so all records have one score: "
    if 2 * terms.least_rows > rows:
        return (
            f"{begun}least_rows = {terms.least_rows:,} is above half of the {rows:,} shared "
            "records that a tree is grown on.",
        )
    return (
        f"{begun}none gains anything for the {rows:,} shared records that a tree is grown on, with "
        f"least_rows = {terms.least_rows:,} and least_weight = {terms.least_weight / 1000:g}.",
    )


def hidden_metrics(trained: HiddenGrown) -> dict[str, Any]:
    """How trees were grown that told no row's side."""
    held = (trained.folds >= 0) & (trained.label >= 0)
    return {
        "trees": trained.terms.trees,
        "depth": trained.terms.depth,
        "held_out_rows": int(held.sum()),
        "score_bits": trained.terms.score_bits,
        "partner_splits": int((trained.splits < 0).sum()),
    }


def hidden_notes(trained: HiddenGrown) -> tuple[str, ...]:
    """Sentences beneath a report's model."""
    partner, terms = trained.terms.partners[0], trained.terms
    return (
        f"{terms.trees} trees of {terms.depth} levels, with {int((trained.splits < 0).sum())} "
        f"splits of {partner}'s. They told each shared record's score in {terms.score_bits} bits "
        "and no side of a split, so there are no reasons and no importance.",
        *trained.binning.notes,
    )


def coarse_scores(trained: HiddenGrown) -> tuple[str, ...]:
    """A warning where the steps of scores are wider than what scores differ by."""
    bits, margin = trained.terms.score_bits, trained.model.link(trained.scores)
    step, told = score_step(bits), float(margin.var()) if len(margin) else 0.0
    if step <= _WIDE * math.sqrt(told):
        return ()
    own = math.sqrt(max(0.0, told - step**2 / 12))  # errors are even over a step
    return (
        f"score_bits = {bits} leaves each score an error of up to {step / 2:g} log odds, where the "
        f"trees' own scores differ by about {own:.2f} (one standard deviation): AUC and the order "
        "of lists suffer from it, whatever the trees know. One bit more halves it.",
    )


def compare_trees(
    trained: Boosted, outcomes: Mapping[str, Outcome], tables: Mapping[str, Source]
) -> Comparison:
    """Trees grown on all columns in one process, without a cap on bits; AUCs of held-out rows.

    As many as were kept, on all rows that are not held out; of several partners without turns.
    `tables` are every party's copies of the job.
    """
    contract, own = next(iter(outcomes.values())).contract, trained.binning
    columns, bins, brought = [*own.layout.columns], [*trained.bins], {}
    for name in trained.terms.partners:
        rows = load_table(contract.party(name), tables[name]).take(outcomes[name].rows)
        brought[name] = theirs = Binning.fit(rows, contract.features(trained.terms, name))
        columns += theirs.layout.columns
        bins += theirs.transform(rows)
    layout = Layout(tuple(columns))
    held, label = trained.folds >= 0, np.asarray(trained.label, np.int8)
    terms = trained.terms
    kept = len(trained.trees.forest.trees) if isinstance(trained, Grown) else terms.trees
    plan = replace(plan_of(contract, terms), trees=max(1, kept), patience=0, subsample=1.0)
    ways = ways_of(terms, contract.receiver, own)
    for name, theirs in brought.items():
        ways += ways_of(terms, name, theirs)
    margin = grow_alone(bins, layout, label, plan, used=(label >= 0) & ~held, ways=ways)[1]
    scores = trained.model.predict(margin)
    held &= label >= 0
    return Comparison(
        task=trained.terms.task,
        score_difference=float(np.abs(scores - trained.scores).max()),
        coefficient_difference=float("nan"),
        fold_score_difference=float("nan"),
        central_auc=auc(label[held], scores[held]),
        federated_auc=auc(label[held], trained.scores[held]),
    )


def _bins(trained: Grown) -> tuple[NumberBins | CategoryBins, ...]:
    return trained.trees.binning.columns


def _bin_words(each: NumberBins | CategoryBins) -> list[str]:
    """What a column is in each of its bins."""
    name = column_words(each.name)
    missing = [f"{name} missing"] * each.missing
    if isinstance(each, CategoryBins):
        known = [f"{name} is {plain(category, 40)}" for category in each.categories]
        return [*known, *[f"{name} is a rare one"] * each.other, *missing]
    if not each.edges:
        return [f"{name} known", *missing]
    ends = [f"{edge:g}" for edge in each.edges]
    between = [f"{name} {low} to {high}" for low, high in pairwise(ends)]
    return [f"{name} up to {ends[0]}", *between, f"{name} over {ends[-1]}", *missing]

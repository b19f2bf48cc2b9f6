"""All parties in one process: a training as one call."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from federated.trees.binning import Binning
from federated.trees.feature_party import FeatureParty
from federated.trees.label_party import LabelParty
from federated.trees.plan import MOST_PARTNERS, TreesPlan
from federated.trees.saved import FeatureModel, LabelModel
from psi.protocol import Context, MisuseError, Pair

__all__ = ["boost_trees"]


@overload
def boost_trees(
    own: Any,
    label: ArrayLike,
    partner: list[Any],
    columns: Sequence[str] = (),
    partner_columns: Sequence[Sequence[str]] = (),
    *,
    trees: int = 20,
    row_bits: int,
    valid: ArrayLike | None = None,
    **terms: Any,
) -> tuple[LabelModel, *tuple[FeatureModel, ...]]: ...


@overload
def boost_trees(
    own: Any,
    label: ArrayLike,
    partner: Any,
    columns: Sequence[str] = (),
    partner_columns: Sequence[str] = (),
    *,
    trees: int = 20,
    row_bits: int,
    valid: ArrayLike | None = None,
    **terms: Any,
) -> tuple[LabelModel, FeatureModel]: ...


def boost_trees(
    own: Any,
    label: ArrayLike,
    partner: Any,
    columns: Sequence[str] = (),
    partner_columns: Sequence[Any] = (),
    *,
    trees: int = 20,
    row_bits: int,
    valid: ArrayLike | None = None,
    **terms: Any,
) -> tuple[LabelModel, *tuple[FeatureModel, ...]]:
    """Boosted trees on aligned rows of two to four tables: all parties' parts.

    Args:
        own: the label party's table, of Arrow or what `pyarrow.table` takes: a DataFrame, a dict.
        label: `[rows]`, 1 and 0, -1 where there is none.
        partner: the feature party's table alike, of the same rows in the same order; or a list of
            one to three such tables, a feature party each.
        columns, partner_columns: the features of each; empty: all columns. With a list of tables
            `partner_columns` has a sequence for each.
        trees: at most.
        row_bits: of a row that the label party may learn of each feature party, over all levels of
            all trees.
        valid: `bool[rows]`, the validation part, with a `patience` among `terms`.
        terms: more of `TreesPlan`: depth, rate, penalty, least_weight, least_rows, least_gain,
            subsample, patience.

    Returns: the label party's part, and each feature party's. Of several their `sides` stand one's
        below the other's (`numpy.vstack`) wherever the label party's part takes them.

    Raises:
        InputError: values that are not finite numbers in a column of numbers.
        MisuseError: tables that do not fit together, terms out of range.
        Refused: too few rows of a class.

        >>> rows = np.arange(400)
        >>> y = (rows % 7 < 3) ^ (rows % 2 == 0)
        >>> mine, theirs = boost_trees({"a": rows % 7}, y, {"b": rows % 2}, trees=2, row_bits=8)
        >>> scores = mine.scores(pa.table({"a": [1, 1]}), theirs.sides(pa.table({"b": [0, 1]})))
        >>> (scores > 0).tolist()
        [False, True]
    """
    several = isinstance(partner, list)
    own, others = pa.table(own), [pa.table(each) for each in (partner if several else [partner])]
    names = [*partner_columns] if several and partner_columns else [partner_columns] * len(others)
    if not 1 <= len(others) <= MOST_PARTNERS or len(names) != len(others):
        raise MisuseError(
            f"{len(others)} partners' tables and columns of {len(names)} found, 1 to "
            f"{MOST_PARTNERS} of each allowed"
        )
    for each in others:
        if own.num_rows != each.num_rows:
            raise MisuseError(
                f"{own.num_rows} and {each.num_rows} rows found: they must be aligned"
            )
    answers = np.asarray(label, np.int8)
    held = np.zeros(len(answers), np.bool_) if valid is None else np.asarray(valid, np.bool_)
    mine = Binning.fit(own, list(columns) or own.column_names, (answers >= 0) & ~held)
    theirs = [
        Binning.fit(each, list(chosen) or each.column_names)
        for each, chosen in zip(others, names, strict=True)
    ]
    if not all(each.columns for each in theirs):
        raise MisuseError("a partner that has no column with two bins")
    plan = TreesPlan(rows=own.num_rows, trees=trees, row_bits=row_bits, **terms)
    plan = replace(plan, partners=len(others))
    session, parties = secrets.token_bytes(32), [f"feature {at}" for at in range(len(others))]

    def context(party: str) -> Context:
        return Context(session, "trees", party, secrets.token_bytes)

    label_party = LabelParty(
        context("label"),
        parties,
        mine.transform(own),
        mine.layout,
        answers,
        plan=plan,
        valid=None if valid is None else held,
    )
    feature_parties = [
        FeatureParty(
            context(name), "label", bins.transform(each), bins.layout, plan=plan, number=at
        )
        for at, (name, each, bins) in enumerate(zip(parties, others, theirs, strict=True))
    ]
    found = Pair(label_party, *feature_parties).run()
    parts = [FeatureModel.of(found[name], bins) for name, bins in zip(parties, theirs, strict=True)]
    return LabelModel.of(found["label"], mine), *parts

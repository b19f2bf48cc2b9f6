"""Both parties in one process: a training as one call."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from federated.trees.binning import Binning
from federated.trees.feature_party import FeatureParty
from federated.trees.label_party import LabelParty
from federated.trees.plan import TreesPlan
from federated.trees.saved import FeatureModel, LabelModel
from psi.protocol import Context, MisuseError, Pair

__all__ = ["boost_trees"]


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
) -> tuple[LabelModel, FeatureModel]:
    """Boosted trees on aligned rows of two tables: both parties' parts.

    Args:
        own: the label party's table, of Arrow or what `pyarrow.table` takes: a DataFrame, a dict.
        label: `[rows]`, 1 and 0, -1 where there is none.
        partner: the feature party's table alike, of the same rows in the same order.
        columns, partner_columns: the features of each; empty: all columns.
        trees: at most.
        row_bits: of a row that the label party may learn, over all levels of all trees.
        valid: `bool[rows]`, the validation part, with a `patience` among `terms`.
        terms: more of `TreesPlan`: depth, rate, penalty, least_weight, least_rows, least_gain,
            subsample, patience.

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
    own, partner = pa.table(own), pa.table(partner)
    if own.num_rows != partner.num_rows:
        raise MisuseError(f"{own.num_rows} and {partner.num_rows} rows found: they must be aligned")
    answers = np.asarray(label, np.int8)
    held = np.zeros(len(answers), np.bool_) if valid is None else np.asarray(valid, np.bool_)
    mine = Binning.fit(own, list(columns) or own.column_names, (answers >= 0) & ~held)
    theirs = Binning.fit(partner, list(partner_columns) or partner.column_names)
    if not theirs.columns:
        raise MisuseError("the partner has no column with two bins")
    plan = TreesPlan(rows=own.num_rows, trees=trees, row_bits=row_bits, **terms)
    session = secrets.token_bytes(32)

    def context(party: str) -> Context:
        return Context(session, "trees", party, secrets.token_bytes)

    label_party = LabelParty(
        context("label"),
        ["feature"],
        mine.transform(own),
        mine.layout,
        answers,
        plan=plan,
        valid=None if valid is None else held,
    )
    feature_party = FeatureParty(
        context("feature"), "label", theirs.transform(partner), theirs.layout, plan=plan
    )
    found = Pair(label_party, feature_party).run()
    return LabelModel.of(found["label"], mine), FeatureModel.of(found["feature"], theirs)

"""The label party of a regression on private sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.regression.plan import RegressionPlan
from federated.regression.results import Floats, LabelFit
from psi.protocol import Context, Role

__all__ = ["LabelParty"]


class LabelParty(Role[LabelFit]):
    """Holds the labels; learns its own part of the model and every row's score.

    Args:
        context: of the session; its store keeps trees, up to 16 bytes a level, row and column.
        partners: the feature parties, in the contract's order; one.
        x: `float64[n, a]`, own design columns of the aligned rows, standardised, no intercept.
            Columns of 0 and 1 that stand side by side and exclude each other are one category.
        label: `[n]`: logistic 1 and 0, -1 where there is none: these rows are only scored; else
            `float64`, NaN where there is none.
        plan: the contract's terms.
        folds: `int[n]`, the fold of each labelled row, -1 elsewhere; None for no folds.
        records: `int64[n]`, each row's record, where one has several rows.
        most: how many design columns each partner stated; None: whatever it says.

    Raises:
        InputError: columns that are not finite.
        MisuseError: arguments that do not fit together or to the plan.
        Refused: too few rows, or too few of a class.
    """

    def __init__(
        self,
        context: Context,
        partners: Sequence[str],
        x: Floats,
        label: NDArray[Any],
        *,
        plan: RegressionPlan,
        folds: NDArray[Any] | None = None,
        records: NDArray[np.int64] | None = None,
        most: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(context)
        raise NotImplementedError

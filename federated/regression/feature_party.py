"""The feature party of a regression on private sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federated.regression.plan import RegressionPlan
from federated.regression.results import FeatureFit, Floats
from psi.protocol import Context, Role

__all__ = ["FeatureParty"]


class FeatureParty(Role[FeatureFit]):
    """Holds columns; learns its own coefficients, the labelled rows and their folds.

    Args:
        context: of the session; its store keeps trees, up to 16 bytes a level, row and column.
        label_party: its name.
        x: `float64[n, b]`, design columns of the aligned rows, standardised; b at least 1.
            Columns of 0 and 1 that stand side by side and exclude each other are one category.
        plan: the contract's terms, from which the label party may not depart.
        most: how many design columns the label party stated; None: whatever it says.
        records: `int64[n]`, each row's record, where one has several rows.
        repeats: `int64[n]`, the row of the table that each is, where one is in several pairs.

    Raises:
        InputError: columns that are not finite.
        MisuseError: arguments that do not fit together or to the plan.
        Refused: too few rows, or a column that would speak of single rows.
    """

    def __init__(
        self,
        context: Context,
        label_party: str,
        x: Floats,
        *,
        plan: RegressionPlan,
        most: int | None = None,
        records: NDArray[np.int64] | None = None,
        repeats: NDArray[np.int64] | None = None,
    ) -> None:
        super().__init__(context)
        raise NotImplementedError

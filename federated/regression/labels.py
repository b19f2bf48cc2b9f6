"""What the label party is to predict, in the units that a regression runs in.

Numbers of a linear model are taken less their mean and in powers of two of about what own columns
leave of them: "standard errors" then are ones, and noise covers how far labels lie from each other,
not from zero. Weights and offsets stay with the label party: an offset is a part of its score, a
weight of the lanes that it gives into a lookup.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.regression.alone import alone
from federated.regression.guards import check_answers
from federated.regression.results import Floats
from psi.protocol import InputError, MisuseError

__all__ = ["Labels"]

_FARTHEST = 60


@dataclass(frozen=True, repr=False, kw_only=True)
class Labels:
    """Of each row whether it has a label `bool[n]`; label, weight and offset `float64[n]`.

    A label is `centre` + 2^`scale` times `y`; offsets are in the same unit as `y`.
    """

    known: NDArray[np.bool_]
    y: Floats
    weights: Floats
    offset: Floats
    centre: float = 0.0
    scale: int = 0
    classes: bool = False

    @classmethod
    def of(
        cls,
        link: str,
        label: NDArray[Any],
        x: Floats,
        penalty: float,
        weights: Floats | None,
        offset: Floats | None,
    ) -> Labels:
        """The labels of rows with own columns `x: float64[n, a]`.

        Raises:
            InputError: labels, weights or offsets that the link does not allow.
            MisuseError: not one a row, or weights of a linear model.
            Refused: too few of a class, or for the columns.
        """
        known, y = check_answers(link, label, x)
        if weights is not None and link == "linear":
            raise MisuseError("weights of a linear regression found, none allowed")
        own = _checked(weights, known, 1.0, "weight")
        if (own[known] <= 0).any():
            raise InputError(
                f"{int((own[known] <= 0).sum())} rows with a weight of 0 or less",
                hint="take the label of such a row out: it is scored then, and not trained on",
            )
        found = cls(
            known=known,
            y=y,
            weights=own,
            offset=_checked(offset, known, 0.0, "offset"),
            classes=link == "logistic",
        )
        return found._scaled(x, penalty) if link == "linear" else found

    def _scaled(self, x: Floats, penalty: float) -> Labels:
        rows = self.known
        centre = float((self.y - self.offset)[rows].mean())
        y = np.where(rows, self.y - centre, 0.0)
        design = np.column_stack([np.ones(int(rows.sum())), x[rows]])
        penalties = np.append(0.0, np.full(x.shape[1], penalty))
        fit = alone("linear", design, (y - self.offset)[rows], penalties)
        left = float(np.std((y - self.offset)[rows] - design @ fit))
        scale = int(np.clip(np.rint(np.log2(left)), -_FARTHEST, _FARTHEST)) if left > 0 else 0
        y, offset = np.ldexp(y, -scale), np.ldexp(self.offset, -scale)
        return replace(self, y=y, offset=offset, centre=centre, scale=scale)

    @property
    def unit(self) -> int:
        """Of residuals: the power of two from the largest label's magnitude times its weight on.

        A label of 0 counts as its row might have had: as 1 of classes, else as the mean. Of classes
        of weights that are all 1 the unit is 1.
        """
        rows, sizes = self.known, np.abs(self.y)
        might = 1.0 if self.classes else float(sizes[rows].mean()) if rows.any() else 0.0
        most = self.weights * np.maximum(sizes, max(might, 2.0**-_FARTHEST))
        found = float(most[rows].max(initial=2.0**-_FARTHEST))
        return int(np.clip(np.ceil(np.log2(found)), -_FARTHEST, _FARTHEST))

    def told(self, predictions: Floats) -> Floats:
        """Predictions in the label's own unit."""
        return np.asarray(self.centre + np.ldexp(predictions, self.scale))


def _checked(numbers: Floats | None, known: NDArray[np.bool_], none: float, what: str) -> Floats:
    """`float64[n]`, `none` where nothing is said."""
    if numbers is None:
        return np.full(len(known), none)
    found = np.asarray(numbers, np.float64)
    if found.shape != known.shape:
        raise MisuseError(f"one {what} a row is needed")
    if strange := int(np.count_nonzero(~np.isfinite(found[known]))):
        raise InputError(
            f"{strange} rows with a label and without a finite {what}",
            hint=f"give them a {what}, or take their label out",
        )
    return np.where(np.isfinite(found), found, none)

"""What either party checks before a fit, so that no number speaks of single rows."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from federated.regression.messages import MOST_COLUMNS
from federated.regression.plan import MOST_FOLDS
from federated.regression.results import Floats
from federated.sharing.messages import MOST_ROWS
from psi.protocol import InputError, MisuseError, PeerError, Refused

__all__ = [
    "CLASS_ROWS",
    "FOLD_ROWS",
    "ROWS_A_COLUMN",
    "check_answers",
    "check_classes",
    "check_columns",
    "check_folds",
    "check_label",
    "check_own_columns",
    "check_records",
    "check_rows",
    "check_width",
    "folds_of",
]

# the fewest rows that differ from a column's most frequent value: of a feature party's columns
# aligned ones, and labelled ones among them; of the label party's own labelled ones
SUPPORT, LABELLED_SUPPORT = 20, 5
# the fewest labelled rows of a fold, and of a class
FOLD_ROWS, CLASS_ROWS = 20, 20
ROWS_A_COLUMN = 4
"""The fewest labelled rows for each column of all parties together, and aligned ones for one's own.

An evaluation opens a sum of each own column to each party: with as many sums as rows these are the
rows' residuals.
"""
# the most that a fold's size may differ from the mean: so many standard deviations of a random deal
UNEVEN = 6.0


class RowsSetup(Protocol):
    """What a label party says of its rows."""

    @property
    def labelled(self) -> NDArray[np.uint8]:
        """1 where there is a label, else 0."""

    @property
    def fold(self) -> NDArray[Any]:
        """Of each labelled row, -1 elsewhere."""

    @property
    def folds(self) -> int:
        """How many there are."""


# the feature party


def check_columns(x: Floats) -> None:
    """Finite, not too many for the rows, none with fewer than SUPPORT rows off its mode."""
    if x.ndim != 2 or not 1 <= x.shape[1] <= MOST_COLUMNS:
        raise MisuseError(f"columns of shape {x.shape} found, rows x 1 to {MOST_COLUMNS} allowed")
    if not np.isfinite(x).all():
        raise InputError("columns with values that are not finite numbers")
    check_width(len(x), x.shape[1], "aligned")
    _check_support(x, SUPPORT, "aligned")


def check_records(x: Floats, records: NDArray[np.int64]) -> None:
    """The same support by records, where one has several rows: `records` is each row's."""
    rare = 0
    for column in x.T:
        _, place, counts = np.unique(column, return_inverse=True, return_counts=True)
        rare += len(np.unique(records[place.reshape(-1) != counts.argmax()])) < SUPPORT
    _refuse_rare(rare, x.shape[1], SUPPORT, "records")


def check_rows(setup: RowsSetup, x: Floats, others: int, records: NDArray[np.int64] | None) -> None:
    """The label party's rows and folds against this party's columns.

    `others` counts all other parties' columns. Raises PeerError or Refused.
    """
    if len(setup.labelled) != len(x) or len(setup.fold) != len(x):
        raise PeerError(f"{len(setup.labelled)} aligned rows at the label party, {len(x)} here")
    labelled = setup.labelled == 1
    if setup.labelled.max(initial=0) > 1 or np.any(setup.fold[~labelled] != -1):
        raise PeerError("labelled rows or folds are malformed")
    check_width(int(np.count_nonzero(labelled)), x.shape[1] + others)
    _check_support(x[labelled], LABELLED_SUPPORT, "labelled")
    _check_folds(setup, labelled, records)


def check_width(rows: int, columns: int, what: str = "labelled") -> None:
    """Raise Refused unless columns are much fewer than rows, `what` says of which kind."""
    if rows < ROWS_A_COLUMN * columns:
        raise Refused(
            f"{rows} {what} rows for {columns} columns; "
            f"at least {ROWS_A_COLUMN} rows a column are allowed",
            hint="use fewer features",
        )


def _check_support(x: Floats, least: int, what: str) -> None:
    rare = sum(_off_mode(column) < least for column in x.T)
    _refuse_rare(rare, x.shape[1], least, f"{what} rows")


def _refuse_rare(rare: int, columns: int, least: int, what: str) -> None:
    if rare:
        raise Refused(
            f"{rare} of {columns} columns differ from their most frequent value in fewer than "
            f"{least} {what}",
            hint="their coefficients would speak of single rows: leave these columns out",
        )


def _off_mode(column: Floats) -> int:
    _, counts = np.unique(column, return_counts=True)
    return len(column) - int(counts.max())


def _check_folds(
    setup: RowsSetup, labelled: NDArray[np.bool_], records: NDArray[np.int64] | None
) -> None:
    if not setup.folds:
        if np.any(setup.fold != -1):
            raise PeerError("folds of rows without a cross-validation")
        return
    folds = setup.fold[labelled]
    if folds.min(initial=0) < 0 or folds.max(initial=0) >= setup.folds:
        raise PeerError("a labelled row without a fold")
    _check_one_fold(setup.fold, records)
    sizes = _sizes(folds, setup.folds, None if records is None else records[labelled])
    uneven = _uneven(sizes, "rows" if records is None else "records")
    if uneven:
        raise PeerError(uneven)


def _check_one_fold(folds: NDArray[np.int16], records: NDArray[np.int64] | None) -> None:
    """A record in several folds would have a final number in each, at full bits."""
    if records is None:
        return
    each = np.unique(np.stack([folds, records]), axis=1)[1]
    several = int(np.count_nonzero(np.unique(each, return_counts=True)[1] > 1))
    if several:
        raise Refused(
            f"{several} records are in several folds, or have rows with a label and without",
            hint='label all rows of a record or none, or set folds = 0 or duplicates = "collapse"',
        )


def _sizes(
    folds: NDArray[np.int16], count: int, records: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Rows of each fold; records, where one has several rows: they are dealt together."""
    if records is None:
        return np.bincount(folds, minlength=count)
    _, first = np.unique(np.stack([folds, records]), axis=1, return_index=True)
    return np.bincount(folds[first], minlength=count)


def _uneven(sizes: NDArray[np.int64], what: str) -> str:
    """What is wrong with folds of these sizes: folds are dealt at random, not in equal numbers."""
    mean = sizes.mean()
    far = UNEVEN * np.sqrt(mean * (1 - 1 / len(sizes)))
    even = sizes.max() <= 2 * sizes.min() or np.abs(sizes - mean).max() <= far
    if sizes.min() >= FOLD_ROWS and even:
        return ""
    return (
        f"folds of {int(sizes.min())} to {int(sizes.max())} {what}; even sizes of at least "
        f"{FOLD_ROWS} are allowed"
    )


# the label party


def check_own_columns(x: Floats) -> Floats:
    """`float64[n, a]` of finite numbers; a may be 0."""
    own = np.asarray(x, dtype=np.float64)
    if own.ndim != 2 or own.shape[1] >= MOST_COLUMNS or not 0 < len(own) <= MOST_ROWS:
        raise MisuseError(f"columns of shape {own.shape} found")
    if not np.isfinite(own).all():
        raise InputError("columns with values that are not finite numbers")
    return own


def check_answers(link: str, label: NDArray[Any], own: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Which rows have an answer, and the answers `float64[n]`, 0 where there is none.

    Raises:
        InputError: answers that the link does not allow.
        MisuseError: not one a row.
        Refused: too few of a class, or for the columns.
    """
    if link == "logistic":
        found = check_label(label, own)
        return found >= 0, np.maximum(found, 0).astype(np.float64)
    answers = np.asarray(label, np.float64)
    if answers.shape != (len(own),):
        raise MisuseError("one label a row is needed, NaN for none")
    known = ~np.isnan(answers)
    if not np.isfinite(answers[known]).all():
        raise InputError("labels that are not finite numbers")
    if link == "poisson" and (answers[known] < 0).any():
        raise InputError("labels below 0, which Poisson regression does not allow")
    check_width(int(np.count_nonzero(known)), own.shape[1] + 1)
    return known, np.where(known, answers, 0.0)


def check_label(label: NDArray[Any], own: Floats) -> NDArray[np.int8]:
    """`int8[n]`: 1, 0 and -1, with enough of both classes and enough for the own columns."""
    y = np.asarray(label)
    if y.shape != (len(own),) or not np.isin(y, (-1, 0, 1)).all():
        raise MisuseError("one label a row is needed: 1, 0, or -1 for none")
    counts = check_classes(y)
    check_width(sum(counts), own.shape[1] + 1)
    _check_support(own[y >= 0], SUPPORT, "labelled")
    return y.astype(np.int8)


def check_classes(y: NDArray[Any], records: NDArray[Any] | None = None) -> list[int]:
    """How many are 0 and 1, each enough: rows, or different `records` where rows repeat them.

    A record with rows of both classes, as of several cut-offs, is one of each.
    """
    of = np.arange(len(y)) if records is None else records
    counts = [len(np.unique(of[y == value])) for value in (0, 1)]
    if min(counts) < CLASS_ROWS:
        raise Refused(
            f"{min(counts)} labelled rows of one class; at least {CLASS_ROWS} are needed",
            hint="more shared records with a label are needed",
        )
    return counts


def folds_of(folds: NDArray[Any] | None, label: NDArray[np.int8]) -> NDArray[np.int16]:
    """`int16[n]`: the fold of every labelled row, -1 elsewhere and where there are none."""
    if folds is None:
        return np.full(len(label), -1, dtype=np.int16)
    found = np.asarray(folds)
    if found.shape != label.shape or found.dtype.kind not in "iu":
        raise MisuseError("one fold a row is needed, -1 for none")
    if found.min(initial=0) < -1 or found.max(initial=0) >= MOST_FOLDS:
        raise MisuseError(f"folds are numbered from 0 to at most {MOST_FOLDS - 1}")
    if found.max(initial=-1) >= 0 and not np.array_equal(found >= 0, label >= 0):
        raise MisuseError("every labelled row needs a fold, and no other")
    return found.astype(np.int16)


def check_folds(
    folds: NDArray[np.int16],
    label: NDArray[np.int8],
    records: NDArray[np.int64] | None = None,
) -> None:
    """Raise Refused for folds that a partner would not take, or that hold one class only.

    `records` is each row's, where one has several.
    """
    count = int(folds.max(initial=-1)) + 1
    hint = "use fewer folds, or folds = 0"
    if not count:
        return
    classes = [np.bincount(folds[label == value], minlength=count) for value in (0, 1)]
    known = label >= 0
    _check_one_fold(folds, records)
    sizes = _sizes(folds[known], count, None if records is None else records[known])
    uneven = _uneven(sizes, "rows" if records is None else "records")
    if uneven:
        raise Refused(uneven, hint=hint)
    if min(found.min() for found in classes) < 1:
        raise Refused("a fold without rows of one class; both are needed in each", hint=hint)

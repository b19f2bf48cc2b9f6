"""What either party checks before a fit, so that no number speaks of single rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.vertical.messages import MOST_COLUMNS, MOST_ROWS, Setup
from federated.vertical.newton import Floats
from federated.vertical.plan import MOST_FOLDS, Rows, score_vectors
from psi.protocol import InputError, MisuseError, PeerError, Refused

__all__ = [
    "check_classes", "check_columns", "check_label", "check_own_columns", "check_records",
    "check_setup", "folds_of",
]  # fmt: skip

# the fewest rows that differ from a column's most frequent value, and labelled ones among them
SUPPORT, LABELLED_SUPPORT = 20, 5
# the fewest labelled rows of a fold, and of a class
FOLD_ROWS, CLASS_ROWS = 20, 20
# labelled rows a column of a party, at least
ROWS_A_COLUMN = 2


# the feature party


def check_columns(x: Floats) -> None:
    """Finite, not too many for the rows, none with fewer than SUPPORT rows off its mode."""
    if x.ndim != 2 or not 1 <= x.shape[1] <= MOST_COLUMNS:
        raise MisuseError(f"columns of shape {x.shape} found, rows x 1 to {MOST_COLUMNS} allowed")
    if not np.isfinite(x).all():
        raise InputError("columns with values that are not finite numbers")
    _check_rows(len(x), x.shape[1], "aligned")
    _check_support(x, SUPPORT, "aligned")


def check_records(x: Floats, records: NDArray[np.int64]) -> None:
    """The same support by records, where one has several rows: `records` is each row's."""
    rare = 0
    for column in x.T:
        _, place, counts = np.unique(column, return_inverse=True, return_counts=True)
        rare += len(np.unique(records[place.reshape(-1) != counts.argmax()])) < SUPPORT
    _refuse_rare(rare, x.shape[1], SUPPORT, "records")


def check_setup(setup: Setup, x: Floats, *, rank: int, alone: bool, cap: int) -> None:
    """The label party's plan against the contract's cap and this party's columns.

    `alone`: no other feature party, so that the vectors must be fewer than this party's rank.
    Raises PeerError or Refused.
    """
    n = len(x)
    if len(setup.labelled) != n or len(setup.fold) != n:
        raise PeerError(f"{len(setup.labelled)} aligned rows at the label party, {n} here")
    try:
        vectors = score_vectors(setup.steps, setup.folds, setup.fold_steps)
    except MisuseError as error:
        raise PeerError(error.message) from None
    if vectors > cap:
        raise PeerError(f"{vectors} score vectors planned, at most {cap} contracted")
    if alone and vectors >= rank:
        raise Refused(
            f"{vectors} score vectors for {rank} independent columns; fewer are allowed",
            hint="add columns, or contract fewer steps",
        )
    labelled = setup.labelled == 1
    if setup.labelled.max(initial=0) > 1 or np.any(setup.fold[~labelled] != -1):
        raise PeerError("labelled rows or folds are malformed")
    _check_rows(int(np.count_nonzero(labelled)), x.shape[1], "labelled")
    _check_support(x[labelled], LABELLED_SUPPORT, "labelled")
    _check_folds(setup, labelled)


def _check_rows(rows: int, columns: int, what: str) -> None:
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


def _check_folds(setup: Setup, labelled: Rows) -> None:
    if not setup.folds:
        if np.any(setup.fold != -1):
            raise PeerError("folds of rows without a cross-validation")
        return
    folds = setup.fold[labelled]
    if folds.min(initial=0) < 0 or folds.max(initial=0) >= setup.folds:
        raise PeerError("a labelled row without a fold")
    sizes = np.bincount(folds, minlength=setup.folds)
    if sizes.min() < FOLD_ROWS or sizes.max() > 2 * sizes.min():
        raise PeerError(
            f"folds of {int(sizes.min())} to {int(sizes.max())} rows; even sizes of at least "
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


def check_label(label: NDArray[Any], rows: int, columns: int) -> NDArray[np.int8]:
    """`int8[n]`: 1, 0 and -1, with enough of both classes and enough for the own columns."""
    y = np.asarray(label)
    if y.shape != (rows,) or not np.isin(y, (-1, 0, 1)).all():
        raise MisuseError("one label a row is needed: 1, 0, or -1 for none")
    counts = check_classes(y)
    _check_rows(sum(counts), columns, "labelled")
    return y.astype(np.int8)


def check_classes(y: NDArray[Any]) -> list[int]:
    """How many are 0 and 1, each enough."""
    counts = [int(np.count_nonzero(y == value)) for value in (0, 1)]
    if min(counts) < CLASS_ROWS:
        raise Refused(
            f"{min(counts)} labelled rows of one class; at least {CLASS_ROWS} are allowed",
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

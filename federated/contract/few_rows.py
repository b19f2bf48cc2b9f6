"""What too few rows rule out, whichever of them are shared: known from the parties' row counts.

A job that must end later is refused before anything is disclosed. Folds are dealt at random, so
that a plan whose folds or classes would likely come out too small is refused as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

from federated.contract.kinds.train import TrainTerms, classes
from federated.contract.rows import joined_rows
from federated.regression.guards import CLASS_ROWS, FOLD_ROWS, ROWS_A_COLUMN
from psi.protocol import JobError, Refused

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = [
    "check_brought",
    "check_group",
    "check_labelled",
    "check_overlap",
    "check_training",
    "class_rows",
    "fold_rows",
    "held_class_rows",
]

FAILS = 0.05
"""The most likely that folds may come out too small by the deal alone."""


def fold_rows(folds: int) -> int:
    """The fewest rows of which so many folds likely hold enough each; 0 folds take none."""
    if not folds:
        return 0
    far = NormalDist().inv_cdf(1 - FAILS / folds) * math.sqrt(1 - 1 / folds)
    return math.ceil(folds * ((far + math.sqrt(far * far + 4 * FOLD_ROWS)) / 2) ** 2)


def class_rows(folds: int) -> int:
    """The fewest rows of a class of which every fold likely holds one."""
    spread = math.ceil(folds * math.log(folds / FAILS)) if folds else 0
    return max(CLASS_ROWS, spread)


def held_class_rows(folds: int, early_stop: int = 0) -> int:
    """The fewest rows of a class of which, one part held out by chance, enough are left: three
    standard deviations more. With an `early_stop` a second part is held out, and has as many."""
    most = 1 / max(2, folds)
    least = min(most, 1 - 2 * most) if early_stop else 1 - most
    return math.ceil((CLASS_ROWS + 3 * math.sqrt(CLASS_ROWS)) / least)


def check_overlap(contract: Contract) -> None:
    """Raise `Refused` where a party has fewer rows than a job needs shared ones."""
    for align in contract.align:
        hidden = _several(contract, align.partner)
        for name in (align.partner,) if hidden else (contract.receiver, align.partner):
            rows = contract.party(name).rows
            if rows < align.minimum_overlap:
                raise Refused(
                    f"{name} has {rows:,} rows, at least {align.minimum_overlap:,} shared records "
                    "needed",
                    hint="a lower minimum_overlap in [align], or a larger table",
                )


def check_group(contract: Contract, partner: str, least: int, what: str) -> None:
    """Raise `Refused` where fewer rows than the smallest group that is told can be shared."""
    for name in (partner,) if _several(contract, partner) else (contract.receiver, partner):
        rows = contract.party(name).rows
        if rows < least:
            raise Refused(
                f"{name} has {rows:,} rows, and {what} tells nothing of fewer than {least:,}",
                hint="a lower minimum_group, where the partner allows it, or a larger table",
            )


def _several(contract: Contract, partner: str) -> bool:
    """Whether one record of the receiver's may count with two of the partner's: by several keys."""
    hidden = any(a.reveal == "cardinality" for a in contract.align if a.partner == partner)
    return hidden and len(contract.party(partner).keys) > 1


def check_brought(contract: Contract, terms: TrainTerms, names: Sequence[str] = ()) -> None:
    """Raise `JobError` where one of `names`, or else a partner, has no column to train on."""
    for name in names or terms.partners:
        if not contract.design_columns(terms, name):
            raise JobError(
                f"[[party]] features: no usable column of {name} for '{terms.task}'",
                hint="in each of them too few rows differ from the most frequent value: name "
                f"others, or leave {name} out of the training",
            )


def check_training(contract: Contract, terms: TrainTerms) -> None:
    """Refuse a training that has too few rows even where all that can be shared are.

    Raises:
        JobError: a partner has no column to train on.
        Refused: too few rows for the columns, the folds or two classes.
    """
    check_brought(contract, terms)
    names = (contract.receiver, *terms.partners)
    columns = sum(contract.design_columns(terms, name) for name in names) + 1
    most = joined_rows(contract, terms.partners)
    check_labelled(terms, most, columns, f"'{terms.task}': at most {most:,} rows can be shared")


def check_labelled(terms: TrainTerms, rows: int, columns: int, found: str) -> None:
    """Refuse what so many labelled rows are too few for; `found` says where they are.

    Raises:
        Refused: naming what is needed, and the folds that would do.
    """
    if rows < 2 * CLASS_ROWS:
        raise Refused(
            f"{found}, at least {2 * CLASS_ROWS} needed"
            + f": {CLASS_ROWS} of each class" * classes(terms),
            hint="more rows with a label are needed",
        )
    if rows < ROWS_A_COLUMN * columns:
        raise Refused(
            f"{found}, at least {ROWS_A_COLUMN * columns:,} needed for {columns} columns with the "
            "intercept",
            hint="more rows, or fewer features",
        )
    if rows < fold_rows(terms.folds):
        raise Refused(
            f"{found}, at least {fold_rows(terms.folds):,} needed for {terms.folds} folds",
            hint=_fewer_folds(max((n for n in range(2, 21) if rows >= fold_rows(n)), default=0)),
        )


def _fewer_folds(most: int) -> str:
    return f"folds = {most} in [train], or more rows"

"""A party's own columns turned on single rows: each is zero but for one row that it aims at.

An opened sum of such a column is the row's residual, under the other side's noise, once an
evaluation. `partner`: the sums of all evaluations say the row's label. `receiver`: it knows the
label, so that each says where the partner's score part lies, along another direction each time;
the judge fits the partner's columns by them on half of the rows, and says how much of the other
half's variance they explain.

Both skip the checks of their own software, for the other side never sees these columns. The same
attacks with the software's checks left in are played too: they are to be refused. Sums of many rows
carry noise by default; the noise that a contract may leave out is played beside it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.attack.data import Floats, Ints, Joined, load
from benchmarks.attack.finding import Finding, Scale
from benchmarks.attack.plain import Fit, fitted
from benchmarks.attack.world import why
from federated.regression import MANY_ROWS, feature_party, guards, label_party
from psi.protocol import FedprofileError

__all__ = ["partner", "receiver"]

AIMED = 200
# the checks of its own software that a party skips
_RECEIVER = ((label_party, "check_own_columns"), (guards, "check_label"), (guards, "check_width"))
_PARTNER = ((feature_party, "check_columns"), (feature_party, "check_rows"))
PROTOCOL = "vertical, one partner"


def receiver(scale: Scale) -> Iterator[Finding]:
    """The receiver's indicator columns: how much of the partner's columns its sums say."""
    for name in scale.sets:
        found = load(name, scale.rows)
        rows = _aimed(found)
        what = f"share of the variance of the partner's columns, of {len(rows)} rows aimed at"
        aiming = replace(found, own=_indicators(found, rows))

        def share(fit: Fit, rows: Ints = rows, found: Joined = found) -> float:
            told = np.column_stack([_row_sums(seen.gradients[:, 1:]) for seen in fit.bank])
            return _explained(told, found.partner[rows])

        yield from _played(aiming, "receiver", what, _RECEIVER, share, 0.0)


def partner(scale: Scale) -> Iterator[Finding]:
    """The partner's indicator columns: labels by the signs of its sums."""
    for name in scale.sets:
        found = load(name, scale.rows)
        rows, y = _aimed(found), found.label
        wide = replace(found, partner=np.column_stack([found.partner, _indicators(found, rows)]))

        def right(fit: Fit, rows: Ints = rows, y: Any = y) -> float:
            told = sum(_row_sums(seen.gradients[:, -len(rows) :]) for seen in fit.partner)
            order = np.argsort(np.argsort(told))  # the lowest residuals are ones
            return float(((order < np.count_nonzero(y[rows])) == (y[rows] == 1)).mean())

        ones = float(y[rows].mean())
        chance = ones**2 + (1 - ones) ** 2
        what = f"labels out of {len(rows)} aimed at, told how many are 1"
        yield from _played(wide, "partner", what, _PARTNER, right, chance)


def _played(
    joined: Joined,
    party: str,
    what: str,
    skips: tuple[tuple[Any, str], ...],
    judge: Any,
    baseline: float,
) -> Iterator[Finding]:
    """With its own software's checks, and without: at the default noise, and with none."""
    many = len(joined.label) >= MANY_ROWS
    for lies, noise in ((True, None), *(((True, 0.0),) if many else ()), (False, None)):
        who = f"{party}, lies: indicator columns" if lies else "indicator columns"
        who += ", by its own software" * (not lies)
        shown = float(many) if noise is None else noise
        finding = Finding(
            attack="",
            protocol=PROTOCOL,
            data=joined.told,
            who=who,
            what=f"{what}; noise {shown:g}",
            figure=None,
            baseline=baseline,
            more={"noise": shown},
        )
        try:
            with _skipped(skips if lies else ()):
                figure = judge(fitted(joined, folds=0, noise=noise))
            yield replace(finding, figure=figure)
        except FedprofileError as error:
            yield replace(finding, refused=why(error))


def _row_sums(gradients: Floats) -> Floats:
    """`float64[k]`: of all vectors of an evaluation."""
    return np.asarray(gradients.sum(axis=0))


def _explained(told: Floats, wanted: Floats) -> float:
    """Share of the variance of `wanted` in one half of the rows, by a fit on the other."""
    half = np.arange(len(told)) % 2 == 0
    design = np.column_stack([np.ones(len(told)), told])
    moving = wanted[half].std(axis=0) > 0
    fit = design[~half] @ np.linalg.lstsq(design[half], wanted[half], rcond=None)[0]
    left = ((fit - wanted[~half]) ** 2).mean(axis=0)[moving]
    whole = wanted[~half].var(axis=0)[moving]
    return float(np.clip(1.0 - left.sum() / max(whole.sum(), 1e-12), 0.0, 1.0))


def _aimed(found: Joined) -> Ints:
    """Labelled rows, by chance: the guards want four rows for each column."""
    labelled = np.flatnonzero(found.label >= 0)
    columns = found.partner.shape[1] + found.own.shape[1] + 1
    count = int(min(AIMED, max(1, len(labelled) // 4 - columns - 1)))
    return np.random.default_rng(1).permutation(labelled)[:count]


def _indicators(found: Joined, rows: Ints) -> Floats:
    own = np.zeros((len(found.label), len(rows)))
    own[rows, np.arange(len(rows))] = 1.0
    return own


@contextlib.contextmanager
def _skipped(names: tuple[tuple[Any, str], ...]) -> Iterator[None]:
    """A party without these checks of its own; the other side's stay."""
    with contextlib.ExitStack() as stack:
        for owner, name in names:
            stack.enter_context(patch.object(owner, name, _ANSWERS.get(name, _nothing)))
        yield


def _nothing(*_: Any, **__: Any) -> None:
    """No check."""


_ANSWERS: dict[str, Any] = {
    "check_own_columns": lambda x, *_: np.asarray(x, dtype=np.float64),
    "check_label": lambda label, *_: np.asarray(label, dtype=np.int8),
}

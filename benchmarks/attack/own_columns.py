"""A party's own columns turned on single rows: each is zero but for one row that it aims at.

`receiver`: its sums V = Z'D X_A are then rows of the partner's columns in a secret basis, times a
D_i that it knows; the judge says of how many rows they are one linear map of the partner's.
`partner`: its own final coefficient of such a column says the row's label.

Both skip the checks of their own software, for the other side never sees these columns. The same
attacks with the software's checks left in are played too: they are to be refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.attack.data import Floats, Joined, load
from benchmarks.attack.finding import Finding, Scale
from benchmarks.attack.plain import fitted
from benchmarks.attack.world import why
from federated.vertical import feature_party, label_party
from federated.vertical.system import System
from psi.protocol import FedprofileError

__all__ = ["partner", "receiver"]

AIMED = 200
CLOSE = 1e-3
# the checks of its own software that a party skips
_RECEIVER = ("check_own_columns", "check_label", "check_width")
_PARTNER = ("check_columns", "check_setup")
PROTOCOL = "vertical, emulated without encryption"


def receiver(scale: Scale) -> Iterator[Finding]:
    """The receiver's indicator columns: rows of the partner in a secret basis."""
    for name in scale.sets:
        found = load(name, scale.rows)
        for lies in (True, False):
            who = (
                "receiver, lies: " * lies
                + "indicator columns"
                + ", by its own software" * (not lies)
            )
            what = f"rows of the partner out of {AIMED} aimed at (up to one linear map)"
            try:
                share = _receiver(found, lies)
                yield Finding(
                    attack="",
                    protocol=PROTOCOL,
                    data=found.told,
                    who=who,
                    what=what,
                    figure=share,
                    baseline=0.0,
                )
            except FedprofileError as error:
                yield Finding(
                    attack="",
                    protocol=PROTOCOL,
                    data=found.told,
                    who=who,
                    what=what,
                    figure=None,
                    baseline=0.0,
                    refused=why(error),
                )


def partner(scale: Scale) -> Iterator[Finding]:
    """The partner's indicator columns: labels by the signs of its own coefficients."""
    for name in scale.sets:
        found = load(name, scale.rows)
        y = found.label
        rng = np.random.default_rng(1)
        rows = rng.permutation(np.flatnonzero(y >= 0))[: _aimed(found)]
        wide = replace(found, partner=np.column_stack([found.partner, _indicators(found, rows)]))
        share = float(y[rows].mean())
        for lies in (True, False):
            who = (
                "partner, lies: " * lies
                + "indicator columns"
                + ", by its own software" * (not lies)
            )
            what = f"labels out of {len(rows)} aimed at"
            try:
                with _skipped(feature_party, *_PARTNER * lies):
                    own = fitted(wide, folds=0).coefficients[-len(rows) :]
                right = float(((own > 0) == (y[rows] == 1)).mean())
                yield Finding(
                    attack="",
                    protocol=PROTOCOL,
                    data=found.told,
                    who=who,
                    what=what,
                    figure=right,
                    baseline=max(share, 1 - share),
                )
            except FedprofileError as error:
                yield Finding(
                    attack="",
                    protocol=PROTOCOL,
                    data=found.told,
                    who=who,
                    what=what,
                    figure=None,
                    baseline=None,
                    refused=why(error),
                )


def _aimed(found: Joined) -> int:
    """How many rows: the guards want twice as many rows as columns."""
    return int(min(AIMED, np.count_nonzero(found.label >= 0) // 2 - found.partner.shape[1] - 1))


def _indicators(found: Joined, rows: np.ndarray) -> Floats:
    own = np.zeros((len(found.label), len(rows)))
    own[rows, np.arange(len(rows))] = 1.0
    return own


def _receiver(found: Joined, lies: bool) -> float:
    rng = np.random.default_rng(1)
    rows = rng.permutation(np.flatnonzero(found.label >= 0))[: _aimed(found)]
    told: list[Floats] = []
    whole = System.whole

    def see(self: Any, *args: Any) -> tuple[Floats, Floats]:
        matrix, gradient = whole(self, *args)
        # its own block says each D_i: the diagonal of an indicator is D_i and the penalty
        weights = np.diag(matrix)[1 : self.own] - label_party.PENALTY
        told.append((matrix[self.own :, 1 : self.own] / weights).T)
        return matrix, gradient

    aiming = replace(found, own=_indicators(found, rows))
    with _skipped(label_party, *_RECEIVER * lies), patch.object(System, "whole", see):
        fitted(aiming, folds=0)
    rows_told = told[0]
    wanted = found.partner[rows]
    fit = rows_told @ np.linalg.lstsq(rows_told, wanted, rcond=None)[0]
    return float((np.abs(fit - wanted).max(axis=1) < CLOSE).mean())


@contextlib.contextmanager
def _skipped(owner: Any, *names: str) -> Iterator[None]:
    """A party without these checks of its own; the other side's stay."""
    with contextlib.ExitStack() as stack:
        for name in names:
            if hasattr(owner, name):
                stack.enter_context(patch.object(owner, name, _ANSWERS.get(name, _nothing)))
        yield


def _nothing(*_: Any, **__: Any) -> None:
    """No check."""


_ANSWERS: dict[str, Any] = {
    "check_own_columns": lambda x, *_: np.asarray(x, dtype=np.float64),
    "check_label": lambda label, *_: np.asarray(label, dtype=np.int8),
}

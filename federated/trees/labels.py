"""The label party's labels: rows to train on, and what of their sums may be seen.

Whatever a partner may steer or observe hangs on labels by what `Labels` gives with the label
party's noise (`federated.trees.blur`), whichever way trees are grown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.trees.blur import (
    MOST_CURVATURE,
    blurred,
    blurred_sums,
    guessed,
    heard_penalty,
    noised_base,
)
from federated.trees.booster import base_score
from federated.trees.plan import TreesPlan
from federated.trees.splitting import HESSIAN_BITS, Totals
from psi.protocol import InputError, MisuseError, Refused

__all__ = ["CLASS_ROWS", "Labels", "drawn_rows"]

Mask = NDArray[np.bool_]
Whole = NDArray[np.int64]
Shares = NDArray[np.uint32]

CLASS_ROWS = 20
"""The fewest training rows of a class."""


class Labels:
    """Labels of all rows, and the noise on what is told of them.

    Args:
        label: `int8[n]`, 1 and 0, -1 where there is none: these rows are only scored.
        plan: the contract's terms.
        valid: `bool[n]`, the validation part, if the plan has a `patience`.

    Raises:
        InputError: labels that are none.
        MisuseError: a validation part that the plan has not, or none.
        Refused: too few rows of a class.
    """

    def __init__(self, label: NDArray[np.int8], plan: TreesPlan, valid: Mask | None = None) -> None:
        if (valid is None) != (plan.patience == 0):
            raise MisuseError("a validation part that does not fit the plan")
        if not np.isin(label, (-1, 0, 1)).all():
            raise InputError("labels that are not 0, 1 or -1 for none")
        self._plan = plan
        self.y = np.asarray(label, np.int8)
        self.valid: Mask = (self.y >= 0) & (valid if valid is not None else False)
        self.used: Mask = (self.y >= 0) & ~self.valid
        for rows in (self.used, self.valid) if plan.patience else (self.used,):
            rarer = int(np.bincount(self.y[rows], minlength=2).min())
            if rarer < CLASS_ROWS:
                raise Refused(
                    f"{rarer} rows of the rarer class, at least {CLASS_ROWS} are needed",
                    hint="more rows with a label are needed",
                )

    def base(self, state: Any) -> float:
        """The score of no tree, with noise."""
        base, rows = base_score(self.y, self.used), int(np.count_nonzero(self.used))
        return noised_base(base, rows, self._plan.noise, state.lasting)

    def grown_on(self, state: Any, tree: int) -> Mask:
        """`bool[n]`: the rows of one tree."""
        rows = drawn_rows(state.lasting, tree, len(self.y), self._plan.subsample)
        return np.asarray(self.used & rows)

    def lanes(self, state: Any, tree: int, g: Whole, h: Whole) -> tuple[Whole, ...]:
        """Of each row what is added up: slope, curvature, and where rows are counted whether it is
        one of those that the tree grows on."""
        if not self._plan.least_rows:
            return g, h
        return g, h, self.grown_on(state, tree).astype(np.int64)

    def blurred(self, state: Any, sums: Sequence[Whole], name: str) -> tuple[Whole, ...]:
        """Sums of slopes and of curvatures on the present level with both noises, and of rows.

        Args:
            state: the role's; `lasting` is the seed of the noise that stays.
            sums: in units of 2^-GRADIENT_BITS, of 2^-HESSIAN_BITS, 0 at least, and of one row.
            name: what they are sums of.
        """
        noise, place = self._plan.noise, self._place(state, name)
        random = state.transcript.random(f"{name} {state.level}")
        g = blurred_sums(sums[0], noise, place, state.lasting, random)
        random = state.transcript.random(f"curvatures of {name} {state.level}")
        given = f"curvatures of {place}", state.lasting, random, HESSIAN_BITS
        h = blurred_sums(sums[1], noise * MOST_CURVATURE, *given)
        rows = (self._rows_blurred(state, each, name) for each in sums[2:])
        return g, np.maximum(h, 0), *rows

    def _rows_blurred(self, state: Any, counts: Whole, name: str) -> Whole:
        """Counts of rows with both noises: a row adds one to one of them."""
        random = state.transcript.random(f"rows of {name} {state.level}")
        given = f"rows of {self._place(state, name)}", state.lasting, random, 0
        return blurred_sums(counts, self._plan.noise, *given)

    def counts(self, state: Any, rows: Shares | None, partner: int = 0) -> Shares | None:
        """Own shares of rows on candidates' left sides `uint32[nodes, candidates]`, likewise.

        Less the fewest that a side needs. partner: as in `candidates`.
        """
        if rows is None:
            return None
        random = state.transcript.random(f"rows of candidates {state.level}")
        place = self._place(state, f"candidates {partner}")
        given = f"rows of {place}", state.lasting, random, 0
        return blurred(rows, self._plan.noise, *given) - np.uint32(self._plan.rows_heard)

    def candidates(
        self, state: Any, g: Shares, h: Shares, partner: int = 0
    ) -> tuple[Shares, Shares]:
        """Own shares of candidates' sums `uint32[nodes, candidates]`, likewise.

        partner: whose candidates; partners who put together what wins do not meet one noise twice.
        """
        noise, place = self._plan.noise, self._place(state, f"candidates {partner}")
        random = state.transcript.random(f"noise {state.level}")
        g = blurred(g, noise, place, state.lasting, random)
        random = state.transcript.random(f"noise of curvatures {state.level}")
        given = f"curvatures of {place}", state.lasting, random, HESSIAN_BITS
        return g, blurred(h, noise * MOST_CURVATURE, *given)

    def totals(self, sums: Sequence[Whole], rows: NDArray[Any], own: NDArray[Any]) -> Totals:
        """What the search needs of each node.

        Args:
            sums: G, H and count of each node, with noise, in their units.
            rows: of each node how many, or about so many.
            own: what a split of the partner's has to gain more than, by `search_penalty`.
        """
        penalty, fewest = self.search_penalty, 2 * self._plan.rows_heard
        return Totals(
            gradients=sums[0],
            hessians=sums[1],
            squares=guessed(sums[:2], rows, penalty, self._plan.noise),
            own=own,
            penalty=penalty,
            least=self._plan.least_heard + penalty - self._plan.penalty,
            room=np.maximum(sums[2] - fewest, 0) if fewest else None,
        )

    @property
    def search_penalty(self) -> float:
        """λ by which splits are held against each other."""
        return heard_penalty(self._plan.penalty, self._plan.noise)

    def _place(self, state: Any, name: str) -> str:
        return f"{name} {state.level % self._plan.tree_levels}"


def drawn_rows(secret: bytes, tree: int, rows: int, share: float) -> Mask:
    """The rows that a tree grows on: `bool[rows]`, by a secret of the label party's.

    A partner that knew which trees have a row could take what they tell from what the others tell:
    the noise that stays would be gone, and the row's label not.
    """
    if share >= 1.0:
        return np.ones(rows, np.bool_)
    text = hashlib.sha256(b"rows of trees" + tree.to_bytes(4, "little") + secret)
    drawn = np.frombuffer(hashlib.shake_128(text.digest()).digest(4 * rows), "<u4")
    return np.asarray(drawn < share * 2.0**32)

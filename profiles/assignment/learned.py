"""Which manager does well with which leads, learned from what became of earlier ones.

A lead's outcome is 1 where its first manager kept it and it came to something, else 0: a manager
who rejects everything gains nothing by it. The log-odds of a pair are built in layers:

    what kind of lead it is              the same for all managers
    kind of lead x kind of manager       shared by all managers of a kind (skill, grade ...)
    this manager, and it with this kind  from the manager's own leads, near those of its kind

How much each layer counts is estimated from the same leads (`mixed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profiles.assignment.apart import by_chance
from profiles.assignment.mixed import mixed
from profiles.assignment.traits import Trait, blocks_of, shown
from profiles.routing import compared
from psi.protocol.errors import InputError

__all__ = ["Learned"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

_CHANCE = 0.05
"""Up to which what managers differ by is not taken for chance."""


@dataclass(frozen=True, kw_only=True)
class Learned:
    """Expected outcomes of leads by manager, from earlier leads.

    Make one by `Learned.fit`.

    Attributes:
        traits: how each column of leads is read.
        names: the managers.
        own: `float64[managers, n]`: each one's coefficients, of what is known of a lead.
        doubt: `float64[managers, n, n]`: how uncertain they are, a covariance.
        chance: how often managers who are all alike would differ as much as these.
    """

    traits: tuple[Trait, ...]
    names: pa.Array
    own: Floats
    doubt: Floats
    chance: float = 0.0

    @property
    def apart(self) -> bool:
        """Whether earlier leads tell managers apart."""
        return self.chance <= _CHANCE

    @classmethod
    def fit(
        cls,
        history: pa.Table,
        managers: pa.Table,
        *,
        columns: Sequence[str],
        attributes: Sequence[str] = (),
        manager: str = "manager",
        outcome: str = "outcome",
    ) -> Learned:
        """Learn from earlier leads.

        Args:
            history: a row an earlier lead: `manager`, its first; `outcome`, 0 or 1; `columns`.
            managers: one row a manager: `manager` and `attributes`.
            columns: what is known of leads, of new ones too.
            attributes: what is known of managers.

        Raises:
            InputError: no row, or outcomes that are not 0 or 1.
        """
        names = compared(managers.column(manager))
        who = pc.index_in(compared(history.column(manager)), value_set=names, skip_nulls=True)
        history = history.filter(pc.is_valid(who))
        place = np.asarray(who.drop_null().to_numpy(zero_copy_only=False), np.int64)
        y = history.column(outcome).cast(pa.float64(), safe=False).to_numpy()
        if not len(y) or not np.isin(y, (0.0, 1.0)).all():
            raise InputError(
                f"earlier leads: {len(y):,} of managers that are there, "
                f"{int((~np.isin(y, (0.0, 1.0))).sum()):,} of them without an outcome of 0 or 1"
            )
        traits = tuple(Trait.of(history, column) for column in columns)
        kinds = tuple(Trait.of(managers, column, rows=2) for column in attributes)
        x, z = shown(traits, history), shown(kinds, managers)
        found = mixed(x, place, y, z, blocks_of(traits))
        chance = by_chance(x, place, y, z)
        return cls(traits=traits, names=names, own=found.own, doubt=found.doubt, chance=chance)

    def shown(self, leads: pa.Table) -> Floats:
        """`float64[leads, n]`: what is known of each."""
        return shown(self.traits, leads)

    def values(
        self, x: Floats, managers: Ints, random: np.random.Generator | None = None
    ) -> Floats:
        """`float64[leads, managers]`: the expected outcome of each pair, from 0 to 1.

        Args:
            x: from `shown`.
            managers: int64[managers], places in `names`.
            random: draws each pair as it may be, from what earlier leads leave open; None takes all
                as they are expected to be. Whoever gives leads out by such draws, one a lead, tries
                everybody who is uncertain and may be good (Thompson, Biometrika 25, 1933).
        """
        eta = x @ self.own[managers].T
        squares = (x[:, :, None] * x[:, None, :]).reshape(len(x), x.shape[1] ** 2)
        beyond = np.maximum(squares @ self.doubt[managers].reshape(len(managers), -1).T, 0)
        if random is not None:
            eta += np.sqrt(beyond) * random.standard_normal(eta.shape)
            return np.asarray(1 / (1 + np.exp(-eta)))
        return np.asarray(1 / (1 + np.exp(-eta / np.sqrt(1 + np.pi / 8 * beyond))))

    def open(self, x: Floats, managers: Ints) -> float:
        """How far the expected outcome of an average lead is open, a standard deviation."""
        mean = x.mean(axis=0)
        doubt = np.einsum("i,mij,j->m", mean, self.doubt[managers], mean)
        p = self.values(mean[None], managers)[0]
        return float(np.mean(p * (1 - p) * np.sqrt(np.maximum(doubt, 0))))

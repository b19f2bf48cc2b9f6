"""Which lead goes to which manager, so that all together are expected to come to most.

A few thousand leads are paired one by one (Crouse, "On implementing 2D rectangular assignment
algorithms", IEEE Trans. Aerosp. Electron. Syst. 52, 2016). Of more, leads that are much alike are
one kind, and kinds are given out (`transport`).
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profiles.assignment.learned import Learned
from profiles.assignment.transport import transported

__all__ = ["Outlook"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

_PAIRS = 12_000_000
"""Leads times free places up to which leads are paired one by one: 100 MB."""
_EVEN = 0.25
"""How much of what is open about managers' outcomes a full load weighs."""
_KINDS = 300
"""Most kinds of leads where they are not."""


@dataclass(frozen=True)
class Outlook:
    """What is expected of new leads: `x` float64[leads, n], what is known of them; `drawn`
    bool[leads], for whom managers are taken as they may be, by `random`, else as they most
    likely are."""

    learned: Learned
    x: Floats
    drawn: np.ndarray
    random: np.random.Generator

    @classmethod
    def of(
        cls, learned: Learned, leads: pa.Table, drawn: np.ndarray | None, random: Random
    ) -> Outlook:
        """Of these leads; none is drawn by default."""
        some = np.zeros(leads.num_rows, bool) if drawn is None else drawn
        draws = np.random.default_rng(random.getrandbits(64))
        return cls(learned, learned.shown(leads), some, draws)

    def paired(self, leads: Ints, names: pa.Array, room: Ints) -> Ints:
        """`int64[leads]`: which manager each of some leads goes to, -1 for none.

        Args:
            leads: int64[leads], which.
            names: the managers they may go to, of those that something is learned of.
            room: int64[managers], how many leads each may take.
        """
        found = np.full(len(leads), -1, np.int64)
        if not len(leads) or not room.sum():
            return found
        at = pc.index_in(names, value_set=self.learned.names).to_numpy(zero_copy_only=False)
        who, x, drawn = at.astype(np.int64), self.x[leads], self.drawn[leads]
        places = np.repeat(np.arange(len(who)), np.minimum(room, len(x)))
        if len(x) * len(places) <= _PAIRS:
            from scipy.optimize import linear_sum_assignment  # a node reads job files, has no SciPy

            value = self._values(x, drawn, who)[:, places]
            # what is open does not set colleagues apart: of two who are about alike, the less
            # loaded comes first
            load = np.concatenate([(np.arange(n) + 0.5) / n for n in np.bincount(places) if n])
            value = value - _EVEN * self.learned.open(x, who) * load
            rows, taken = linear_sum_assignment(value, maximize=True)
            found[rows] = places[taken]
            return found
        kind = self._kinds(x, drawn)
        many = np.bincount(kind)
        means = np.stack([np.bincount(kind, column) / many for column in x.T], axis=1)
        value = self._values(means, np.bincount(kind, drawn) > 0, who)
        taken = transported(value, many, room)
        for k in range(len(many)):
            takers = np.repeat(np.arange(len(who)), taken[k])
            found[np.flatnonzero(kind == k)[: len(takers)]] = takers
        return found

    def _values(self, x: Floats, drawn: np.ndarray, who: Ints) -> Floats:
        value = np.empty((len(x), len(who)))
        value[~drawn] = self.learned.values(x[~drawn], who)
        value[drawn] = self.learned.values(x[drawn], who, self.random)
        return value

    def _kinds(self, x: Floats, drawn: np.ndarray) -> Ints:
        """`int64[leads]`: leads of one kind differ little in what managers differ in."""
        whole = np.column_stack([drawn, x])
        different, place = np.unique(whole, axis=0, return_inverse=True)
        place = place.reshape(-1)
        if len(different) <= _KINDS:
            return place.astype(np.int64)
        from sklearn.cluster import MiniBatchKMeans

        spread = self.learned.own.std(axis=0)
        weighed = different * np.concatenate([[10 * np.linalg.norm(spread)], spread])
        clusters = MiniBatchKMeans(_KINDS, random_state=0, n_init=1).fit_predict(weighed)
        apart = 2 * clusters.astype(np.int64) + (different[:, 0] > 0)
        return np.unique(apart[place], return_inverse=True)[1].astype(np.int64)

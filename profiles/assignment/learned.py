"""Which manager does well with which leads, learned from what became of earlier ones.

A lead's outcome is 1 where its first manager kept it and it came to something, else 0: a manager
who rejects everything gains nothing by it. The expected outcome of a pair is built in three layers:

    what kind of lead it is              the same for all managers
    kind of lead x kind of manager       shared by all managers of a kind (skill, grade …)
    this manager, and it with this kind  what is left, from the manager's own leads

The first two are pulled towards zero as far as earlier leads, left out one at a time, say that it
helps (ridge regression: Hoerl and Kennard, Technometrics 12, 1970; PRESS: Allen, Technometrics 16,
1974); the third as far as managers differ, and along what they differ in together (mixed model by
EM: Laird and Ware, Biometrics 38, 1982).

Columns are texts, each value of at least 20 earlier leads a level, the others one; numbers are cut
into fifths of the earlier leads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profiles.routing import compared
from psi.protocol.errors import InputError

__all__ = ["Learned"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

_LEVEL_ROWS = 20
_MOST_LEVELS = 60
_FIFTHS = 5
_GRID = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 1e4)
_PASSES = 30
_SPREAD = 0.1
_PRIOR = 3
"""Managers for each column by which the covariance is drawn towards a plain one."""
_JITTER = 1e-7


@dataclass(frozen=True)
class _Levels:
    """How a column becomes levels: texts in order, or edges of numbers."""

    column: str
    texts: pa.Array | None
    edges: Floats | None

    @classmethod
    def of(cls, table: pa.Table, column: str, rows: int = _LEVEL_ROWS) -> _Levels:
        values = table.column(column)
        if pa.types.is_floating(values.type) or pa.types.is_integer(values.type):
            numbers = values.cast(pa.float64()).to_numpy()
            numbers = numbers[np.isfinite(numbers)]
            if len(np.unique(numbers)) > _FIFTHS:
                inner = np.linspace(0, 1, _FIFTHS + 1)[1:-1]
                return cls(column, None, np.unique(np.quantile(numbers, inner)))
        counts = compared(values).drop_null().value_counts()
        often = [c["values"].as_py() for c in counts if c["counts"].as_py() >= rows]
        return cls(column, pa.array(sorted(often)[:_MOST_LEVELS], pa.string()), None)

    @property
    def many(self) -> int:
        """Levels, the one for all others included."""
        return 1 + (len(self.texts) if self.texts is not None else len(self.edges) + 1)  # type: ignore[arg-type]

    def codes(self, table: pa.Table) -> Ints:
        """`int64[rows]`: each row's level; the last is for what is none."""
        values = table.column(self.column)
        if self.texts is not None:
            found = pc.index_in(compared(values), value_set=self.texts, skip_nulls=True)
            found = found.fill_null(len(self.texts))
            return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)
        numbers = values.cast(pa.float64()).to_numpy()
        edges = np.zeros(0) if self.edges is None else self.edges
        place = np.searchsorted(edges, numbers, side="right").astype(np.int64)
        return np.where(np.isfinite(numbers), place, self.many - 1)


def _shown(levels: Sequence[_Levels], codes: Ints) -> Floats:
    """`float64[rows, levels]`: ones where a row has the level."""
    parts = [np.eye(level.many)[codes[:, j]] for j, level in enumerate(levels)]
    return np.concatenate(parts, axis=1) if parts else np.zeros((len(codes), 0))


@dataclass(frozen=True, kw_only=True)
class Learned:
    """Expected outcomes of leads by manager, from earlier leads.

    Make one by `Learned.fit`.

    Attributes:
        levels: how each column of leads becomes levels.
        kinds: the same of managers' attributes.
        mean: the share of earlier leads with an outcome of 1.
        shared: `float64[n]`: what a lead's levels add, alone and crossed with a manager's.
        names: the managers.
        own: `float64[managers, 1 + n]`: what each manager adds, for all leads and by level.
    """

    levels: tuple[_Levels, ...]
    kinds: tuple[_Levels, ...]
    mean: float
    shared: Floats
    names: pa.Array
    own: Floats

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
        y = history.column(outcome).cast(pa.float64()).to_numpy()
        if not len(y) or not np.isin(y, (0.0, 1.0)).all():
            raise InputError(
                f"earlier leads: {len(y):,} of managers that are there, "
                f"{int((~np.isin(y, (0.0, 1.0))).sum()):,} of them without an outcome of 0 or 1"
            )
        levels = tuple(_Levels.of(history, column) for column in columns)
        kinds = tuple(_Levels.of(managers, column, rows=2) for column in attributes)
        x = _shown(levels, _codes(levels, history))
        a = _shown(kinds, _codes(kinds, managers))
        mean = float(y.mean())
        design = np.concatenate([x, _crossed(x, a[place])], axis=1)
        shared = _ridge(design, y - mean)
        expected = mean + design @ shared
        own = _own(x, place, y - expected, _noise(expected), len(names))
        return cls(levels=levels, kinds=kinds, mean=mean, shared=shared, names=names, own=own)

    def kinds_of(self, leads: pa.Table) -> tuple[Ints, Ints]:
        """Leads that nothing tells apart are of one kind.

        Returns: int64[leads], each one's kind, and int64[kinds, columns], the kinds' levels.
        """
        codes = _codes(self.levels, leads)
        if not codes.shape[1]:
            return np.zeros(len(codes), np.int64), np.zeros((1, 0), np.int64)
        kinds, place = np.unique(codes, axis=0, return_inverse=True)
        return place.reshape(-1).astype(np.int64), kinds

    def values(self, kinds: Ints, managers: pa.Table, manager: str = "manager") -> Floats:
        """`float64[kinds, managers]`: the expected outcome of each pair, from 0 to 1."""
        x = _shown(self.levels, kinds)
        a = _shown(self.kinds, _codes(self.kinds, managers))
        alone, crossed = self.shared[: x.shape[1]], self.shared[x.shape[1] :]
        found = self.mean + (x @ alone)[:, None] + x @ crossed.reshape(x.shape[1], -1) @ a.T
        place = pc.index_in(compared(managers.column(manager)), value_set=self.names)
        known = np.flatnonzero(pc.is_valid(place).to_numpy(zero_copy_only=False))
        mine = self.own[place.drop_null().to_numpy(zero_copy_only=False)]
        found[:, known] += mine[:, 0] + x @ mine[:, 1:].T
        return np.clip(found, 0.0, 1.0)


def _codes(levels: Sequence[_Levels], table: pa.Table) -> Ints:
    found = [level.codes(table) for level in levels]
    return np.stack(found, axis=1) if found else np.zeros((table.num_rows, 0), np.int64)


def _crossed(x: Floats, a: Floats) -> Floats:
    return (x[:, :, None] * a[:, None, :]).reshape(len(x), -1)


def _ridge(x: Floats, y: Floats) -> Floats:
    """Coefficients under the penalty that leaves out one row at a time best."""
    values, vectors = np.linalg.eigh(x.T @ x)
    turned, right = x @ vectors, vectors.T @ (x.T @ y)
    best, kept = np.inf, np.zeros(x.shape[1])
    squared = turned**2
    for penalty in _GRID:
        weights = 1 / (np.maximum(values, 0) + penalty)
        left = (y - turned @ (weights * right)) / (1 - squared @ weights)
        if (error := float(left @ left)) < best:
            best, kept = error, vectors @ (weights * right)
    return np.asarray(kept, np.float64)


def _noise(expected: Floats) -> Floats:
    """The variance of outcomes that are expected so often."""
    inside = np.clip(expected, 0.02, 0.98)
    return inside * (1 - inside)


def _own(x: Floats, place: Ints, rest: Floats, noise: Floats, managers: int) -> Floats:
    """`float64[managers, 1 + levels]`: what is left for each manager, a mixed model by EM.

    How much managers differ, and in what together, is one covariance for all of them. A few hundred
    managers do not show a whole one: it is drawn towards levels that differ alike and on their own,
    as if so many more managers had been seen (an inverse Wishart prior).
    """
    design = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    width = design.shape[1]
    gram, right = np.zeros((managers, width, width)), np.zeros((managers, width))
    order = np.argsort(place, kind="stable")
    ends = np.searchsorted(place[order], np.arange(managers + 1))
    for m in range(managers):  # a few thousand, none of them a row
        rows = order[ends[m] : ends[m + 1]]
        weighted = design[rows].T / noise[rows]
        gram[m], right[m] = weighted @ design[rows], weighted @ rest[rows]
    seen = np.flatnonzero(np.diff(ends))
    spread = np.eye(width) * _SPREAD * float(noise.mean())
    own = np.zeros((managers, width))
    for _ in range(_PASSES):
        left = np.linalg.inv(np.linalg.inv(spread + _JITTER * np.eye(width)) + gram[seen])
        own[seen] = np.einsum("mij,mj->mi", left, right[seen])
        seen_so = (left + own[seen, :, None] * own[seen, None, :]).sum(axis=0)
        alike = np.full(width, np.diag(seen_so)[1:].mean() if width > 1 else 0.0)
        alike[0] = seen_so[0, 0]
        prior = _PRIOR * width / len(seen) * np.diag(alike)
        spread = (seen_so + prior) / (len(seen) + _PRIOR * width)
    return own

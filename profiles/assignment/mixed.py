"""A logistic model in which every group has coefficients of its own, drawn about what is likely.

    log-odds of a row  =  x . c[group],     c[group] ~ normal(means @ z[group], spread)

`x` is what is known of the row, `z` of the group; `means` are drawn about zero, a column of them
for each number of `z`. How far groups differ, and in what together (`spread`), and how far each
column of means reaches, are estimated with them: a group of few rows stays near what its kind does.

Each pass lays a straight line through what is expected so far (Breslow and Clayton, JASA 88, 1993),
fits a linear mixed model to it with the groups' own coefficients integrated out (Laird and Ware,
Biometrics 38, 1982), and sets each variance to how far its coefficients went, over how many of them
the rows tell (MacKay, Neural Computation 4, 1992): quick where one is near zero. A few hundred
groups do not show a whole covariance: it is drawn towards one of coefficients that differ on their
own, those of one column alike (an inverse Wishart prior).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

__all__ = ["Mixed", "mixed"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

_PASSES = 25
_SPREAD, _REACH = 0.3, 0.3
"""Variances to begin with, in log-odds."""
_WIDE = 100.0
"""Variance of the mean coefficient of one: nothing is known of how frequent outcomes are."""
_PRIOR = 1
"""Groups for each coefficient by which the covariance is drawn towards a plain one."""
_LEAST, _EDGE = 1e-6, 1e-3


@dataclass(frozen=True)
class Mixed:
    """`means` float64[width, kinds], `spread` float64[width, width]; and of each group its
    coefficients' mean, float64[groups, width], and covariance, float64[groups, width, width]."""

    means: Floats
    spread: Floats
    own: Floats
    doubt: Floats


def mixed(x: Floats, group: Ints, y: Floats, z: Floats, blocks: Ints) -> Mixed:
    """Fit it.

    Args:
        x: float64[rows, width], its first column ones.
        group: int64[rows], each row's, from 0.
        y: float64[rows], 0 or 1.
        z: float64[groups, kinds], its first column ones.
        blocks: int64[width], which column a coefficient belongs to.
    """
    order = np.argsort(group, kind="stable")
    x, group, y = x[order], group[order], y[order]
    ends = np.searchsorted(group, np.arange(len(z) + 1))
    of = [slice(*pair) for pair in pairwise(ends)]
    width, kinds = x.shape[1], z.shape[1]
    spread, means = np.eye(width) * _SPREAD, np.zeros((width, kinds))
    reach = np.full((kinds, int(blocks.max()) + 1), _REACH)
    inside = np.eye(int(blocks.max()) + 1)[blocks]
    eta = np.full(len(y), np.log((y.sum() + 1) / (len(y) - y.sum() + 1)))
    seen = np.flatnonzero(np.diff(ends))
    for _ in range(_PASSES):
        p = np.clip(1 / (1 + np.exp(-eta)), _EDGE, 1 - _EDGE)
        weight = p * (1 - p)
        work = weight * eta + y - p
        right = np.stack([x[rows].T @ work[rows] for rows in of])
        gram = np.stack([(x[rows].T * weight[rows]) @ x[rows] for rows in of])
        inverse = np.linalg.inv(spread)
        doubt = np.linalg.inv(inverse + gram)
        # groups' own coefficients are integrated out: what is left tells of the means
        left = inverse - inverse @ doubt @ inverse
        prior = reach[:, blocks]
        prior[0, 0] = _WIDE
        told = np.einsum("ma,mb,mij->aibj", z, z, left).reshape(kinds * width, -1)
        told[np.diag_indices(len(told))] += 1 / prior.reshape(-1)
        pulled = np.einsum("ma,ij,mjk,mk->ai", z, inverse, doubt, right, optimize=True)
        around = np.linalg.inv(told)
        means = (around @ pulled.reshape(-1)).reshape(kinds, width)
        likely = z @ means
        own = np.einsum("mij,mj->mi", doubt, likely @ inverse + right)
        # MacKay: as far as they went, by how many of them the rows tell
        told_of = (1 - np.diag(around).reshape(kinds, width) / prior) @ inside
        reach = np.maximum(means**2 @ inside / np.maximum(told_of, _LEAST), _LEAST)
        off = (own - likely)[seen]
        # how much of each coefficient the rows tell, and how far it then went
        shown = len(seen) - np.einsum("ij,mji->i", inverse, doubt[seen])
        went = np.einsum("mi,ij,mj->j", off, inverse, off)
        spread = _drawn(off.T @ off + doubt[seen].sum(axis=0), len(seen), blocks)
        ratio = np.bincount(blocks, went) / np.maximum(np.bincount(blocks, shown), _LEAST)
        root = np.sqrt(np.clip(ratio, 0.5, 2.0))[blocks]
        spread = root[:, None] * spread * root + _LEAST * np.eye(width)
        eta = np.einsum("ri,ri->r", x, own[group])
    return Mixed(means.T, spread, own, doubt)


def _drawn(squares: Floats, groups: int, blocks: Ints) -> Floats:
    """The covariance of so many groups, drawn towards a plain one."""
    width = len(blocks)
    sums = np.bincount(blocks, np.diag(squares)) / np.bincount(blocks)
    plain = np.diag(np.maximum(sums[blocks] / groups, _LEAST))
    return np.asarray((squares + _PRIOR * width * plain) / (groups + _PRIOR * width), np.float64)

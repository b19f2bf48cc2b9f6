"""A party's columns as trees: for each row a few small private numbers, and public weights.

Every tree has one number a row, every number public integer weights for one or more *integer
columns*; a column's integer in a row is the sum of the weights that its trees' numbers have. The
other side, which holds residuals, needs to know weights but no number:

- a column on an even grid of up to 2^bits points (at most 256) is its own number, exact between
  the ends that LEAST rows reach; what is further counts as the end in gradients;
- columns of 0 and 1 that stand side by side and exclude each other are one category;
- these are joined while a tree has no more than 128 leaves;
- other columns are made orthogonal among themselves first (Cholesky), then rounded: to 2^bits
  levels spaced as a sinh, or to two digits of an even grid. Levels reach BOUND standard deviations:
  what is further counts as that far in gradients.

What comes back is a linear map from integer columns to design columns, fitted by least squares: of
exact columns it is exact. The label party also adds what the map loses of the residuals that it
has alone, as these are most of a column's error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.regression.messages import MOST_COLUMNS, Layout, Tree
from federated.sharing.messages import MOST_DEPTH
from federated.sharing.trees import depth_of
from psi.protocol import PeerError

__all__ = ["Columns", "Sides", "check_layout", "depths", "largest", "weights_of", "width_of"]

Floats = NDArray[np.float64]
Bins = NDArray[np.uint16]
Integers = NDArray[np.int64]

EVEN, CATEGORY, LOW = 0, 1, 2
HIGH, LEVELS = 64, 128
"""Kinds: HIGH + d are high digits above d bits, LEVELS + c levels of shape c / 2."""
SHAPES = 17
TOP = 2047
"""The largest level."""
BOUND = 16.0
"""Standard deviations that levels reach.

Noise is as large as the largest level, so a column whose largest value lies 65 standard deviations
out would have four times as much. A score's coefficients solve Σ r h(x) = 0 then, h being the
bounded column: of no bias, as residuals have none whatever x is, and a little less efficient.
"""
LEAST = 20
"""Rows that reach an end of an even grid, and that a step must leave out to be too wide."""
_JOINED = 1 << 7
_POINTS = 1 << 8
_SIZES = (2, 3, *(size << power for power in range(7) for size in (4, 6)))
"""Of even grids: up to a third or a half more than there are points."""
_RIDGE = 1e-6
_CHUNK = 1 << 16


@dataclass(frozen=True, repr=False)
class Columns:
    """A party's columns: its public layout, and each tree's numbers `uint16[n]`.

    bounded: values beyond BOUND, which count as that far in gradients; far: rows that have one, or
    one off its even grid, `bool[n]`.
    """

    layout: Layout
    numbers: tuple[Bins, ...]
    bounded: int
    far: NDArray[np.bool_]

    @classmethod
    def of(cls, x: Floats, bits: int) -> Columns:
        """Trees of `float64[n, p]`; `bits` of a column that is on no small even grid."""
        small, wide = _sorted(x, min(1 << bits, _POINTS))
        made = _Made([], [], 0, np.zeros(len(x), np.bool_))
        for factor in small:
            made.far |= factor.off
        for factors in _joined(small):
            made.add([f.kind for f in factors], [f.size for f in factors], _mixed(factors))
        if wide:
            for column in _orthogonal(x[:, wide]).T:
                if bits <= 8:
                    made.levels(column, 1 << bits)
                else:
                    made.digits(column, bits)
        layout = Layout(tuple(made.trees), made.integers, x.shape[1])
        return cls(layout, tuple(made.numbers), made.bounded, made.far)

    def integers(self, low: int, high: int) -> Floats:
        """The integer columns of rows `low` to `high`, `float64[high - low, integers]`."""
        found = np.zeros((high - low, self.layout.integers))
        for tree, numbers in zip(self.layout.trees, self.numbers, strict=True):
            weights = weights_of(tree)
            own = slice(tree.first, tree.first + weights.shape[1])
            found[:, own] += weights[numbers[low:high]]
        return found

    def back(self, x: Floats) -> Floats:
        """The map M `float64[1 + integers, p]`: sums over x are (all rows, integer columns) @ M.

        `x: float64[n, p]` are the design columns.
        """
        size = self.layout.integers + 1
        gram, cross = np.zeros((size, size)), np.zeros((size, x.shape[1]))
        for low in range(0, len(x), _CHUNK):
            part = x[low : low + _CHUNK]
            own = np.column_stack([np.ones(len(part)), self.integers(low, low + len(part))])
            gram += own.T @ own
            cross += own.T @ part
        scale = 1.0 / np.sqrt(np.maximum(np.diag(gram), 1.0))
        inverse = np.linalg.pinv(gram * scale[:, None] * scale, rcond=1e-12, hermitian=True)
        inverse *= scale[:, None] * scale
        return np.asarray(inverse @ cross)

    def lone(self, rows: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """How far one of some rows stands alone in each integer column, `float64[integers]` each.

        The square of the one that is farthest from their mean, and the sum of all such squares.
        """
        sums, squares = np.zeros(self.layout.integers), np.zeros(self.layout.integers)
        low, high = np.full(self.layout.integers, np.inf), np.full(self.layout.integers, -np.inf)
        for at in range(0, len(rows), _CHUNK):
            part = self.integers(at, min(at + _CHUNK, len(rows)))[rows[at : at + _CHUNK]]
            sums, squares = sums + part.sum(axis=0), squares + np.square(part).sum(axis=0)
            low = np.minimum(low, part.min(axis=0, initial=np.inf))
            high = np.maximum(high, part.max(axis=0, initial=-np.inf))
        count = max(1, int(np.count_nonzero(rows)))
        mean = sums / count
        return np.square(np.maximum(high - mean, mean - low)), squares - count * mean**2

    def missed(self, x: Floats, back: Floats, values: Floats) -> Floats:
        """What rounding loses of the sums of `values: float64[n, v]` over x, `float64[v, p]`.

        Of rows that are `far` nothing counts: what a bound takes off is no rounding, and noise is
        as large as the largest level.
        """
        found = np.zeros((values.shape[1], x.shape[1]))
        for low in range(0, len(x), _CHUNK):
            part = x[low : low + _CHUNK]
            own = np.column_stack([np.ones(len(part)), self.integers(low, low + len(part))])
            near = values[low : low + _CHUNK] * ~self.far[low : low + _CHUNK, None]
            found += near.T @ (part - own @ back)
        return found


def weights_of(tree: Tree) -> Integers:
    """`int64[2^depth, columns]`: the weights that each number of a tree has; 0 for spare ones."""
    size = int(np.prod(tree.sizes))
    found = np.zeros((1 << depth_of(size), width_of(tree)), np.int64)
    number, stride, at = np.arange(size), 1, 0
    for kind, each in zip(tree.kinds, tree.sizes, strict=True):
        part = _weights(kind, each)[number // stride % each]
        found[:size, at : at + part.shape[1]] = part
        stride, at = stride * each, at + part.shape[1]
    return found


def width_of(tree: Tree) -> int:
    """How many integer columns a tree's numbers have weights for."""
    pairs = zip(tree.kinds, tree.sizes, strict=True)
    return sum(size - 1 if kind == CATEGORY else 1 for kind, size in pairs)


def depths(layout: Layout) -> tuple[int, ...]:
    """Levels of each tree."""
    return tuple(depth_of(int(np.prod(tree.sizes))) for tree in layout.trees)


def largest(layout: Layout) -> Floats:
    """The largest magnitude that a row can have in each integer column: `float64[integers]`."""
    found = np.zeros(layout.integers)
    for tree in layout.trees:
        weights = np.abs(weights_of(tree)).max(axis=0)
        found[tree.first : tree.first + len(weights)] += weights
    return found


def check_layout(layout: Layout, bits: int) -> None:
    """Raise `PeerError` unless a party may have such trees."""
    if layout.integers > MOST_COLUMNS or bool(layout.trees) != bool(layout.columns):
        raise PeerError(f"a layout of {len(layout.trees)} trees, {layout.integers} columns")
    if layout.integers > layout.columns:  # which are what the contract counts
        raise PeerError(f"{layout.integers} sums asked of {layout.columns} columns")
    seen: set[int] = set()
    for tree in layout.trees:
        if len(tree.kinds) != len(tree.sizes) or not tree.kinds:
            raise PeerError("a tree without kinds of columns")
        if int(np.prod(tree.sizes, dtype=object)) > 1 << min(MOST_DEPTH, 8):
            raise PeerError("a tree with more leaves than any column has")
        if not all(_known(*each, bits) for each in zip(tree.kinds, tree.sizes, strict=True)):
            raise PeerError("a tree of a kind of columns that there is not")
        if tree.first + width_of(tree) > layout.integers:
            raise PeerError("a tree with more columns than the layout")
        seen.update(range(tree.first, tree.first + width_of(tree)))
    if len(seen) != layout.integers:
        raise PeerError("columns without a tree")


@dataclass(frozen=True)
class Sides:
    """Both layouts of a regression."""

    own: Layout
    theirs: Layout


# kinds


def _known(kind: int, size: int, bits: int) -> bool:
    low, high = bits // 2, bits - bits // 2
    if kind >= LEVELS:
        return kind < LEVELS + SHAPES and size == 1 << bits and bits <= 8
    if kind == HIGH + low:
        return size == 1 << high and bits > 8
    if kind == LOW:
        return size == 1 << low and bits > 8
    return kind in (EVEN, CATEGORY)


def _weights(kind: int, size: int) -> Integers:
    """`int64[size, columns]` of one kind."""
    number = np.arange(size)
    if kind == CATEGORY:
        return np.eye(size, dtype=np.int64)[:, 1:]
    if kind >= LEVELS:
        return _levels((kind - LEVELS) / 2, size)[:, None]
    if kind >= HIGH:
        return ((number - size // 2) << (kind - HIGH))[:, None]
    return (number - (size // 2 if kind == EVEN else 0))[:, None]


def _levels(shape: float, size: int) -> Integers:
    """Levels TOP sinh(c t) / sinh(c) for t from -1 to 1, of which the first is spare."""
    half = size // 2
    t = (np.arange(size) - half) / (half - 1.0)
    found = np.rint(TOP * (np.sinh(shape * t) / np.sinh(shape) if shape else t)).astype(np.int64)
    found[0] = 0
    return found


# a party's own columns


@dataclass(frozen=True)
class _Factor:
    kind: int
    size: int
    numbers: Integers
    off: NDArray[np.bool_]


@dataclass
class _Made:
    trees: list[Tree]
    numbers: list[Bins]
    integers: int
    far: NDArray[np.bool_]
    bounded: int = 0

    def add(self, kinds: list[int], sizes: list[int], numbers: Integers) -> None:
        tree = Tree(tuple(kinds), tuple(sizes), self.integers)
        self.trees.append(tree)
        self.numbers.append(numbers.astype(np.uint16))
        self.integers += width_of(tree)

    def levels(self, column: Floats, size: int) -> None:
        """So many levels of the shape that rounds the column best."""
        column = column - np.median(column)
        far = min(float(np.abs(column).max()), BOUND * float(column.std()))
        beyond = np.abs(column) > far
        self.bounded, self.far = self.bounded + int(beyond.sum()), self.far | beyond
        scaled = np.clip(column / far, -1.0, 1.0) * TOP
        best = None
        for shape in range(SHAPES):
            levels = _levels(shape / 2, size)[1:]
            found = np.searchsorted((levels[1:] + levels[:-1]) / 2, scaled)
            error = float(np.mean((levels[found] - scaled) ** 2))
            if best is None or error < best[0]:
                best = error, shape, found + 1
        if best is not None:
            self.add([LEVELS + best[1]], [size], best[2])

    def digits(self, column: Floats, bits: int) -> None:
        """Two digits of an even grid over the column's range."""
        low, low_bits = column.min(), bits // 2
        step = (column.max() - low) / ((1 << bits) - 1)
        found = np.rint((column - low) / step).astype(np.int64)
        first = self.integers
        self.add([HIGH + low_bits], [1 << (bits - low_bits)], found >> low_bits)
        self.trees.append(Tree((LOW,), (1 << low_bits,), first))
        self.numbers.append((found & ((1 << low_bits) - 1)).astype(np.uint16))


def _sorted(x: Floats, most: int) -> tuple[list[_Factor], list[int]]:
    """Columns on even grids of up to `most` points, categories together; the others' places."""
    small: list[_Factor] = []
    wide: list[int] = []
    at = 0
    while at < x.shape[1]:
        many = _category(x, at)
        if many > 1:
            numbers = (x[:, at : at + many] * np.arange(1, many + 1)).sum(axis=1)
            exact = np.zeros(len(x), np.bool_)
            small.append(_Factor(CATEGORY, many + 1, numbers.astype(np.int64), exact))
        elif (found := _even(x[:, at], most)) is not None:
            small.append(found)
        else:
            wide.append(at)
        at += max(1, many)
    return small, wide


def _category(x: Floats, at: int) -> int:
    """How many columns from `at` on are 0 or 1 and exclude each other."""
    taken, many = np.zeros(len(x), np.bool_), 0
    while at + many < x.shape[1] and many < _POINTS - 1:
        column = x[:, at + many]
        ones = column == 1.0
        if not (ones | (column == 0.0)).all() or (taken & ones).any():
            break
        taken |= ones
        many += 1
    return many


def _even(column: Floats, most: int) -> _Factor | None:
    """The column as numbers of an even grid of up to `most` points.

    The other side hears the size. So no row alone makes it: ends are values that LEAST rows reach,
    the step is the widest that fewer than LEAST rows are off, and the size is rounded up. Rows
    beyond an end or off a step count as the nearest point.
    """
    values, place, counts = np.unique(column, return_inverse=True, return_counts=True)
    reached, rows = np.cumsum(counts), len(column)
    usual = np.sort(np.argsort(-counts, kind="stable")[:most])
    if rows < 2 * LEAST or rows - counts[usual].sum() >= LEAST:
        return None
    low = values[np.searchsorted(reached, LEAST)]
    high = values[np.searchsorted(reached, rows - LEAST, side="right")]
    beyond = (values < low) | (values > high)
    values = np.clip(values, low, high) - values[np.argmax(counts)]  # a point that no row moves
    for step in _steps(values[usual], counts[usual]):
        numbers = np.rint(values / step)
        wrong = np.abs(values / step - numbers) > 1e-6
        if counts[wrong].sum() < LEAST:
            break
    else:
        return None
    off = beyond | wrong
    if counts[off].sum() > rows // 10:  # few rows in all: levels lose less
        return None
    numbers -= numbers.min()
    size = int(numbers.max()) + 1
    if not 2 <= size <= most:
        return None
    told = next(each for each in _SIZES if each >= size)
    numbers += (told - size) // 2
    return _Factor(EVEN, told, numbers[place].astype(np.int64), off[place])


def _steps(values: Floats, counts: Integers) -> Floats:
    """Gaps between values, and between those that LEAST rows have; wide ones first."""
    gaps = np.concatenate([np.diff(values), np.diff(values[counts >= LEAST])])
    gaps = np.sort(gaps[gaps > np.ptp(values) * 1e-9])
    apart = np.diff(gaps, prepend=0.0) > gaps * 1e-9
    return np.asarray(gaps[apart][::-1])


def _joined(small: list[_Factor]) -> Iterator[list[_Factor]]:
    """Columns that share trees, large ones first."""
    groups: list[list[_Factor]] = []
    for factor in sorted(small, key=lambda each: -each.size):
        for group in groups:
            if np.prod([f.size for f in group]) * factor.size <= _JOINED and len(group) < 16:
                group.append(factor)
                break
        else:
            groups.append([factor])
    yield from groups


def _mixed(factors: list[_Factor]) -> Integers:
    """One number for all of them."""
    found, stride = np.zeros(len(factors[0].numbers), np.int64), 1
    for factor in factors:
        found += stride * factor.numbers
        stride *= factor.size
    return found


def _orthogonal(x: Floats) -> Floats:
    """The columns, made orthogonal one after the other, of mean 0."""
    centred = x - x.mean(axis=0)
    gram = centred.T @ centred / len(x)
    scale = np.sqrt(np.maximum(np.diag(gram), np.finfo(np.float64).tiny))
    gram = gram / scale / scale[:, None] + _RIDGE * np.eye(len(gram))
    factor = np.linalg.cholesky(gram)
    return np.asarray(np.linalg.solve(factor, (centred / scale).T).T)

"""One party's part of boosted trees: its own splits, and where the other parties' stand.

A tree is an array of places: the children of place p are 2 p + 1 (left) and 2 p + 2. The label
party has all places and the leaves' values; a feature party's splits are numbered in the order in
which they won, and that number is all that either says of them to the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.trees.layout import Layout
from federated.trees.plan import MOST_DEPTH, MOST_PARTNERS
from psi.protocol import MisuseError

__all__ = ["LEAF", "OWN", "PARTNER", "Forest", "Tree", "places_of"]

LEAF, OWN, PARTNER = 0, 1, 2
"""What stands at a place; a split of partner n, from 0 on, is `PARTNER` + n."""

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Bins = NDArray[np.uint16]
Sides = NDArray[np.bool_]


def places_of(depth: int) -> int:
    """Places of a tree with so many levels of splits."""
    return (2 << depth) - 1


@dataclass(frozen=True, eq=False, repr=False)
class Tree:
    """A tree of the label party.

    kind: `int8[places]`, `LEAF`, `OWN` or `PARTNER` and more.
    split: `int32[places]`, an own candidate, or the number of a split among its partner's.
    value: `float64[places]`, what a row that ends there adds to its score; at a split, what
        it would be if the tree ended there.
    gain: `float64[places]`, of each split.
    """

    kind: NDArray[np.int8]
    split: NDArray[np.int32]
    value: Floats
    gain: Floats

    @classmethod
    def empty(cls, depth: int) -> Tree:
        """Leaves without a value."""
        size = places_of(depth)
        none = np.zeros(size)
        return cls(np.zeros(size, np.int8), np.full(size, -1, np.int32), none, none.copy())


@dataclass(frozen=True, eq=False, repr=False)
class Forest:
    """The label party's part: the score of a row without trees, its trees, its columns.

    Attributes:
        base: the score without trees.
        trees: in the order in which they were grown.
        layout: cells of this party's columns.
        partners: how many feature parties.
    """

    base: float
    trees: tuple[Tree, ...]
    layout: Layout
    partners: int = 1

    def __repr__(self) -> str:
        return f"<forest of {len(self.trees)} trees>"

    @property
    def splits_of(self) -> tuple[int, ...]:
        """How many splits each feature party has won."""
        kinds = range(PARTNER, PARTNER + self.partners)
        return tuple(sum(int(np.sum(tree.kind == kind)) for tree in self.trees) for kind in kinds)

    @property
    def partner_splits(self) -> int:
        """How many splits all of them have won."""
        return sum(self.splits_of)

    def scores(self, bins: list[Bins], sides: Sides | None = None) -> Floats:
        """`float64[n]`: each row's score.

        Args:
            bins: of each own column `uint16[n]`.
            sides: `bool[partners' splits, n]`, whether a row goes right there, of several partners
                one's after the other's; None: there are none.

        Raises:
            MisuseError: columns or sides of another number or length.
        """
        found = np.full(self._rows(bins, sides), self.base)
        for tree, at in self._paths(bins, sides):
            found += tree.value[at]
        return found

    def contributions(self, bins: list[Bins], sides: Sides | None = None) -> Floats:
        """By how much each own column moves each row's score, and all of each partner's together.

        `float64[n, own columns + partners]`, partners' last: at each split on a row's path, the
        value of the child less that of the split (Saabas 2014). With `base` and the roots' values
        they add up to the score. Arguments and errors as of `scores`.
        """
        rows = self._rows(bins, sides)
        return self._moved((at for _, at in self._paths(bins, sides)), rows)

    def moved(self, places: NDArray[np.uint8]) -> Floats:
        """The same of rows whose ends are known.

        Args:
            places: `[trees, n]`, the place where each row ends in each tree.

        Raises:
            MisuseError: of another number of trees.
        """
        if places.ndim != 2 or len(places) != len(self.trees):
            raise MisuseError(f"ends in {len(places)} trees found, {len(self.trees)} there are")
        return self._moved((each.astype(np.int64) for each in places), places.shape[1])

    def _moved(self, ends: Iterable[Whole], count: int) -> Floats:
        found = np.zeros((count, len(self.layout.columns) + self.partners))
        for tree, at in zip(self.trees, ends, strict=True):
            rows = np.flatnonzero(at > 0)
            while len(rows):
                child = at[rows]
                parent = (child - 1) // 2
                who = len(self.layout.columns) + tree.kind[parent].astype(np.int64) - PARTNER
                own = tree.kind[parent] == OWN
                who[own] = self._columns[tree.split[parent[own]]]
                found[rows, who] += tree.value[child] - tree.value[parent]
                at[rows] = parent
                rows = rows[parent > 0]
        return found

    def _paths(self, bins: list[Bins], sides: Sides | None) -> Iterator[tuple[Tree, Whole]]:
        """Of each tree the places where the rows end."""
        rows = self._rows(bins, sides)
        first = np.cumsum([0, *self.splits_of])
        for tree in self.trees:
            at = np.zeros(rows, np.int64)
            for place in np.flatnonzero(tree.kind):  # parents come before their children
                here = np.flatnonzero(at == place)
                if tree.kind[place] == OWN:
                    column, left = self.layout.split(int(tree.split[place]))
                    right = ~left[bins[column][here]]
                else:
                    assert sides is not None  # noqa: S101  `_rows` has looked
                    split = first[tree.kind[place] - PARTNER] + tree.split[place]
                    right = sides[split, here]
                at[here] = 2 * place + 1 + right
            yield tree, at

    def _rows(self, bins: list[Bins], sides: Sides | None) -> int:
        """How many rows there are. Raises `MisuseError` where columns and sides do not fit."""
        splits = 0 if sides is None else len(sides)
        if len(bins) != len(self.layout.columns) or splits != self.partner_splits:
            raise MisuseError(
                f"{len(bins)} columns and {splits} splits of partners found, "
                f"{len(self.layout.columns)} and {self.partner_splits} in the trees"
            )
        lengths = {len(own) for own in bins} | ({sides.shape[1]} if sides is not None else set())
        if len(lengths) > 1:
            raise MisuseError("columns and sides of different numbers of rows")
        return lengths.pop() if lengths else 0

    @cached_property
    def _columns(self) -> Whole:
        """Of each own candidate its column."""
        counts = [len(left) for left in self.layout.lefts]
        return np.repeat(np.arange(len(counts)), counts)

    def importance(self) -> Floats:
        """What splits have gained: `float64[own columns + partners]`, each partner's at last."""
        own_columns = len(self.layout.columns)
        found = np.zeros(own_columns + self.partners)
        for tree in self.trees:
            for place in np.flatnonzero(tree.kind):
                own = tree.kind[place] == OWN
                at = own_columns + int(tree.kind[place]) - PARTNER
                at = self._columns[tree.split[place]] if own else at
                found[at] += tree.gain[place]
        return found

    def plain(self) -> dict[str, Any]:
        """Numbers and lists only: what `of` makes the forest of again, with its layout."""
        names = [field.name for field in fields(Tree)]
        trees = [{name: getattr(tree, name).tolist() for name in names} for tree in self.trees]
        return {"base": self.base, "trees": trees}

    @classmethod
    def of(cls, plain: Mapping[str, Any], layout: Layout, partners: int = 1) -> Forest:
        """The forest that `plain` described, of so many partners. Raises `MisuseError`."""
        try:
            trees = tuple(
                Tree(
                    kind=np.array(each["kind"], np.int8),
                    split=np.array(each["split"], np.int32),
                    value=np.array(each["value"], np.float64),
                    gain=np.array(each["gain"], np.float64),
                )
                for each in plain["trees"]
            )
            made = cls(float(plain["base"]), trees, layout, partners)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise MisuseError("these are no saved trees") from None
        fits = 1 <= partners <= MOST_PARTNERS and all(_whole(t, made) for t in trees)
        if not fits or not np.isfinite(made.base):
            raise MisuseError("saved trees with splits or values that there cannot be")
        return made


def _whole(tree: Tree, forest: Forest) -> bool:
    """Whether a tree that was read has places, splits and values that there can be."""
    size = len(tree.kind)
    if size not in [places_of(depth) for depth in range(1, MOST_DEPTH + 1)]:
        return False
    if any(each.shape != (size,) for each in (tree.split, tree.value, tree.gain)):
        return False
    inner = (size - 1) // 2
    most = np.array([0, forest.layout.candidates, *forest.splits_of])
    if not ((tree.kind >= LEAF) & (tree.kind < len(most))).all() or tree.kind[inner:].any():
        return False
    ranges = (tree.kind == LEAF) | ((tree.split >= 0) & (tree.split < most[tree.kind]))
    return bool((ranges & np.isfinite(tree.value + tree.gain)).all())

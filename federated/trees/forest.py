"""One party's part of boosted trees: its own splits, and where the other party's stand.

A tree is an array of places: the children of place p are 2 p + 1 (left) and 2 p + 2. The label
party has all places and the leaves' values; a feature party's splits are numbered in the order in
which they won, and that number is all that either says of them to the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.trees.layout import Layout

__all__ = ["LEAF", "OWN", "PARTNER", "Forest", "Tree", "places_of"]

LEAF, OWN, PARTNER = 0, 1, 2
"""What stands at a place."""

Floats = NDArray[np.float64]


def places_of(depth: int) -> int:
    """Places of a tree with so many levels of splits."""
    return (2 << depth) - 1


@dataclass(frozen=True, eq=False, repr=False)
class Tree:
    """A tree of the label party.

    kind: `int8[places]`, `LEAF`, `OWN` or `PARTNER`.
    split: `int32[places]`, an own candidate, or the number of a partner's split.
    value: `float64[places]`, what a row that ends there adds to its score.
    gain: `float64[places]`, of each own split; of a partner's 0, which nobody knows.
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
    """

    base: float
    trees: tuple[Tree, ...]
    layout: Layout

    def __repr__(self) -> str:
        return f"<forest of {len(self.trees)} trees>"

    @property
    def partner_splits(self) -> int:
        """How many splits the feature party has won."""
        return sum(int(np.count_nonzero(tree.kind == PARTNER)) for tree in self.trees)

    def scores(
        self, bins: list[NDArray[np.uint16]], sides: NDArray[np.bool_] | None = None
    ) -> Floats:
        """`float64[n]`: each row's score.

        Args:
            bins: of each own column `uint16[n]`.
            sides: `bool[partner splits, n]`, whether a row goes right there; None: there are none.
        """
        rows = len(bins[0]) if bins else (0 if sides is None else sides.shape[1])
        found = np.full(rows, self.base)
        for tree in self.trees:
            at = np.zeros(rows, np.int64)
            places = np.flatnonzero(tree.kind)
            for place in places:  # parents come before their children
                here = np.flatnonzero(at == place)
                if tree.kind[place] == OWN:
                    column, left = self.layout.split(int(tree.split[place]))
                    right = ~left[bins[column][here]]
                elif sides is None:
                    raise ValueError("a partner's split without its sides")
                else:
                    right = sides[tree.split[place], here]
                at[here] = 2 * place + 1 + right
            found += tree.value[at]
        return found

    def importance(self) -> Floats:
        """`float64[own columns]`: what each own column's splits have gained."""
        found = np.zeros(len(self.layout.columns))
        for tree in self.trees:
            for place in np.flatnonzero(tree.kind == OWN):
                column, _ = self.layout.split(int(tree.split[place]))
                found[column] += tree.gain[place]
        return found

    def plain(self) -> dict[str, Any]:
        """Numbers and lists only."""
        return {
            "base": self.base,
            "trees": [
                {
                    "kind": tree.kind.tolist(),
                    "split": tree.split.tolist(),
                    "value": tree.value.tolist(),
                    "gain": tree.gain.tolist(),
                }
                for tree in self.trees
            ],
        }

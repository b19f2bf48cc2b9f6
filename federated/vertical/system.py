"""The Newton system that the label party solves, put together from the partners' opened sums.

Own columns come first, then each partner's in the basis of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from federated.paillier import PrivateKey
from federated.vertical.messages import Moments
from federated.vertical.newton import Floats
from federated.vertical.sums import Layout, open_cross, open_gradient, open_linear, open_pairs
from psi.protocol import PeerError

__all__ = ["System"]


@dataclass(frozen=True, repr=False)
class System:
    """How to open a pass: a key, its layout, and each partner's number of columns, in order."""

    key: PrivateKey
    layout: Layout
    own: int
    columns: Mapping[str, int]
    partners: Sequence[str]

    @cached_property
    def places(self) -> dict[str, slice]:
        """Where each partner's columns stand."""
        ends = np.cumsum([self.own, *(self.columns[name] for name in self.partners)]).tolist()
        return {
            name: slice(low, high)
            for name, low, high in zip(self.partners, ends, ends[1:], strict=False)
        }

    @property
    def size(self) -> int:
        """All columns together."""
        return self.own + sum(self.columns[name] for name in self.partners)

    def whole(
        self, square: Floats, gradient: Floats, scale: Floats, found: Mapping[str, Moments]
    ) -> tuple[Floats, Floats]:
        """Matrix `float64[a + k, a + k]` and gradient `float64[a + k]` of a pass with curvature.

        `square`, `gradient` are the own columns'; `scale` is what these were divided by before
        they were encrypted. Raises PeerError.
        """
        a = self.own
        matrix, slope = np.zeros((self.size, self.size)), np.zeros(self.size)
        matrix[:a, :a], slope[:a] = square, gradient
        alone = self.layout.alone(list(self.columns.values()))
        for number, (name, part) in enumerate(self.places.items()):
            moments, k = found[name], self.columns[name]
            slope[part], mixed = open_linear(self.key, self.layout, moments.linear, k)
            matrix[part, :a] = mixed * scale
            matrix[:a, part] = matrix[part, :a].T
            matrix[part, part] = open_pairs(self.key, self.layout, moments.pairs, k, alone=alone)
            if list(moments.cross) != sorted(self.partners[:number]):
                raise PeerError("sums with other partners than those before")
            for before, data in moments.cross.items():
                block = open_cross(self.key, self.layout, data, k, self.columns[before])
                matrix[part, self.places[before]] = block
                matrix[self.places[before], part] = block.T
        return matrix, slope

    def gradient(self, gradient: Floats, found: Mapping[str, Moments]) -> Floats:
        """`float64[a + k]` of a pass that keeps the curvature. Raises PeerError."""
        slope = np.zeros(self.size)
        slope[: self.own] = gradient
        for name, part in self.places.items():
            moments, k = found[name], self.columns[name]
            if moments.pairs or moments.cross:
                raise PeerError("sums of curvature in a pass that keeps it")
            slope[part] = open_gradient(self.key, self.layout, moments.linear, k)
        return slope

"""What the plain protocol and the checked one do not have in common, but for their checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from psi.vole import base_ot
from psi.vole.base_ot import BaseTransfers
from psi.vole.parameters import NOISE, Store, TagForm, Vector, tag_form, vector_of_chunk

__all__ = ["PLAIN", "Suite"]


@dataclass(frozen=True)
class Suite:
    """Base transfers and sizes. `proves` says whether a report shows that its matches are held."""

    name: str
    transfers: BaseTransfers
    noise: int
    inputs: Callable[[Vector], tuple[int, int]]
    """Bits and field elements that the receiver has to put into transfers and products."""
    tags: Callable[[int, int], TagForm]
    """The form of tags, by the sizes of receiver and sender."""
    proves: bool = False

    def correlation(self, store: Store, chunk: int) -> Vector:
        """The correlation of one chunk of a store."""
        return vector_of_chunk(store, chunk, self.noise)


def _inputs(vector: Vector) -> tuple[int, int]:
    return vector.trees * vector.depth, vector.trees


PLAIN = Suite("vole", base_ot, NOISE, _inputs, tag_form)
"""Against parties that follow the protocol."""

"""What is larger here than in `psi.vole`: the noise, and tags."""

from __future__ import annotations

import math

from psi.vole.extension import BASE
from psi.vole.parameters import (
    COMPUTATIONAL,
    DISTANCE,
    STATISTICAL,
    TagForm,
    Vector,
    leading_bits,
    noise_weight,
)
from psi.vole.suite import Suite
from psi.vole_malicious import base_ot
from psi.vole_malicious.checks import HASHES

__all__ = ["CHECKED", "LEAST", "NOISE", "REST", "inputs", "tag_form"]

NOISE = noise_weight(COMPUTATIONAL + STATISTICAL, DISTANCE)
"""Noisy places at least: a sender that guesses about them, and is caught if it errs, still meets
128 bits where it passes with probability 2^-40."""
REST = 10
"""Bytes of a tag behind its leading bits: a chance match with any of 2^40 items of the receiver's
has probability 2^-40, and two items under each of 10^6 tags take 2^60 hashes."""
LEAST = 96
"""Bits of a tag in any case: in small sets they cost nothing beside the rest."""


def inputs(vector: Vector) -> tuple[int, int]:
    """Bits and field elements that the receiver has to put into transfers and products.

    Bits fill whole elements; then come the random elements of the check, and before these, in
    products, the one of the trees' check.
    """
    blocks = -(-vector.trees * vector.depth // BASE)
    return (blocks + HASHES) * BASE, vector.trees + 1 + HASHES


def tag_form(receiver: int, sender: int) -> TagForm:
    """The form of tags: the more bits the more of them the sender has."""
    del receiver
    leading = leading_bits(sender)
    return TagForm(leading, max(REST, math.ceil((LEAST - leading) / 8)))


CHECKED = Suite("vole-malicious", base_ot, NOISE, inputs, tag_form, proves=True)
"""Against parties that cheat."""

"""What the checks add to the messages of `psi.vole`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from psi.protocol import Array, Length, message
from psi.vole.messages import Size
from psi.vole.secrets import KEY
from psi.vole_malicious.checks import HASHES

__all__ = ["Challenge", "Evidence", "Half", "Hash", "Proof", "Rows", "Sums"]

Hash = Annotated[bytes, Length(KEY)]
Half = Annotated[bytes, Length(KEY // 2)]
Sums = Annotated[np.ndarray, Array("uint64", width=2, most=2 * HASHES)]


@message(0x10)
@dataclass(frozen=True)
class Rows:
    """Receiver, before each Extension: that all rows of its two messages hide one input each."""

    chunk: Size
    sums: Sums
    digest: Hash


@message(0x11)
@dataclass(frozen=True)
class Challenge:
    """Receiver, once a chunk's trees are here: what their weights are drawn from."""

    chunk: Size
    seed: Hash


@message(0x12)
@dataclass(frozen=True)
class Proof:
    """Sender, before the first Tags: the hash of the values of all chunks' trees."""

    digest: Hash


@message(0x15)
@dataclass(frozen=True)
class Evidence:
    """Receiver, before the first Report: the sum of the second halves of all matches' hashes."""

    total: Half

"""Sums that nobody sees the parts of: pairwise masks modulo 2^64.

Each two parties share a secret that only they know. For every round both expand it to a stream;
one adds it, the other subtracts it, so the masks vanish in the total of all parties and in no
smaller one. With two parties each can subtract its own part from the total: the coordinator,
who is no party, still cannot. A party that drops out ends the round.

Sources: Bonawitz et al. 2017, without its recovery of dropped parties; ChaCha20, RFC 8439.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from federated.horizontal.noise import stream
from psi.protocol import InputError, MisuseError, PeerError

__all__ = ["FRACTION_BITS", "SecureSum", "add_masked"]

FRACTION_BITS = 24
_MASKS = b"fedprofile secure sum v1 "
Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Masked = np.ndarray[Any, np.dtype[np.uint64]]


class SecureSum:
    """One party's masks. `secrets` holds 32 bytes for every other party."""

    def __init__(self, party: str, secrets: Mapping[str, bytes]) -> None:
        if not secrets:
            raise MisuseError("a sum of one party hides nothing")
        if party in secrets or any(len(secret) != 32 for secret in secrets.values()):
            raise MisuseError("one 32-byte secret for each other party is needed")
        self._party, self._secrets = party, dict(secrets)
        self._used: set[str] = set()

    def __repr__(self) -> str:
        return f"<secure sum of {self._party} with {len(self._secrets)} others>"

    def mask(self, values: Floats, label: str, noise: Ints) -> Masked:
        """Values in fixed point, with `noise` in its last place, under the masks of the round
        `label`, which is used once."""
        if label in self._used:
            raise MisuseError("masks may be used once only")
        self._used.add(label)
        limit = 2.0 ** (62 - FRACTION_BITS) / (len(self._secrets) + 1)
        reach = np.abs(values) + np.abs(noise) * 2.0**-FRACTION_BITS
        over = int((~(reach < limit)).sum())
        if over:
            raise InputError(
                f"{over} sums are not finite or too large to add up",
                hint="give the columns of large values in larger units",
            )
        fixed = np.rint(values * 2.0**FRACTION_BITS).astype(np.int64)
        total = (fixed + noise).view(np.uint64)
        for peer in sorted(self._secrets):
            mask = stream(self._secrets[peer], _MASKS + label.encode(), len(values))
            total = total + mask if self._party < peer else total - mask
        return np.asarray(total)


def add_masked(parts: Sequence[Masked], parties: int) -> Floats:
    """The sum of all parties' values. Raises `PeerError` unless every part is there.

    Args:
        parts: one a party, of one round.
    """
    if len(parts) != parties or len({len(part) for part in parts}) != 1:
        raise PeerError(f"{len(parts)} of {parties} parties answered, all are needed")
    total = np.zeros(len(parts[0]), np.uint64)
    for part in parts:
        total = total + part
    return np.asarray(total.view(np.int64) / 2.0**FRACTION_BITS)

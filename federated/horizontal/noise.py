"""Gaussian noise on the grid of the masked sums, from a key that its party keeps for one job.

A party that was killed answers the same question with the same noise, so that nothing is told
twice with different noise; the label holds the question's hash, so another question has another.
The sums are rounded to the grid before whole numbers are added: no digit of them shows through the
rounding of a floating-point draw (Mironov 2012), and a wide draw has all digits. Tails end at 8.6
standard deviations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from federated.sharing.wide_noise import whole_noise
from psi.protocol import MisuseError

__all__ = ["LARGEST_NOISE", "NoiseKey", "stream"]

LARGEST_NOISE = 2.0**58
"""Deviation, in steps of the grid."""

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Words = np.ndarray[Any, np.dtype[np.uint64]]


def stream(secret: bytes, info: bytes, count: int) -> Words:
    """`uint64[count]`, uniform to all who do not know `secret` (HKDF, then ChaCha20)."""
    key = HKDF(SHA256(), 32, None, info).derive(secret)
    data = Cipher(ChaCha20(key, bytes(16)), None).encryptor().update(bytes(8 * count))
    return np.frombuffer(data, "<u8").astype(np.uint64)


class NoiseKey:
    """32 bytes of one party and job, from which its noise comes.

    Args:
        key: 32 secret bytes.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise MisuseError("a key of 32 bytes is needed")
        self._key = key

    def __repr__(self) -> str:
        return "<noise key>"

    def draw(self, sd: Floats, label: bytes) -> Ints:
        """`int64[m]`: independent Gaussian numbers of these deviations, the same for one label.

        `sd: float64[m]` is in steps of the grid, below `LARGEST_NOISE`; 0 gives 0.
        """
        if not (np.isfinite(sd) & (sd >= 0) & (sd < LARGEST_NOISE)).all():
            raise MisuseError("noise of a size that the grid does not hold")
        words = stream(self._key, b"fedprofile horizontal noise v1 " + label, 3 * len(sd))
        uniform = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
        radius = np.sqrt(-2.0 * np.log(uniform[: len(sd)]))
        normal = radius * np.cos(2.0 * np.pi * uniform[len(sd) : 2 * len(sd)])  # Box, Muller 1958
        return whole_noise(normal, sd, words[2 * len(sd) :]).view(np.int64)

    def seed(self, label: bytes) -> int:
        """A whole number of 64 bits under a label."""
        return int(stream(self._key, b"fedprofile horizontal seed v1 " + label, 1)[0])

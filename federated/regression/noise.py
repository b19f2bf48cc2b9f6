"""Noise that one party adds to what the other opens, and roundings, from what a role has heard.

What is opened again and again of the same rows has two noises: a fresh one, and one that stays.
A mean over evaluations takes the fresh one away and leaves the other; a difference of two takes
the other away, and with it all that stays the same in a residual, which is the label.

A party that goes on from an older copy of itself gives the same noise to the same messages, so that
nobody gets two draws to average. Its source is the role's seed, which the operating system drew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from federated.regression.schedule import Vector
from psi.protocol import Random, Refused

__all__ = ["WILD", "dithered", "gaussians", "lasting_noise", "noise_of"]

Floats = NDArray[np.float64]
_MOST = 2.0**54
WILD = "use fewer columns, a larger penalty, or less noise: the fit does not settle"


def gaussians(count: int, random: Random) -> Floats:
    """Independent standard normal numbers, `float64[count]` (Box and Muller 1958)."""
    words = np.frombuffer(random(16 * count), "<u8") >> np.uint64(11)
    u = (words.astype(np.float64) + 0.5) * 2.0**-53
    return np.asarray(np.sqrt(-2.0 * np.log(u[:count])) * np.cos(2.0 * np.pi * u[count:]))


def noise_of(
    shape: tuple[int, int], deviations: Floats, bits: int, random: Random
) -> NDArray[np.uint64]:
    """Gaussian numbers of these standard deviations a column, with `bits` fraction bits."""
    drawn = gaussians(shape[0] * shape[1], random).reshape(shape)
    whole = np.rint(np.ldexp(drawn * deviations, bits))
    return np.asarray(whole.astype(np.int64).view(np.uint64))


def lasting_noise(
    seed: bytes, vectors: Sequence[Vector], deviations: Floats, bits: int
) -> NDArray[np.uint64]:
    """`uint64[vectors, columns]`: the same for the same set of rows, in every evaluation.

    Sets of rows have noises of their own each, as `noise_of` gives them.

    Args:
        seed: 32 secret bytes, the same in all evaluations.
        vectors: whose sums are opened.
        deviations: of each column, `float64[columns]`.
        bits: fraction bits.
    """
    found = []
    for vector in vectors:
        name = f"{vector.fold} {vector.outside}".encode()
        drawn = hashlib.shake_256(hashlib.blake2s(name, key=seed, person=b"lastingn").digest())
        found.append(noise_of((1, len(deviations)), deviations, bits, drawn.digest))
    return np.concatenate(found)


def dithered(numbers: Floats, bits: int, random: Random) -> NDArray[np.uint64]:
    """Numbers in fixed point, rounded up or down at random so that sums have no bias."""
    scaled = np.ldexp(numbers, bits)
    if not np.abs(scaled).max(initial=0.0) < _MOST:
        raise Refused("a step led to means too large to add up", hint=WILD)
    drawn = np.frombuffer(random(2 * numbers.size), "<u2").reshape(numbers.shape)
    whole = np.floor(scaled + (drawn + 0.5) * 2.0**-16)
    return np.asarray(whole.astype(np.int64).view(np.uint64))

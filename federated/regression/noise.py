"""Noise on what one party opens, of both, and on what it tells; roundings.

What is opened again and again of the same rows has two noises: a fresh one, and one that stays.
A mean over evaluations takes the fresh one away and leaves the other; a difference of two takes
the other away, and with it all that stays the same in a residual, which is the label.

A party that goes on from an older copy of itself gives the same noise to the same messages, so that
nobody gets two draws to average. Its source is the role's seed, which the operating system drew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.regression.schedule import Vector
from federated.sharing.wide_noise import whole_noise
from psi.protocol import Random

__all__ = [
    "AMONG",
    "FADING",
    "LIKE",
    "OWN",
    "TERM",
    "WILD",
    "Veil",
    "dithered",
    "gaussians",
    "lasting_noise",
    "noise_of",
    "told_start",
]

Floats = NDArray[np.float64]
_MOST = 2.0**54
OWN = 0.5
"""The noise that own inner products have, as a share of what the other party puts on own sums.

As large as that it made credit_default's fits end too far from the optimum.
"""
LIKE = 0.15
"""How far an own gradient is off before anything follows from it, as a share of itself.

The other party can make it of one row's columns, or of noise that it knows, as large as it likes,
and read what it is made of to 16 bits a number. Off by a share L it tells ½ log₂(1 + 1/L²) bits
of a column, 2.8. A fit needs no more, as the next gradient corrects each step, and at the optimum
there is nothing to be off: with .25 credit_default's fits took an evaluation more.
"""
FADING = 0.5
"""How much of an evaluation's error the next one has at least.

A liar that knows some of a row takes it off the gradient, which is shorter then. With an error of
what is left alone each evaluation told 2.8 bits more of a row, with this one it tells 1.
"""
TERM = 0.7
"""That of the linear term which a party adds to its own loss, as such a share.

Its own gradients have it in all evaluations, so that no mean of inner products takes it away. One
as large as the other party's noise cost bank_marketing's folds .0005 of AUC, this costs none.
"""
AMONG = 20
"""Rows of equal weight among which that term hides a label at least, where one row outweighs all
others of a column; of as many no party takes a column in which fewer differ."""
_LEAST, _TIMES = 0.25, 8.0
"""Of what is told of where a fit starts: the least noise, and how many times the most that one
record adds to the labels' sum that of the sum is."""
_STEPS = 8
"""To the unit: the digits of what is told so."""
_BENT, _BLURRED = 0.1, 0.1
"""How far a first metric is from the rows' own, and what is told of the size of noise."""
WILD = (
    "the fit does not settle: take columns or labels with values far from all others as a column "
    "of your own with these cut off, or fewer columns"
)


def gaussians(count: int, random: Random) -> Floats:
    """Independent standard normal numbers, `float64[count]` (Box and Muller 1958)."""
    words = np.frombuffer(random(16 * count), "<u8") >> np.uint64(11)
    u = (words.astype(np.float64) + 0.5) * 2.0**-53
    return np.asarray(np.sqrt(-2.0 * np.log(u[:count])) * np.cos(2.0 * np.pi * u[count:]))


def noise_of(
    shape: tuple[int, int], deviations: Floats, bits: int, random: Random
) -> NDArray[np.uint64]:
    """Gaussian numbers of these standard deviations a column, with `bits` fraction bits.

    They reach the lowest digit, however wide a unit that the other party tells makes them.
    """
    count = shape[0] * shape[1]
    data = random(24 * count)
    drawn = gaussians(count, lambda size: data[:size]).reshape(shape)
    low = np.frombuffer(data[16 * count :], "<u8").reshape(shape)
    return whole_noise(drawn, np.ldexp(deviations, bits), low)


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


def told_start(
    seed: bytes, link: str, rows: int, labels: float, weights: float | None, unit: int
) -> tuple[float, float]:
    """About the mean slope and the mean score that rows have by their labels alone.

    Noise is as wide whatever the labels and columns are. That of an own model's numbers was not: a
    row that outweighs its column moved them by its label, and so said how wide noise has to be.
    The same numbers have the same noise: who has this told again has nothing to average.

    Args:
        seed: secret.
        link: `logistic` or `poisson`.
        rows: with a label.
        labels: these labels' sum, each times its row's weight.
        weights: their sum; None where all are 1.
        unit: a row adds 2^unit to either at most.
    """
    classes, known = link == "logistic", float(rows) if weights is None else weights
    text = np.array([rows, labels, known, unit, classes]).tobytes()
    drawn = hashlib.shake_256(hashlib.blake2s(text, key=seed, person=b"starting").digest())
    one = 2.0**unit
    noise = gaussians(4, drawn.digest)
    hidden = labels + _TIMES * one * noise[0]
    if classes:
        total = known if weights is None else max(known + _TIMES * one * noise[1], one)
        share = float(np.clip(hidden / total, 1.0 / (rows + 1), 1.0 - 1.0 / (rows + 1)))
        slope, score = share * (1.0 - share) * total / rows, np.log(share / (1.0 - share))
    else:
        slope = max(hidden, one) / rows
        score = np.log(slope)
    told = np.array([np.log(slope), score]) + _LEAST * noise[2:]
    told = np.rint(told * _STEPS) / _STEPS
    return float(np.exp(told[0])), float(told[1])


@dataclass(frozen=True, repr=False)
class Veil:
    """What stays the same in a training of how a party's own numbers differ from its rows'.

    Steps and inner products follow from opened sums by a metric, which follows from all rows: an
    exact one would tell what one row fewer makes of it.
    """

    seed: bytes

    def _random(self, name: str) -> Random:
        key = hashlib.blake2s(name.encode(), key=self.seed, person=b"own veil").digest()
        return lambda size: hashlib.shake_256(key).digest(size)

    def bent(self, square: Floats) -> tuple[Floats, Floats]:
        """Near the inverse of a symmetric matrix of no direction below 0, `float64[k, k]`.

        And a root of the matrix itself, R with R R' it, `float64[k, directions]`.

        R' (1 + e G)' (1 + e G) R with R'R the inverse, G of standard normal numbers, e .1 / √k:
        a metric like it, whose every direction is off by a tenth or so.
        """
        size = len(square)
        values, vectors = np.linalg.eigh(square)
        kept = values > 1e-12 * size * max(float(values[-1]), np.finfo(np.float64).tiny)
        root = (vectors[:, kept] / np.sqrt(values[kept])).T
        drawn = gaussians(len(root) ** 2, self._random("metric")).reshape(len(root), -1)
        root += drawn @ root * (_BENT / max(1, len(root)) ** 0.5)
        own = vectors[:, kept] * np.sqrt(values[kept])
        return np.asarray(root.T @ root), np.asarray(own)

    def blurred(self, number: Any, name: str) -> Any:
        """Times a factor near 1."""
        (drawn,) = gaussians(1, self._random(name))
        return number * float(np.exp(_BLURRED * drawn))


def dithered(numbers: Floats, bits: int, random: Random) -> NDArray[np.uint64]:
    """Numbers in fixed point, rounded up or down at random so that sums have no bias.

    Those beyond 2^54 count as that: an error would compare them.
    """
    scaled = np.clip(np.ldexp(numbers, bits), -_MOST, _MOST)
    drawn = np.frombuffer(random(2 * numbers.size), "<u2").reshape(numbers.shape)
    whole = np.floor(scaled + (drawn + 0.5) * 2.0**-16)
    return np.asarray(whole.astype(np.int64).view(np.uint64))

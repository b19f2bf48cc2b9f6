"""An insider decodes whole rows of the partner from the numbers that are told.

The strongest that we know of: it has the directions exactly, the noise's size, and every tuple of
the partner's columns with its frequency, and takes the most probable tuple for each row. (One who
knows k + 1 of the partner's rows in full solves for the directions; with noise, nearly.)

A vector told with b score bits carries noise of 2^-b of its own standard deviation: a mean of
½·log2(1 + 4^b) bits a row. `shares` spends a given share of the bits that the columns hold, on one
vector or on several, and says what the insider decodes, by who chose the directions:

* `refits`: the label party's models of one label, each on another half of the rows;
* `unrelated`: models of labels that have nothing to do with each other;
* `chosen`: a receiver that lies about its rows steers the directions: uncorrelated ones of equal
  size, the best of several draws by its own trial on the tuples.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.attack.data import Floats, Ints, Joined
from federated.regression.newton import fit_logistic

__all__ = [
    "TRIED",
    "bits_of",
    "chosen",
    "decode",
    "decoded",
    "families",
    "refits",
    "score_bits_for",
    "unrelated",
]

# rows that a decoding is tried on; draws of a receiver that chooses, and its own rows for that
TRIED, DRAWS, OWN_TRIALS = 2000, 6, 250
# noise below this share of a vector counts as none
FINEST = 2.0**-20
# at most so many numbers of a table of rows by tuples at once
ROOM = 1 << 23


def bits_of(score_bits: float) -> float:
    """Bits a row that a vector of so many score bits tells in the mean."""
    return float(0.5 * np.log2(1.0 + 4.0**score_bits))


def score_bits_for(bits: float) -> float:
    """The score bits at which a vector tells so many bits a row."""
    return float(0.5 * np.log2(4.0**bits - 1.0))


def decode(told: Floats, centres: Floats, noise: Floats, log_prior: Floats) -> Ints:
    """The most probable tuple of each row.

    Args:
        told: `float64[m, t]`, numbers told of m rows.
        centres: `float64[T, t]`, what each tuple would tell without noise.
        noise: `float64[t]`, its standard deviation.
        log_prior: `float64[T]`, natural logarithm of each tuple's frequency.
    """
    size = np.maximum(noise, centres.std(axis=0) * FINEST)
    middle = centres.mean(axis=0)
    points = np.ascontiguousarray(((centres - middle) / size).T)
    start = log_prior - 0.5 * (points**2).sum(axis=0)
    step = max(1, ROOM // len(centres))
    found = np.empty(len(told), dtype=np.int64)
    for at in range(0, len(told), step):
        part = (told[at : at + step] - middle) / size
        found[at : at + step] = np.argmax(part @ points + start, axis=1)
    return found


def decoded(
    joined: Joined,
    directions: Floats,
    score_bits: float,
    rng: np.random.Generator,
    tried: int = TRIED,
) -> float:
    """Share of rows whose whole tuple the insider gets, from vectors along `directions` [b, t]."""
    first, which, counts = joined.tuples
    rows = rng.permutation(len(which))[:tried]
    exact = joined.partner @ directions
    noise = exact.std(axis=0) * 2.0**-score_bits
    told = exact[rows] + rng.normal(size=(len(rows), directions.shape[1])) * noise
    prior = np.log(counts / len(which))
    return float((decode(told, exact[first], noise, prior) == which[rows]).mean())


def refits(joined: Joined, count: int, rng: np.random.Generator) -> Floats:
    """`float64[b, count]`: the partner's part of models of the label, each on half of the rows."""
    known = np.flatnonzero(joined.label >= 0)
    design = np.column_stack([np.ones(len(joined.own)), joined.own, joined.partner])
    penalty = np.append(0.0, np.ones(design.shape[1] - 1))
    found = []
    for _ in range(count):
        rows = rng.permutation(known)[: len(known) // 2]
        fit = fit_logistic(design[rows], joined.label[rows], penalty, tolerance=1e-6)
        found.append(fit.coefficients[-joined.partner.shape[1] :])
    return np.array(found).T


def unrelated(joined: Joined, count: int, rng: np.random.Generator) -> Floats:
    """`float64[b, count]`: coefficients drawn independently."""
    return rng.normal(size=(joined.partner.shape[1], count))


def chosen(joined: Joined, count: int, score_bits: float, rng: np.random.Generator) -> Floats:
    """`float64[b, count]`: uncorrelated vectors, the best of several draws on the tuples alone."""
    centred = joined.partner - joined.partner.mean(axis=0)
    _, sizes, rows = np.linalg.svd(centred, full_matrices=False)
    kept = sizes > 1e-9 * sizes[0]
    white = rows[kept].T / sizes[kept]
    best, most = np.zeros((joined.partner.shape[1], count)), -1.0
    for number in range(DRAWS):
        turned = np.linalg.qr(rng.normal(size=(white.shape[1],) * 2))[0][:, :count]
        trial = white @ turned if number % 2 else rng.normal(size=(white.shape[0], count))
        share = decoded(joined, trial, score_bits, np.random.default_rng(0), OWN_TRIALS)
        if share > most:
            best, most = trial, share
    return best


def families(
    joined: Joined, count: int, score_bits: float, seeds: int
) -> Iterator[tuple[str, float]]:
    """Each way that directions come about, by name, and what is decoded, in the mean of seeds."""
    rngs = [np.random.default_rng(seed) for seed in range(seeds)]
    for name in ("refits", "unrelated", "chosen"):
        found = []
        for rng in rngs:
            if name == "refits":
                directions = refits(joined, count, rng)
            elif name == "unrelated":
                directions = unrelated(joined, count, rng)
            else:
                directions = chosen(joined, count, score_bits, rng)
            found.append(decoded(joined, directions, score_bits, rng))
        yield name, float(np.mean(found))

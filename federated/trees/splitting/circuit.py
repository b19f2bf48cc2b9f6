"""The circuit that finds the best candidate of each node: add, magnitude, tournament, own best.

Numbers are wires bit by bit, least first: labels `uint64[bits, nodes, n, 2]`. A score is shared
modulo 2^15, as a signed number. Its magnitude is that of v or of -v - 1, which is one less; a last
bit above it says whether the candidate is kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federated.trees.splitting.garbling import Engine

__all__ = ["MAGNITUDE_BITS", "added", "best", "best_of_two", "products_of", "products_of_two"]

Words = NDArray[np.uint64]

Counted = tuple[Words, Words, Words]

MAGNITUDE_BITS = 14


def added(engine: Engine, x: Words, y: Words) -> Words:
    """x + y modulo 2^bits, of wires `[bits, ...]`."""
    total = x ^ y
    total[1:] ^= engine.chain(x[:-1], y[:-1], both=True)
    return total


def _less(engine: Engine, x: Words, y: Words) -> Words:
    """Whether x < y, unsigned."""
    return np.asarray(engine.chain(x ^ y, y, both=False)[-1])


def _selected(engine: Engine, choice: Words, x: Words, y: Words) -> Words:
    """y where `choice` is 1, else x; `choice` has no axis of bits."""
    return x ^ engine.product(np.broadcast_to(choice, x.shape), x ^ y)


def valued(
    engine: Engine,
    x: Words,
    y: Words,
    kept: Words,
    turned: Words | None = None,
    counted: Counted | None = None,
) -> Words:
    """Magnitudes of shared scores, a bit above that says what is kept: `[15, nodes, n, 2]`.

    Arguments as of `best`.
    """
    total = added(engine, x, y)
    sign = total[MAGNITUDE_BITS]
    if turned is not None:
        kept = kept ^ engine.product(sign, turned)
    if counted is not None:
        mine, theirs, room = counted
        kept = kept ^ engine.product(kept, _less(engine, room, added(engine, mine, theirs)))
    return np.concatenate([total[:MAGNITUDE_BITS] ^ sign, kept[None]])


def tournament(engine: Engine, value: Words) -> tuple[Words, Words]:
    """The largest of each node's values, `[15, nodes, 1, 2]`, and its number alike."""
    number = np.zeros((0, *value.shape[1:]), np.uint64)
    while (count := value.shape[2]) > 1:
        even = count // 2 * 2
        left, right = value[:, :, 0:even:2], value[:, :, 1:even:2]
        above = _less(engine, left, right)
        sides = (np.concatenate([value, number])[:, :, at:even:2] for at in (0, 1))
        chosen = np.concatenate([_selected(engine, above, *sides), above[None]])
        # one without a partner is on the left of nobody: a wire of 0 has label 0
        alone = np.concatenate([value, number])[:, :, even:]
        alone = np.concatenate([alone, np.zeros((1, *alone.shape[1:]), np.uint64)])
        every = np.concatenate([chosen, alone], axis=2)
        value, number = every[: len(value)], every[len(value) :]
    return value, number


def where(engine: Engine, won: Words, number: Words) -> Words:
    """The number where `won: [nodes, 1, 2]` is 1, else 0."""
    return engine.product(np.broadcast_to(won, number.shape), number) if len(number) else number


def best(
    engine: Engine,
    x: Words,
    y: Words,
    kept: Words,
    own: Words,
    turned: Words | None = None,
    counted: Counted | None = None,
) -> tuple[Words, Words]:
    """Of each node whether a candidate is above `own`, and the best one's number if so, else 0.

    Args:
        engine: garbles or evaluates.
        x, y: shares of scores `[15, nodes, n, 2]`.
        kept: whether one may win, `[nodes, n, 2]`.
        own: the magnitude to beat, with a bit of 1 above it: `[15, nodes, 1, 2]`.
        turned: whether that is the other way round for a score below 0, alike; None: nowhere.
        counted: shares of a number of each candidate `[k, nodes, n, 2]`, and the largest with which
            it is kept `[k, nodes, 1, 2]`, unsigned; None: no such number.

    Returns:
        Wires `[nodes, 2]`, and `[bits, nodes, 2]`.
    """
    value, number = tournament(engine, valued(engine, x, y, kept, turned, counted))
    won = _less(engine, own, value)
    return won[:, 0], where(engine, won, number)[:, :, 0]


def best_of_two(
    engine: Engine, x: Words, y: Words, kept: Words, first: int
) -> tuple[Words, Words, Words]:
    """Of each node whether one of the `first` candidates is above all others, and who is best.

    Args:
        engine, x, y, kept: as in `best`.
        first: how many candidates the one side has; the others are the other's.

    Returns:
        Wires `[nodes, 2]`, and `[bits, nodes, 2]` of either side's number, 0 where it has lost.
    """
    value = valued(engine, x, y, kept)
    one, number = tournament(engine, value[:, :, :first])
    two, other = tournament(engine, value[:, :, first:])
    won = _less(engine, two, one)
    lost = other ^ where(engine, won, other)
    return won[:, 0], where(engine, won, number)[:, :, 0], lost[:, :, 0]


def products_of(nodes: int, candidates: int, *, ways: bool = False, count_bits: int = 0) -> int:
    """How many products `best` has; `ways`: with `turned`; `count_bits`: of `counted`."""
    each = MAGNITUDE_BITS + ways + 2 * count_bits
    return nodes * (each * candidates + sum(_played(candidates)) + MAGNITUDE_BITS + 1)


def products_of_two(nodes: int, first: int, others: int) -> int:
    """How many products `best_of_two` has."""
    sums = MAGNITUDE_BITS * (first + others)
    return nodes * (sums + sum(_played(first)) + sum(_played(others)) + MAGNITUDE_BITS + 1)


def _played(candidates: int) -> tuple[int, int]:
    """Products of a tournament, and of its number's bits where it has won."""
    value, bits = MAGNITUDE_BITS + 1, 0
    found, count = 0, candidates
    while count > 1:
        pairs = count // 2
        found += pairs * (2 * value + bits)
        count, bits = count - pairs, bits + 1
    return found, bits

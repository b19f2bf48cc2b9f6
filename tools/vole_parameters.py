"""Recompute the figures of docs/PARAMETERS.md, and what known attacks on the noise would cost.

    python tools/vole_parameters.py

prints the page's three tables. A test compares them with the page; the sizes come from
`psi.vole.parameters`, so page, code and this script cannot drift apart.
"""

from __future__ import annotations

import math

from psi.vole.parameters import (
    COMPUTATIONAL,
    DISTANCE,
    STATISTICAL,
    Vector,
    parts_of,
    store_for,
    tag_bytes,
    vector_of_chunk,
)
from psi.vole_malicious import parameters as checked

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_DEGREES = 12
_LINEAR_ALGEBRA = 2.8
"""Exponent of elimination, by Strassen's algorithm."""


def linear_tests(vector: Vector) -> float:
    """Bits against linear tests: the least of them has relative weight DISTANCE."""
    return -vector.trees * math.log2(1 - DISTANCE)


def gauss(vector: Vector) -> float:
    """Bits of information set decoding by Prange, which over a large field nothing beats by much.

    As many noise-free places as the code has dimensions are guessed; of each block the same
    share, which is the best choice, as the logarithm is concave. Then the system is solved.
    """
    share = 1 - vector.size / (vector.trees << vector.depth)
    return -vector.trees * math.log2(1 - share) + _LINEAR_ALGEBRA * math.log2(vector.size)


def algebraic(vector: Vector) -> float:
    """Bits of the attack of Briaud and Oygarden (Eurocrypt 2023) on regular noise.

    In each block all products of two places are zero. f places of a block are guessed to be
    noise-free; the degree at which the rest is solved is the first where the Hilbert series
    (1 - z)^N (1 + (L - f) z / (1 - z))^t has no positive coefficient.
    """
    block, trees = 1 << vector.depth, vector.trees
    best = math.inf
    for step in range(65):
        guessed = min(block - 1, block * step // 64)
        left, bits = block - guessed, -trees * math.log2(1 - guessed / block)
        if bits >= best:
            break
        counts = _power_of_block(left, trees)
        for degree in range(2, _DEGREES + 1):
            value = sum(
                (-1) ** i * math.comb(vector.size, i) * counts[degree - i]
                for i in range(degree + 1)
            )
            if value <= 0:
                best = min(best, bits + 2 * math.log2(counts[degree]))
                break
    return best


def _power_of_block(places: int, trees: int) -> list[int]:
    """Monomials by degree: the coefficients of (1 + places · z / (1 - z))^trees."""
    return [
        sum(
            math.comb(trees, blocks) * places**blocks * math.comb(degree - 1, blocks - 1)
            for blocks in range(1, degree + 1)
        )
        if degree
        else 1
        for degree in range(_DEGREES + 1)
    ]


def wire_bytes(items: int, *, checks: bool = False) -> float:
    """Bytes of all messages of a run of equal sets with `reveal = "receiver"`, without headers."""
    store = store_for(items)
    total = 32.0 * 512 + items * (checked.TAG if checks else tag_bytes(items, items))
    total += 16.0 * sum(part.high - part.low for part in parts_of(store))
    for chunk in range(store.chunks):
        vector = (checked.correlation if checks else vector_of_chunk)(store, chunk)
        total += vector.trees * (48 * vector.depth + 2048 + 16)
        total += (4 * 4096 + 2048 + 4 * 16 + 2 * 32) * checks
    return total


def sizes_table() -> str:
    """What the code takes for some sizes of both sets."""
    lines = [
        "| items a side | bins | sparse columns a bin | columns an item | chunks | trees | depth "
        "| tag, bytes | bytes an item of both sets |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for items in SIZES:
        store = store_for(items)
        vector = vector_of_chunk(store, 0)
        columns = store.bins * store.bin_columns / items
        lines.append(
            f"| {items:,} | {store.bins} | {store.sparse:,} | {columns:.3f} | {store.chunks} "
            f"| {vector.trees:,} | {vector.depth} | {tag_bytes(items, items)} "
            f"| {wire_bytes(items) / (2 * items):.1f} |"
        )
    return "\n".join(lines)


def attacks_table() -> str:
    """Bits that each attack costs; at least COMPUTATIONAL are wanted."""
    lines = [
        "| items a side | outputs N | linear tests | Prange | algebraic, regular noise |",
        "|---|---|---|---|---|",
    ]
    for items in SIZES:
        vector = vector_of_chunk(store_for(items), 0)
        found = [f"{attack(vector):.0f}" for attack in (linear_tests, gauss, algebraic)]
        lines.append(f"| {items:,} | {vector.size:,} | " + " | ".join(found) + " |")
    return "\n".join(lines)


def fitted(items: int, questions: int) -> float:
    """How many times its stated size a receiver that cheats fits into its store, at most.

    It asks the item hash 2^questions times. n' of the answers are met by some store of m columns
    with probability at most C(2^questions, n') 2^(128 (m - n')), which shall be below 2^-40:
    each of n' - m equations beyond the columns holds by chance with probability 2^-128.
    """
    store = store_for(items)
    columns = store.bins * store.bin_columns

    def bits(found: int) -> float:
        choices = found * (questions + math.log2(math.e / found))
        return choices + COMPUTATIONAL * (columns - found)

    low, high = columns, 64 * columns
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if bits(middle) <= -STATISTICAL else (middle + 1, high)
    return low / items


def checks_table() -> str:
    """What the checked protocol takes, and what its checks leave."""
    lines = [
        "| items a side | trees | depth | bits against chance in the check of trees "
        "| times its size that a receiver fits in by 2^64 hashes | by 2^80 | by 2^112 "
        "| bytes an item of both sets |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for items in SIZES:
        vector = checked.correlation(store_for(items), 0)
        fits = " | ".join(f"{fitted(items, questions):.2f}" for questions in (64, 80, 112))
        lines.append(
            f"| {items:,} | {vector.trees:,} | {vector.depth} "
            f"| {(127 - vector.depth) / 2:.1f} | {fits} "
            f"| {wire_bytes(items, checks=True) / (2 * items):.1f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    tables = sizes_table(), attacks_table(), checks_table()
    print("\n\n".join(tables), f"\n\nwanted: {COMPUTATIONAL} bits")  # noqa: T201

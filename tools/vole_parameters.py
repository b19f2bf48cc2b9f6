"""Recompute the figures of docs/PARAMETERS.md, and what known attacks on the noise would cost.

    python tools/vole_parameters.py

prints the page's tables. A test compares them with the page; the sizes come from
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
    tag_form,
    vector_of_chunk,
)
from psi.vole.suite import PLAIN, Suite
from psi.vole_malicious.parameters import CHECKED

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


def tag_wire(items: int, suite: Suite) -> float:
    """Bytes of a tag on the wire: its own, a bit, and its share of the steps."""
    form = suite.tags(items, items)
    return form.width + (1 + 2.0**form.leading / items) / 8


def wire_bytes(items: int, suite: Suite) -> float:
    """Bytes of all messages of a run of equal sets with `reveal = "receiver"`, without headers."""
    store = store_for(items)
    total = 32.0 * 512 + items * tag_wire(items, suite)
    total += 16.0 * sum(part.high - part.low for part in parts_of(store))
    for chunk in range(store.chunks):
        vector = suite.correlation(store, chunk)
        total += vector.trees * (48 * vector.depth + 2048 + 16)
        total += (4 * 4096 + 2048 + 4 * 16 + 2 * 32) * suite.proves
    return total


def sizes_table() -> str:
    """What the code takes for some sizes of both sets."""
    lines = [
        "| items a side | bins | sparse columns a bin | columns an item | chunks | trees | depth "
        "| tag, bits | tag on the wire, bytes | bytes an item of both sets |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for items in SIZES:
        store = store_for(items)
        vector = vector_of_chunk(store, 0)
        columns = store.bins * store.bin_columns / items
        lines.append(
            f"| {items:,} | {store.bins} | {store.sparse:,} | {columns:.3f} | {store.chunks} "
            f"| {vector.trees:,} | {vector.depth} | {tag_form(items, items).bits} "
            f"| {tag_wire(items, PLAIN):.2f} | {wire_bytes(items, PLAIN) / (2 * items):.1f} |"
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


def stood_for(items: int, questions: int, bits: int) -> float:
    """How many times its stated size a sender that cheats has items under its tags, on average.

    It hashes 2^questions items and sends the tags that most of them have. C(2^questions, k)
    2^(-bits (k - 1)) tags at most have k of them or more, on average over the hash.
    """
    total, most = 0.0, 1
    while True:
        log = most * questions - math.lgamma(most + 1) / math.log(2) - bits * (most - 1)
        total += min(1.0, 2 ** min(0.0, log - math.log2(items)))
        if most > 1 and log - math.log2(items) < -10:
            return total
        most += 1


def checks_table() -> str:
    """What the checked protocol takes."""
    lines = [
        "| items a side | trees | depth | bits against chance in the check of trees | tag, bits "
        "| tag on the wire, bytes | bytes an item of both sets |",
        "|---|---|---|---|---|---|---|",
    ]
    for items in SIZES:
        vector = CHECKED.correlation(store_for(items), 0)
        lines.append(
            f"| {items:,} | {vector.trees:,} | {vector.depth} "
            f"| {(127 - vector.depth) / 2:.1f} | {CHECKED.tags(items, items).bits} "
            f"| {tag_wire(items, CHECKED):.2f} | {wire_bytes(items, CHECKED) / (2 * items):.1f} |"
        )
    return "\n".join(lines)


def cheats_table() -> str:
    """How many times its stated size a party that cheats has, by how many hashes it makes."""
    lines = [
        "| items a side | a receiver, by 2^64 hashes | by 2^80 | by 2^112 "
        "| a sender, by 2^48 hashes | by 2^64 | by 2^80 |",
        "|---|---|---|---|---|---|---|",
    ]
    for items in SIZES:
        fits = [f"{fitted(items, questions):.2f}" for questions in (64, 80, 112)]
        bits = CHECKED.tags(items, items).bits
        fits += [f"{stood_for(items, questions, bits):.2f}" for questions in (48, 64, 80)]
        lines.append(f"| {items:,} | " + " | ".join(fits) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    tables = sizes_table(), attacks_table(), checks_table(), cheats_table()
    print("\n\n".join(tables), f"\n\nwanted: {COMPUTATIONAL} bits")  # noqa: T201

"""Both arithmetic paths against Python integers."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from psi.kernels.montgomery import SquareRing, square_ring
from psi.kernels.montgomery_emit import LIMB_BITS
from psi.kernels.montgomery_words import (
    add,
    add_where,
    from_words,
    less_than,
    magnitude,
    negate,
    random_below,
    resize,
    to_words,
)
from tests.unit.paillier.keys import PATHS, stream

RNG = random.Random(7)
# sizes where limbs run just full, or the slack of 12 bits just fits
MODULI = [
    15,
    (1 << 300) - 1,
    (1 << (LIMB_BITS * 6 - 12)) - 3,
    (1 << (LIMB_BITS * 6 - 11)) + 1,
    (1 << 1023) + 1155,
    (1 << 1536) - 1,
    RNG.getrandbits(3072) | 1 | 1 << 3071,
]
IDS = [f"{modulus.bit_length()} bits" for modulus in MODULI]

Ring = Callable[[int], SquareRing]


@pytest.fixture(params=PATHS)
def ring_of(request: pytest.FixtureRequest) -> Ring:
    return lambda modulus: square_ring(modulus, request.param)


def load(ring: SquareRing, values: list[int]) -> Any:
    return ring.load(to_words(values, ring.square_words))


def dump(ring: SquareRing, residues: Any) -> list[int]:
    return [int(number) for number in from_words(ring.dump(residues))]


def numbers(modulus: int, count: int) -> list[int]:
    """Edges first, then random."""
    square = modulus**2
    edges = [0, 1, square - 1, modulus, modulus - 1, square - modulus, modulus + 1]
    return (edges + [RNG.randrange(square) for _ in range(count)])[:count]


@pytest.mark.parametrize("modulus", MODULI, ids=IDS)
def test_products_squares_and_plain_factors(ring_of: Ring, modulus: int) -> None:
    ring, square = ring_of(modulus), modulus**2
    a, b = numbers(modulus, 19), numbers(modulus, 19)[::-1]
    assert dump(ring, load(ring, a)) == a
    product = ring.multiply(load(ring, a), load(ring, b))
    assert dump(ring, product) == [x * y % square for x, y in zip(a, b, strict=True)]
    # unreduced results are factors again
    again = ring.multiply(product, product)
    assert dump(ring, again) == [(x * y) ** 2 % square for x, y in zip(a, b, strict=True)]
    single = ring.multiply(load(ring, a), load(ring, b[:1]))
    assert dump(ring, single) == [x * b[0] % square for x in a]
    plain = [modulus - 1, 0, 1] + [RNG.randrange(modulus) for _ in range(16)]
    shifted = ring.times_plain(load(ring, a), to_words(plain, ring.plain_words))
    assert dump(ring, shifted) == [
        x * (1 + m * modulus) % square for x, m in zip(a, plain, strict=True)
    ]


@pytest.mark.parametrize("modulus", MODULI[1:6], ids=IDS[1:6])
def test_powers(ring_of: Ring, modulus: int) -> None:
    ring, square = ring_of(modulus), modulus**2
    a = numbers(modulus, 11)
    for exponent in (0, 1, 2, 255, RNG.getrandbits(200)):
        for constant_time in (False, True):
            powers = ring.power_shared(load(ring, a), exponent, constant_time=constant_time)
            assert dump(ring, powers) == [pow(x, exponent, square) for x in a]
    exponents = [0, 1, 3] + [RNG.getrandbits(150) for _ in range(8)]
    powers = ring.power_rows(load(ring, a), to_words(exponents, 3))
    assert dump(ring, powers) == [pow(x, e, square) for x, e in zip(a, exponents, strict=True)]


@pytest.mark.parametrize("constant_time", [False, True])
@pytest.mark.parametrize("window", [1, 3, 5, 9])
def test_fixed_base(ring_of: Ring, window: int, constant_time: bool) -> None:
    modulus = MODULI[3]
    ring, square = ring_of(modulus), modulus**2
    exponents = [0, 1, (1 << 130) - 1] + [RNG.getrandbits(130) for _ in range(10)]
    base = ring.fixed_base(5, 130, window, factor=7)
    powers = base.power(to_words(exponents, 3), constant_time=constant_time)
    assert dump(ring, powers) == [7 * pow(5, e, square) % square for e in exponents]


def test_inverses(ring_of: Ring) -> None:
    modulus = (1 << 300) + 157
    ring, square = ring_of(modulus), modulus**2
    for count in (0, 1, 2, 7, 21):
        a = [RNG.randrange(1, modulus) for _ in range(count)]
        assert dump(ring, ring.inverse(load(ring, a))) == [pow(x, -1, square) for x in a]
    with pytest.raises(ZeroDivisionError):
        ring.inverse(load(ring, [3, modulus, 5]))


def test_segments_of_all_lengths(ring_of: Ring) -> None:
    modulus = MODULI[1]
    ring, square = ring_of(modulus), modulus**2
    values = [RNG.randrange(square) for _ in range(50)]
    lengths = [0, 1, 2, 700, 3, 0, 17, 1, 1, 40, 0]
    order = np.array([RNG.randrange(50) for _ in range(sum(lengths))], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    expected = []
    for lo, hi in pairwise(offsets.tolist()):
        product = 1
        for row in order[lo:hi]:
            product = product * values[row] % square
        expected.append(product)
    residues = ring.segment_product(load(ring, values), order, offsets)
    assert dump(ring, residues) == expected


@pytest.mark.parametrize(("chains", "buckets"), [(1, 1), (1, 64), (3, 40), (9, 5), (0, 8)])
def test_buckets(ring_of: Ring, chains: int, buckets: int) -> None:
    modulus = MODULI[1]
    ring, square = ring_of(modulus), modulus**2
    values = [RNG.randrange(square) for _ in range(chains * buckets)]
    expected = []
    for chain in range(chains):
        product = 1
        for place, value in enumerate(values[chain * buckets : (chain + 1) * buckets]):
            product = product * pow(value, place + 1, square) % square
        expected.append(product)
    assert dump(ring, ring.bucket_product(load(ring, values), chains)) == expected


def test_plaintext_side(ring_of: Ring) -> None:
    modulus = MODULI[4]
    ring = ring_of(modulus)
    plain = [0, 1, modulus - 1] + [RNG.randrange(modulus) for _ in range(8)]
    ones = ring.times_plain(ring.ones(len(plain)), to_words(plain, ring.plain_words))
    assert from_words(ring.log(ones)) == plain
    factor = RNG.randrange(modulus)
    scaled = ring.scale(to_words(plain, ring.plain_words), factor)
    assert from_words(scaled) == [m * factor % modulus for m in plain]
    halves = [RNG.getrandbits(500) for _ in range(9)]
    factor = RNG.getrandbits(500)
    expanded = ring.expand(to_words(halves, 8), factor)
    assert from_words(expanded) == [m * factor for m in halves]


def test_chinese_remainder(ring_of: Ring) -> None:
    p, q = (1 << 200) + 235, (1 << 200) + 247
    low, high, both = ring_of(p), ring_of(q), ring_of(p * q)
    a, b = numbers(p, 12), numbers(q, 12)
    joined = both.join(low, load(low, a), high, load(high, b))
    assert dump(both, joined) == [
        (x * q**2 + y * p**2) % (p * q) ** 2 for x, y in zip(a, b, strict=True)
    ]
    values = numbers(p * q, 12)
    assert dump(low, low.load(to_words(values, both.square_words))) == [v % p**2 for v in values]


def test_common_factors_are_found(ring_of: Ring) -> None:
    p, q = (1 << 150) + 67, (1 << 151) + 363
    ring = ring_of(p * q)
    values = [RNG.randrange(1, p) for _ in range(30)]
    assert ring.coprime(load(ring, values))
    assert ring.coprime(load(ring, []))
    for position in (0, 13, 29):
        assert not ring.coprime(load(ring, [*values[:position], 3 * p, *values[position + 1 :]]))


def test_words() -> None:
    values = [0, 1, (1 << 128) - 1, 1 << 64, (1 << 64) - 1]
    words = to_words(values, 2)
    assert from_words(words) == values
    assert from_words(add(words, words)) == [2 * v % (1 << 128) for v in values]
    assert from_words(negate(words)) == [-v % (1 << 128) for v in values]
    assert from_words(magnitude(words)[0]) == [0, 1, 1, 1 << 64, (1 << 64) - 1]
    for bound in (1, 1 << 64, (1 << 64) + 1, 1 << 128):
        assert less_than(words, bound).tolist() == [v < bound for v in values]
    rows = np.array([True, False, True, False, False])
    assert from_words(add_where(words, 3, rows))[:3] == [3, 1, 2]
    assert from_words(resize(words, 3, signed=True))[2] == (1 << 192) - 1


def test_uniform_draws_stay_below_their_bound() -> None:
    bound = (1 << 70) + 1  # nearly half of the draws are rejected
    words = random_below(1000, bound, stream("below"))
    drawn = from_words(words)
    assert len(drawn) == 1000
    assert max(drawn) < bound
    assert 0.45 < sum(number < bound // 2 for number in drawn) / 1000 < 0.55

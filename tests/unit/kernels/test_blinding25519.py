"""Added blinds against plain affine arithmetic on the Montgomery curve, in Python's integers."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from psi import oprf
from psi.kernels import comb25519, curve25519, scalars
from psi.kernels.blinding25519 import BASE, DIGIT_WORDS, blind_items, unblind
from psi.kernels.comb25519 import comb_table, multiplier
from psi.kernels.curve25519 import LOW_ORDER, ORDER, PRIME
from psi.protocol.errors import PeerError
from tests.unit.kernels.curve_points import add, over, times, u_of


def points(*values: int) -> np.ndarray:
    data = b"".join(value.to_bytes(32, "little") for value in values)
    return np.frombuffer(data, np.uint8).reshape(-1, 32)


def numbers(found: np.ndarray) -> list[int]:
    return [int.from_bytes(row.tobytes(), "little") for row in found]


def strings(count: int) -> tuple[np.ndarray, np.ndarray]:
    data = np.frombuffer(secrets.token_bytes(7 * count), np.uint8)
    return data, np.arange(count + 1, dtype=np.int64) * 7


def some_blinds(count: int) -> np.ndarray:
    return oprf.blinds(secrets.token_bytes(32), 3, count)


def test_a_blinded_item_is_eight_times_its_point_and_a_multiple_of_the_base() -> None:
    data, offsets = strings(6)
    chosen = some_blinds(6)
    encoded = numbers(curve25519.encode_to_curve(data, offsets, b"dst"))
    found = numbers(blind_items(data, offsets, b"dst", chosen))
    for u, digits, blinded in zip(encoded, chosen, found, strict=True):
        blind = times(multiplier(digits), over(BASE))
        eight = times(8, over(u))
        assert blinded in (u_of(add(eight, blind)), u_of(add(times(-1, eight), blind)))


def test_the_digits_of_extreme_and_equal_blinds() -> None:
    data, offsets = strings(3)
    encoded = numbers(curve25519.encode_to_curve(data, offsets, b"dst"))
    extreme = np.zeros((3, DIGIT_WORDS), np.uint64)
    extreme[1] = 2**64 - 1
    extreme[2] = 0b10000 * sum(32**j for j in range(12))
    for u, digits, blinded in zip(
        encoded, extreme, numbers(blind_items(data, offsets, b"dst", extreme)), strict=True
    ):
        blind, eight = times(multiplier(digits), over(BASE)), times(8, over(u))
        assert blinded in (u_of(add(eight, blind)), u_of(add(times(-1, eight), blind)))


@pytest.mark.parametrize("count", [1, 2, 9, 130, 300])
def test_blinds_come_off(count: int) -> None:
    k = scalars.random_scalar(secrets.token_bytes)
    data, offsets = strings(count)
    chosen = some_blinds(count)
    blinded = oprf.blind(data, offsets, chosen)
    found = oprf.finalize(oprf.evaluate(blinded, k), oprf.public_key(k), chosen)
    own = oprf.own(oprf.encode(data, offsets), k)
    hits = [(values == own).all(axis=1) for values in found]
    assert (hits[0] ^ hits[1]).all()
    assert count < 100 or 0 < hits[0].sum() < count, "both signs occur"
    r = scalars.random_scalar(secrets.token_bytes)
    shared = oprf.blind_all(oprf.encode(data, offsets), r)
    assert (oprf.finalize_all(oprf.evaluate(shared, k), r) == own).all()


def test_torsion_dies_and_strangers_to_the_curve_become_zero() -> None:
    k, chosen = 987654321, some_blinds(1)
    public = u_of(times(8 * k, over(BASE)))
    value = times(12345, over(BASE))
    torsion = over(LOW_ORDER[2])  # of order eight
    assert times(8, torsion) is None
    wanted = sorted(numbers(np.concatenate(unblind(points(u_of(value)), public, chosen))))
    mixed = points(u_of(add(value, torsion)))
    assert sorted(numbers(np.concatenate(unblind(mixed, public, chosen)))) == wanted
    twist = next(u for u in range(2, 99) if comb25519.root(u**3 + 486662 * u * u + u) is None)
    for bad in (twist, 0):
        plus, minus = unblind(points(bad), public, chosen)
        assert numbers(plus) == numbers(minus) == [0]
    with pytest.raises(PeerError, match=r"1 of 1 points .* not on the curve"):
        oprf.finalize(points(twist), public.to_bytes(32, "little"), chosen)
    for low in LOW_ORDER:
        with pytest.raises(PeerError, match="1 of 1 points are of low order"):
            oprf.finalize(points(low), public.to_bytes(32, "little"), chosen)


@pytest.mark.parametrize("bad", [*LOW_ORDER, PRIME, 2**256 - 1, 2])
def test_a_public_key_of_low_order_or_off_the_curve_is_refused(bad: int) -> None:
    with pytest.raises(PeerError, match="public key"):
        oprf.finalize(points(9), bad.to_bytes(32, "little"), some_blinds(1))
    with pytest.raises(PeerError, match="public key"):
        oprf.finalize(points(9), b"", some_blinds(1))


def test_the_table_is_odd_multiples() -> None:
    table = comb_table(BASE)
    half = pow(2, -1, PRIME)
    for window, entry in ((0, 0), (0, 15), (50, 7)):
        p = times((2 * entry + 1) << (5 * window), over(BASE))
        assert p is not None
        y = (p[0] - 1) * pow(p[0] + 1, -1, PRIME) % PRIME
        x = comb25519.ROOT_OF_EDWARDS * p[0] * pow(p[1], -1, PRIME) % PRIME
        words = [int(word) for word in table[window, entry]]
        plus, minus = (
            sum(w << (51 * i) for i, w in enumerate(words[at : at + 5])) for at in (0, 5)
        )
        assert {plus, minus} == {(y + x) * half % PRIME, (y - x) * half % PRIME}


def test_blinds_are_uniform_by_count() -> None:
    """2^255 multipliers, two apart: each residue of the order is hit seven or eight times."""
    assert abs(2**255 - 8 * ORDER) < 2**128
    low = multiplier(np.zeros(DIGIT_WORDS, np.uint64))
    high = multiplier(np.full(DIGIT_WORDS, 2**64 - 1, np.uint64))
    assert high - low == 2 * (2**255 - 1)


PROGRAM = """
import numpy as np
from psi import oprf
from psi.kernels.rows25519 import LANES, LIMBS, SLOTS
data, offsets = np.arange(140, dtype=np.uint8), np.arange(21, dtype=np.int64) * 7
blinds = oprf.blinds(bytes(32), 0, 20)
sent = oprf.blind(data, offsets, blinds)
found = oprf.finalize(oprf.evaluate(sent, 77), oprf.public_key(77), blinds)
own = oprf.own(oprf.encode(data, offsets), 77)
print(*(x.tobytes().hex() for x in (sent, *found, own)))
print(LANES, LIMBS, SLOTS)
"""
EMULATED = """
from llvmlite import ir
from psi.kernels import lanes25519_wide, simd, vectors

# what vpmadd52luq and vpmadd52huq do, in 128-bit products
def madd52(b, half, total, x, y):
    wide = ir.VectorType(ir.IntType(128), 8)
    low = vectors.constant(8, 2**52 - 1)
    product = b.mul(b.zext(b.and_(x, low), wide), b.zext(b.and_(y, low), wide))
    if half == "h":
        product = b.lshr(product, ir.Constant(wide, [52] * 8))
    return b.add(total, b.and_(b.trunc(product, vectors.vector(8)), low))

lanes25519_wide.madd52 = madd52
simd.kernel_path = lambda: "wide"
"""


def outcome(program: str, **environment: str) -> tuple[str, str]:
    """The values of a process of its own, and how many lanes, limbs and slots it had."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    values, shape = done.stdout.splitlines()
    return values, shape


@pytest.mark.slow
def test_every_kind_of_lanes_gives_the_same(tmp_path: Path) -> None:
    """One lane for CPUs that are not x86, and the widest with its multiply-add emulated."""
    here, _ = outcome(PROGRAM)
    one = outcome(PROGRAM, NUMBA_CPU_NAME="x86-64", NUMBA_CPU_FEATURES="-sse2")
    assert one == (here, "1 5 1")
    wide = outcome(EMULATED + PROGRAM, XDG_CACHE_HOME=str(tmp_path))
    assert wide == (here, "8 5 2")

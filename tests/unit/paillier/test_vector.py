from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from federated.paillier import (
    EncryptedVector,
    ObfuscatorPool,
    Packing,
    Plaintexts,
    PrivateKey,
    PublicKey,
    randomness,
    use_path,
)
from federated.paillier.selfcheck import selfcheck
from federated.paillier.weighted import signed_digits
from psi.protocol.errors import MisuseError, PeerError
from tests.unit.paillier.keys import PATHS, full_key, stream, toy_key

VALUES = [0, 1, -1, 2**30, -(2**30), 77, -99, 5, 6, 7, 8]


def fresh(key: PrivateKey) -> PrivateKey:
    """The same key without cached bases and tables."""
    return PrivateKey(key.p, key.q)


def encrypt(key: PrivateKey | PublicKey, values: list[int], seed: str = "e") -> EncryptedVector:
    plain = Plaintexts.from_ints(values, bound=max(1 << 31, *map(abs, values)))
    return EncryptedVector.encrypt(key, plain, random=stream(seed))


def opened(vector: EncryptedVector, key: PrivateKey) -> list[int]:
    return vector.decrypt(key).to_ints()


@pytest.mark.parametrize("private", [False, True])
def test_arithmetic(path: str, toy: PrivateKey, private: bool) -> None:
    key = toy if private else toy.public
    vector = encrypt(key, VALUES)
    values = np.array(VALUES)
    assert opened(vector, toy) == VALUES
    assert opened(vector.add(vector), toy) == (2 * values).tolist()
    assert opened(vector.subtract(vector[3:4]), toy) == (values - 2**30).tolist()
    assert opened(vector.negate(), toy) == (-values).tolist()
    assert opened(vector.add_plain(Plaintexts.from_ints(VALUES)), toy) == (2 * values).tolist()
    assert opened(vector[5:6].add_plain(Plaintexts.from_ints([1, 2])), toy) == [78, 79]
    factors = np.arange(-5, 6) * 1001
    assert opened(vector.multiply_plain(factors), toy) == (values * factors).tolist()
    assert opened(vector.multiply_plain(-3), toy) == (-3 * values).tolist()
    assert opened(vector.multiply_plain(0), toy) == [0] * len(VALUES)
    assert opened(vector.sum(), toy) == [sum(VALUES)]
    assert opened(vector[2:5], toy) == VALUES[2:5]
    assert opened(vector.take(np.array([9, 0, 9])), toy) == [7, 0, 7]
    joined = EncryptedVector.concatenate([vector, vector[:1]])
    assert opened(joined, toy) == [*VALUES, 0]
    codes = np.array([0, 2, 2, -1, 3, 3, 3, 0, -1, 0, 2])
    sums = [int(values[codes == group].sum()) for group in range(5)]
    assert opened(vector.segment_sum(codes, 5), toy) == sums


@pytest.mark.parametrize("bits", [1, 2, 7, 24, 62])
def test_weighted_sums(path: str, toy: PrivateKey, bits: int) -> None:
    rng = np.random.default_rng(bits)
    rows = 150
    values = rng.integers(-1000, 1000, rows)
    most = 2**bits - 1
    weights = rng.integers(-most, most, (rows, 11), endpoint=True)
    weights[:, 0], weights[:, 1], weights[:, 2] = most, -most, 0
    plain = Plaintexts.from_int64(values, bound_bits=10)
    vector = EncryptedVector.encrypt(toy, plain, random=stream("w"))
    expected = (values.astype(object)[:, None] * weights.astype(object)).sum(axis=0)
    assert opened(vector.weighted_sums(weights), toy) == expected.tolist()


def test_weighted_sums_at_the_edges(path: str, toy: PrivateKey) -> None:
    vector = encrypt(toy, VALUES)
    assert len(vector.weighted_sums(np.zeros((len(VALUES), 0), dtype=np.int64))) == 0
    zeros = vector.weighted_sums(np.zeros((len(VALUES), 3), dtype=np.int64))
    assert opened(zeros, toy) == [0, 0, 0]
    none = vector[:0].weighted_sums(np.zeros((0, 2), dtype=np.int64))
    assert opened(none, toy) == [0, 0]
    with pytest.raises(MisuseError, match="64 bits"):
        vector.weighted_sums(np.full((len(VALUES), 1), np.iinfo(np.int64).min))
    with pytest.raises(MisuseError, match="shape"):
        vector.weighted_sums(np.zeros((2, 2), dtype=np.int64))


@pytest.mark.parametrize("window", range(1, 16))
def test_signed_digits_add_up(window: int) -> None:
    for bits in (1, 5, 24, 62):
        most = 2**bits - 1
        weights = np.array([[0, 1, -1, most, -most, most // 3]])
        places = -(-(bits + 1) // window)
        digits = signed_digits(weights, window, places)
        assert np.abs(digits).max() <= 1 << (window - 1)
        total = sum(digits[place].astype(object) << (window * place) for place in range(places))
        assert (total == weights).all()


def test_packed_rows(path: str, toy: PrivateKey) -> None:
    packing = Packing.fit(512, 20, 1000, mask_bits=30)
    rng = np.random.default_rng(5)
    values = rng.integers(-(2**20) + 1, 2**20, (40, packing.slots))
    vector = EncryptedVector.encrypt(toy, packing.pack(values), random=stream("p"))
    assert (packing.unpack_int64(vector.decrypt(toy)) == values).all()
    assert (packing.unpack_int64(vector.sum().decrypt(toy)) == values.sum(axis=0)).all()
    one = encrypt(toy.public, [-7])
    small = Packing(4, 100)
    rows = small.pack(values[:, :4], value_bits=20)
    for count in (1, 3, 40):  # with and without tables
        product = one.multiply_plain_wide(rows[:count])
        assert (small.unpack_int64(product.decrypt(toy)) == -7 * values[:count, :4]).all()
    repeated = one.take(np.zeros(40, dtype=np.int64)).multiply_plain_wide(rows)
    assert (small.unpack_int64(repeated.decrypt(toy)) == -7 * values[:, :4]).all()


def test_packed_slots_cannot_overflow(toy: PrivateKey) -> None:
    packing = Packing.fit(512, 20, 4)
    rows = packing.pack(np.full((5, packing.slots), -(2**20) + 1))
    vector = EncryptedVector.encrypt(toy, rows)
    total = vector[:4].sum()
    assert (packing.unpack_int64(total.decrypt(toy)) == 4 * (-(2**20) + 1)).all()
    with pytest.raises(MisuseError, match="cannot sum"):
        vector.sum()
    with pytest.raises(MisuseError, match="cannot add"):
        total.add(vector[:1])


def test_overflow_of_half_the_modulus_is_refused_before_computing(toy: PrivateKey) -> None:
    half = toy.public.half
    vector = encrypt(toy, [half, -half])
    assert opened(vector, toy) == [half, -half]
    operations: list[Callable[[], object]] = [
        lambda: vector.add(vector),
        lambda: vector.subtract(encrypt(toy, [1])),
        lambda: vector.add_plain(Plaintexts.from_ints([1, 0])),
        lambda: vector.multiply_plain(2),
        vector.sum,
        lambda: vector.weighted_sums(np.array([[1], [1]])),
        lambda: EncryptedVector.encrypt(toy, Plaintexts.from_ints([half + 1])),
    ]
    for operation in operations:
        with pytest.raises(MisuseError, match="cannot"):
            operation()
    assert opened(vector.multiply_plain(-1), toy) == [-half, half]
    assert opened(vector.segment_sum(np.array([0, 1]), 2), toy) == [half, -half]


def test_masks_hide_and_come_off(path: str, toy: PrivateKey) -> None:
    vector = encrypt(toy, VALUES)
    masked, masks = vector.mask_uniform(stream("mask"))
    shown = masked.decrypt(toy)
    assert shown.to_ints() != VALUES
    assert shown.minus(masks, toy.public).to_ints() == VALUES
    with pytest.raises(MisuseError):
        masked.add(vector)


def test_the_key_holder_gets_full_width_randomness(
    path: str, toy: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Towards the key holder the factor is r^n for uniform r, never a short power."""
    vector = encrypt(toy.public, VALUES)
    ring, used = toy.public.ring, []
    power = ring.power_shared

    def watched(a: Any, exponent: int, **options: bool) -> Any:
        used.append((ring.dump(a), exponent))
        return power(a, exponent, **options)

    monkeypatch.setattr(ring, "power_shared", watched)
    monkeypatch.setattr(randomness, "_draw_exponents", None)
    again = vector.rerandomise(for_key_holder=True, random=stream("r"))
    assert opened(again, toy) == VALUES
    assert [exponent for _, exponent in used] == [toy.public.n]
    # the quotient of old and new is exactly these r^n
    quotient = ring.dump(again.subtract(vector)._residues)
    expected = ring.dump(power(ring.load(used[0][0]), toy.public.n))
    assert (quotient == expected).all()
    largest = max(int(word) for word in used[0][0][:, ring.plain_words - 1])
    assert largest > 1 << 56, "r is as wide as n"


def test_others_get_short_exponents_over_an_own_base(path: str) -> None:
    toy = fresh(toy_key(256))
    vector = encrypt(toy.public, VALUES)
    again = vector.rerandomise(for_key_holder=False, random=stream("r"))
    assert again.to_bytes() != vector.to_bytes()
    assert opened(again, toy) == VALUES
    base = toy.public.cached("base", lambda: 0)
    assert pow(base, (toy.p - 1) * (toy.q - 1) // 2, toy.public.n**2) == 1
    other = fresh(toy)
    encrypt(other.public, [1], "another source")
    assert other.public.cached("base", lambda: 0) != base


@pytest.mark.skipif(len(PATHS) == 1, reason="one path only")
@pytest.mark.parametrize("constant_time", [False, True])
@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("bits", [256, 512, 2048])
def test_paths_agree_bit_by_bit(bits: int, private: bool, constant_time: bool) -> None:
    seen = []
    for path in PATHS:
        with use_path(path):
            toy = fresh(full_key(bits) if bits >= 2048 else toy_key(bits))
            source = stream("both paths")
            key = toy if private else toy.public
            plain = Plaintexts.from_ints(VALUES[:4])
            vector = EncryptedVector.encrypt(key, plain, random=source, constant_time=constant_time)
            masked, _ = vector.multiply_plain(np.arange(-2, 2)).mask_uniform(source)
            sums = vector.weighted_sums(np.array([[1, -5], [3, 8], [0, 2], [1, 1]]))
            back = vector.rerandomise(for_key_holder=True, random=source)
            seen.append([v.to_bytes() for v in (vector, masked, sums, back)])
    assert seen[0] == seen[1]


def test_wire(path: str, toy: PrivateKey) -> None:
    vector = encrypt(toy, VALUES)
    data = vector.to_bytes()
    assert len(data) == len(VALUES) * 128
    again = EncryptedVector.from_bytes(toy.public, data, len(VALUES), bound_bits=31)
    assert again.to_bytes() == data
    assert opened(again.add(again), toy) == [2 * value for value in VALUES]
    undeclared = EncryptedVector.from_bytes(toy.public, data, len(VALUES))
    assert opened(undeclared, toy) == VALUES
    with pytest.raises(MisuseError):
        undeclared.add(undeclared)
    empty = EncryptedVector.from_bytes(toy.public, b"", 0)
    assert len(empty) == 0
    assert empty.to_bytes() == b""
    lying = EncryptedVector.from_bytes(toy.public, data, len(VALUES), bound_bits=20)
    with pytest.raises(PeerError, match="2 of 11 decrypted values exceed the declared 20 bits"):
        lying.decrypt(toy)
    packing = Packing(3, 30, value_bits=20)
    declared = EncryptedVector.from_bytes(toy.public, data, len(VALUES), packing=packing)
    assert (declared.bound, declared.limit) == (packing.bound(2**20 - 1), packing.limit)


def test_bad_ciphertexts_are_refused(path: str, toy: PrivateKey) -> None:
    n = toy.public.n
    good = encrypt(toy, [1, 2, 3]).to_bytes()

    def read(data: bytes) -> None:
        EncryptedVector.from_bytes(toy.public, data, 3, bound_bits=31)

    read(good)
    for wrong in (good[:-1], good + b"\0", b""):
        with pytest.raises(PeerError, match="expected 384"):
            read(wrong)
    for number in (0, n * n, 2**1024 - 1):
        with pytest.raises(PeerError, match="1 of 3 ciphertexts lie outside"):
            read(good[:128] + number.to_bytes(128, "little") + good[256:])
    for number in (toy.p, n, toy.q**2 * 5, n * n - n):
        with pytest.raises(PeerError, match="factor in common"):
            read(good[:128] + number.to_bytes(128, "little") + good[256:])


def test_keys_and_shapes_do_not_mix(toy: PrivateKey) -> None:
    vector, other = encrypt(toy, VALUES), toy_key(256)
    operations: list[Callable[[], object]] = [
        lambda: vector.add(encrypt(other, [1])),
        lambda: EncryptedVector.concatenate([vector, encrypt(other, [1])]),
        lambda: EncryptedVector.concatenate([]),
        lambda: vector.decrypt(other),
        lambda: vector.add(vector[:2]),
        lambda: vector.take(np.array([len(VALUES)])),
        lambda: vector.segment_sum(np.zeros(3, dtype=np.int64), 1),
        lambda: vector.segment_sum(np.full(len(VALUES), 2), 2),
        lambda: vector.multiply_plain(np.array([1, 2])),
        vector.__getstate__,
    ]
    for operation in operations:
        with pytest.raises(MisuseError):
            operation()
    assert "512" in repr(vector)


@pytest.mark.skipif(len(PATHS) == 1, reason="one path only")
def test_vectors_of_both_paths_mix(toy: PrivateKey) -> None:
    with use_path("portable"):
        left = encrypt(toy, VALUES)
    with use_path(PATHS[-1]):
        right = encrypt(toy, VALUES)
        assert opened(right.add(left), toy) == [2 * value for value in VALUES]
        assert opened(left.rerandomise(for_key_holder=False), toy) == VALUES
    assert opened(left.add(right), toy) == [2 * value for value in VALUES]


def test_equal_plaintexts_look_different(path: str, toy: PrivateKey) -> None:
    for key in (toy, toy.public):
        data = EncryptedVector.encrypt(key, Plaintexts.from_ints([5] * 20)).to_bytes()
        assert len({data[at : at + 128] for at in range(0, len(data), 128)}) == 20


def test_obfuscators_made_ahead(path: str, toy: PrivateKey) -> None:
    pool = ObfuscatorPool(toy)
    pool.prepare(7)
    seen = set()
    for count in (3, 2, 5, 0):
        plain = Plaintexts.from_ints([9] * count, bound=9)
        vector = EncryptedVector.encrypt(toy.public, plain, obfuscators=pool)
        assert opened(vector, toy) == [9] * count
        data = vector.to_bytes()
        seen |= {data[at : at + 128] for at in range(0, len(data), 128)}
    assert len(seen) == 10
    pool.close()


def test_a_pool_makes_no_more_than_it_was_asked_for(toy: PrivateKey) -> None:
    pool = ObfuscatorPool(toy)
    pool.prepare(5)
    assert pool.ahead == 5
    assert pool.ring.length(pool.take(9)) == 9
    assert pool.ahead == 0
    pool.prepare(6)
    assert pool.ring.length(pool.take(2)) == 2
    assert pool.ahead == 4
    pool.close()
    assert pool.ahead == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_pool_whose_thread_fails_makes_them_when_they_are_taken(toy: PrivateKey) -> None:
    def random(count: int) -> bytes:
        if threading.current_thread().name == "obfuscators":
            raise OSError("no randomness")
        return secrets.token_bytes(count)

    pool = ObfuscatorPool(toy, random=random)
    pool.prepare(3)
    for thread in threading.enumerate():
        if thread.name == "obfuscators":
            thread.join()
    assert pool.ring.length(pool.take(3)) == 3
    assert pool.ahead == 0


def test_tables_grow_with_the_load(path: str) -> None:
    toy = fresh(toy_key(256))
    for count in (1, 300, 2, 40):
        values = list(range(count))
        assert opened(encrypt(toy.public, values), toy) == values
        assert opened(encrypt(toy, values), toy) == values


def test_tables_of_one_key_stay_below_their_limit(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(randomness, "TABLE_BYTES", 40_000)
    toy = fresh(toy_key(256))

    def held() -> int:
        return sum(tables.bytes for tables in toy.public.cached("tables", dict).values())

    for key in (toy, toy.public, toy):
        for constant_time in (False, True):
            plain = Plaintexts.from_int64(np.arange(300))
            vector = EncryptedVector.encrypt(key, plain, constant_time=constant_time)
            assert opened(vector, toy) == list(range(300))
            assert 10_000 < held() <= 40_000


def test_selfcheck_is_all_right(path: str) -> None:
    assert [name for name, right, _ in selfcheck() if not right] == []

"""phe and our vectors on shared keys and ciphertexts, both ways."""

from __future__ import annotations

import pytest
from phe import paillier as phe

from federated.paillier import EncryptedVector, Plaintexts, PrivateKey, use_path
from psi.protocol.errors import MisuseError, PeerError
from tests.unit.paillier.keys import PATHS, full_key, toy_key

VALUES = [0, 1, -1, 10**9, -(10**9)]


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> object:
    with use_path(request.param):
        yield request.param


@pytest.fixture(params=[512, 2048])
def key(request: pytest.FixtureRequest) -> PrivateKey:
    return full_key(2048) if request.param == 2048 else toy_key(512)


def test_phe_reads_ours(path: str, key: PrivateKey) -> None:
    plain = Plaintexts.from_ints(VALUES)
    for holder in (key, key.public):
        numbers = EncryptedVector.encrypt(holder, plain).to_phe()
        assert [key.phe.decrypt(number) for number in numbers] == VALUES
        assert key.phe.decrypt(numbers[3] + numbers[1] * 5 + 7) == 10**9 + 12


def test_phe_reads_our_fixed_point(path: str, key: PrivateKey) -> None:
    vector = EncryptedVector.encrypt(key, Plaintexts.from_ints([5, -24]))
    assert [key.phe.decrypt(number) for number in vector.to_phe(-1)] == [5 / 16, -24 / 16]


def test_we_read_phe(path: str, key: PrivateKey) -> None:
    numbers = [key.public.phe.encrypt(value) for value in VALUES]
    vector, exponent = EncryptedVector.from_phe(numbers, bound_bits=40)
    assert exponent == 0
    assert vector.add(vector).decrypt(key).to_ints() == [2 * value for value in VALUES]


def test_exponents_are_brought_together(path: str, key: PrivateKey) -> None:
    values = [3.25, -2.0, 7.0]
    numbers = [key.public.phe.encrypt(value, precision=0.25) for value in values]
    numbers.append(key.public.phe.encrypt(4))
    vector, exponent = EncryptedVector.from_phe(numbers)
    opened = vector.decrypt(key).to_ints()
    assert [number * 16.0**exponent for number in opened] == [*values, 4.0]


def test_sums_across_libraries(path: str, key: PrivateKey) -> None:
    theirs = [key.public.phe.encrypt(value) for value in VALUES]
    ours = EncryptedVector.encrypt(key.public, Plaintexts.from_ints(VALUES)).to_phe()
    mixed = [left + right for left, right in zip(theirs, ours, strict=True)]
    vector, _ = EncryptedVector.from_phe(mixed)
    assert vector.decrypt(key).to_ints() == [2 * value for value in VALUES]


def test_bad_numbers_are_refused(path: str) -> None:
    key = toy_key(512)
    other = toy_key(256)
    good = key.public.phe.encrypt(1)
    for ciphertext in (0, key.public.n**2, -5):
        with pytest.raises(PeerError, match="outside"):
            EncryptedVector.from_phe([good, phe.EncryptedNumber(key.public.phe, ciphertext)])
    with pytest.raises(PeerError, match="factor"):
        EncryptedVector.from_phe([phe.EncryptedNumber(key.public.phe, key.p)])
    with pytest.raises(MisuseError, match="more than one key"):
        EncryptedVector.from_phe([good, other.public.phe.encrypt(1)])
    with pytest.raises(MisuseError):
        EncryptedVector.from_phe([])

from __future__ import annotations

import copy
import pickle

import gmpy2
import pytest

from federated.paillier import PrivateKey, PublicKey, generate_keypair
from psi.protocol.errors import InputError, MisuseError, PeerError
from tests.unit.paillier.keys import full_key, stream, toy_key


@pytest.mark.parametrize("bits", [128, 256, 512])
def test_primes_have_the_promised_shape(bits: int) -> None:
    key = generate_keypair(bits, random=stream(f"shape {bits}"), allow_toy=True)
    assert key.public.n == key.p * key.q
    assert key.public.n.bit_length() == bits
    assert key.p % 4 == key.q % 4 == 3
    assert gmpy2.is_prime(key.p)
    assert gmpy2.is_prime(key.q)
    assert gmpy2.gcd(key.p - 1, key.q - 1) == 2
    assert key.phe.public_key.n == key.public.n


def test_a_key_of_full_size() -> None:
    assert full_key(2048).public.n.bit_length() == 2048


def test_the_generator_draws_from_its_source() -> None:
    assert generate_keypair(256, random=stream("a"), allow_toy=True) == generate_keypair(
        256, random=stream("a"), allow_toy=True
    )
    assert generate_keypair(256, random=stream("a"), allow_toy=True) != generate_keypair(
        256, random=stream("b"), allow_toy=True
    )


@pytest.mark.parametrize("bits", [1024, 2047, 2056, 16384])
def test_other_sizes_are_refused(bits: int) -> None:
    with pytest.raises(MisuseError, match="2048 to 8192"):
        generate_keypair(bits)


def test_bytes_and_back() -> None:
    key = toy_key(512)
    assert PrivateKey.from_bytes(key.to_bytes()) == key
    assert PublicKey.from_bytes(key.public.to_bytes(), bits=512) == key.public
    full = full_key(2048).public
    assert PublicKey.from_bytes(full.to_bytes()) == full


def test_damaged_private_keys_are_refused() -> None:
    data = toy_key(512).to_bytes()
    flipped = data[:-1] + bytes([data[-1] ^ 2])
    for wrong in (b"", data[:-1], flipped, data[:32] * 2):
        with pytest.raises(InputError, match="no paillier private key"):
            PrivateKey.from_bytes(wrong)


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def test_bad_moduli_are_refused() -> None:
    n = full_key(2048).public.n
    factor = 1_048_573  # the largest prime below 2^20
    cofactor = int(gmpy2.next_prime((1 << 2047) // factor))
    for number, why in [
        (toy_key(512).public.n, "512 bits; allowed"),
        (n + 1, "even"),
        (int(gmpy2.next_prime(n)), "prime"),
        (_square(), "perfect power"),
        (factor * cofactor, "factor below"),
    ]:
        with pytest.raises(PeerError, match=why):
            PublicKey.from_bytes(_bytes(number))
    with pytest.raises(PeerError, match="2047 bits declared as 2048"):
        PublicKey.from_bytes((n >> 1).to_bytes(256, "big"))
    with pytest.raises(PeerError, match="allowed"):
        PublicKey.from_bytes(b"\x81" * 2000)
    with pytest.raises(PeerError, match="allowed"):
        PublicKey.from_bytes(b"")


def _square() -> int:
    root = int(gmpy2.next_prime(gmpy2.isqrt((1 << 2048) - 1) - (1 << 100)))
    return root * root


def test_nothing_shows_or_pickles_numbers() -> None:
    key = toy_key(256)
    for thing in (key, key.public):
        assert str(key.p) not in repr(thing)
        assert str(key.public.n) not in repr(thing)
        assert "256" in repr(thing)
        with pytest.raises(MisuseError):
            pickle.dumps(thing)
        with pytest.raises(MisuseError):
            copy.deepcopy(thing)

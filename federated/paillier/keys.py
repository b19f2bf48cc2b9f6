"""Paillier keys: phe's classes, filled by a generator of our own.

phe looks for primes by `next_prime`, which favours those after long gaps, and its 3072-bit
numbers may lack a bit. Here both primes are uniform among those of [sqrt(2) 2^(k-1), 2^k) that
are 3 mod 4, and gcd(p-1, q-1) = 2, which the fixed base of `randomness` needs.

A public key that arrives is checked as far as the number alone allows: size, parity,
compositeness, no perfect power, no small factor. That its prime factors are fewer than three,
or that p-1 is not smooth, cannot be seen without a proof from the key holder; a key holder who
cheats here hurts the secrecy of its own data, and short exponents towards it (see
`EncryptedVector.rerandomise`).
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import gmpy2
from phe.paillier import PaillierPrivateKey, PaillierPublicKey

from federated.paillier.path import current_path
from psi.kernels.montgomery import SquareRing, square_ring
from psi.protocol.errors import InputError, MisuseError, PeerError

__all__ = ["DEFAULT_BITS", "MAXIMUM_BITS", "MINIMUM_BITS", "PrivateKey", "PublicKey", "Random"]
__all__ += ["generate_keypair"]

Random = Callable[[int], bytes]

DEFAULT_BITS = 3072
MINIMUM_BITS = 2048
MAXIMUM_BITS = 8192
TOY_BITS = 128
SMALL_FACTORS = 1 << 20


class PublicKey:
    """n, its phe twin in `.phe`, and what the vectors cache for it. Equal if n is."""

    def __init__(self, n: int) -> None:
        self.n = int(n)
        self.bits = self.n.bit_length()
        self.phe = PaillierPublicKey(self.n)
        self._rings: dict[str, SquareRing] = {}
        self._caches: dict[object, Any] = {}
        self._lock = threading.Lock()

    @classmethod
    def from_bytes(cls, data: bytes, *, bits: int | None = None) -> PublicKey:
        """Read and check n as `to_bytes` wrote it, big-endian.

        With `bits` it must be exactly so long: a longer key costs whoever computes with it, a
        shorter one whoever trusts in it. Fewer than 2048 are for tests. Raises PeerError.
        """
        n, found = gmpy2.mpz.from_bytes(data, "big"), 8 * len(data)
        if bits is not None and found != bits:
            raise PeerError(f"paillier modulus of {found} bits; allowed are {bits}")
        if bits is None and (not MINIMUM_BITS <= found <= MAXIMUM_BITS or found % 16):
            allowed = f"{MINIMUM_BITS} to {MAXIMUM_BITS}, a multiple of 16"
            raise PeerError(f"paillier modulus of {found} bits; allowed are {allowed}")
        if n.bit_length() != found:
            raise PeerError(f"paillier modulus of {n.bit_length()} bits declared as {found}")
        if n % 2 == 0:
            raise PeerError("paillier modulus is even")
        if gmpy2.gcd(n, _primorial() % n) != 1:
            raise PeerError("paillier modulus has a factor below 2^20")
        if gmpy2.is_power(n):
            raise PeerError("paillier modulus is a perfect power")
        if gmpy2.is_prime(n):
            raise PeerError("paillier modulus is prime")
        return cls(int(n))

    def to_bytes(self) -> bytes:
        """n, big-endian, exactly bits / 8 bytes."""
        return self.n.to_bytes((self.bits + 7) // 8, "big")

    @property
    def half(self) -> int:
        """Largest magnitude of a signed plaintext."""
        return (self.n - 1) // 2

    @property
    def ciphertext_bytes(self) -> int:
        """Bytes of one serialised ciphertext."""
        return (2 * self.bits + 7) // 8

    @property
    def ring(self) -> SquareRing:
        """Integers mod n^2 on the path in use."""
        return cached_ring(self._rings, self.n)

    def cached(self, name: object, make: Callable[[], Any]) -> Any:
        """What `make()` returned the first time for `name`; one maker at a time."""
        with self._lock:
            if name not in self._caches:
                self._caches[name] = make()
            return self._caches[name]

    def replace(self, name: object, value: Any) -> None:
        """Put another value where `cached` finds it."""
        with self._lock:
            self._caches[name] = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self.n == other.n

    def __hash__(self) -> int:
        return hash(self.n)

    def __repr__(self) -> str:
        return f"PublicKey(bits={self.bits})"

    def __getstate__(self) -> None:
        raise MisuseError("keys are written by to_bytes, never pickled")


class PrivateKey:
    """p and q, their phe twin in `.phe`, the public half in `.public`."""

    def __init__(self, p: int, q: int) -> None:
        self.public = PublicKey(int(p) * int(q))
        self.phe = PaillierPrivateKey(self.public.phe, int(p), int(q))
        self.p, self.q = int(p), int(q)
        self._low: dict[str, SquareRing] = {}
        self._high: dict[str, SquareRing] = {}
        # decryption takes (c^(p-1) - 1)/p times this, mod p
        self.p_factor = int(gmpy2.invert(-self.q, self.p))
        self.q_factor = int(gmpy2.invert(-self.p, self.q))
        self.p_inverse = int(gmpy2.invert(self.p, self.q))

    @property
    def bits(self) -> int:
        """Size of n."""
        return self.public.bits

    @property
    def rings(self) -> tuple[SquareRing, SquareRing]:
        """Integers mod p^2 and mod q^2 on the path in use."""
        return cached_ring(self._low, self.p), cached_ring(self._high, self.q)

    def to_bytes(self) -> bytes:
        """p and q, big-endian, bits / 16 bytes each: a secret, for sealed checkpoints only."""
        size = (self.bits // 2 + 7) // 8
        return self.p.to_bytes(size, "big") + self.q.to_bytes(size, "big")

    @classmethod
    def from_bytes(cls, data: bytes) -> PrivateKey:
        """Read what `to_bytes` wrote; InputError if these are no two primes of one size."""
        half = len(data) // 2
        p, q = int.from_bytes(data[:half], "big"), int.from_bytes(data[half:], "big")
        sizes = p.bit_length() == q.bit_length() == 4 * len(data)
        if not sizes or p == q or not (gmpy2.is_prime(p) and gmpy2.is_prime(q)):
            raise InputError(
                f"{len(data)} bytes are no paillier private key",
                hint="the checkpoint is damaged; start the job again",
            )
        return cls(p, q)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PrivateKey) and self.public == other.public

    def __hash__(self) -> int:
        return hash(self.public)

    def __repr__(self) -> str:
        return f"PrivateKey(bits={self.bits})"

    def __getstate__(self) -> None:
        raise MisuseError("keys are written by to_bytes, never pickled")


def generate_keypair(
    bits: int = DEFAULT_BITS, *, random: Random = secrets.token_bytes, allow_toy: bool = False
) -> PrivateKey:
    """Make a key with n of exactly `bits` bits, a multiple of 16.

    Fewer than 2048 bits are refused with MisuseError unless `allow_toy`, for tests.

    Args:
        random: a function of a number of bytes that gives as many secret ones.
    """
    floor = TOY_BITS if allow_toy else MINIMUM_BITS
    if not floor <= bits <= MAXIMUM_BITS or bits % 16:
        raise MisuseError(
            f"paillier key of {bits} bits; allowed are {floor} to {MAXIMUM_BITS}, a multiple of 16",
            hint="3072 is the default",
        )
    while True:
        p, q = _prime(bits // 2, random), _prime(bits // 2, random)
        # redraw both, or the second would not be uniform
        if p != q and gmpy2.gcd(p - 1, q - 1) == 2:
            return PrivateKey(int(p), int(q))


def _prime(bits: int, random: Random) -> Any:
    """A prime, uniform among those 3 mod 4 in [sqrt(2) 2^(bits-1), 2^bits)."""
    floor = gmpy2.isqrt(gmpy2.mpz(1) << (2 * bits - 1)) + 1
    sieve = _small_primorial()
    size = bits // 8
    while True:
        candidate = gmpy2.mpz.from_bytes(random(size), "little") | 3
        if candidate < floor or gmpy2.gcd(candidate, sieve) != 1:
            continue
        # a Baillie-PSW test and 15 Miller-Rabin rounds
        if gmpy2.is_prime(candidate, 40):
            return candidate


@cache
def _small_primorial() -> Any:
    # candidates of toy keys have 64 bits at least, so none is itself a sieving prime
    return gmpy2.primorial(4000)


@cache
def _primorial() -> Any:
    return gmpy2.primorial(SMALL_FACTORS)


def cached_ring(rings: dict[str, SquareRing], modulus: int) -> SquareRing:
    """The ring of `modulus` on the path in use, made once a path."""
    path = current_path()
    if path not in rings:
        rings[path] = square_ring(modulus, path)
    return rings[path]

"""What hides a plaintext: the n-th residues that ciphertexts are multiplied by.

Two kinds, and who will read decides which (see `EncryptedVector.rerandomise`):

* Short exponents over a fixed base, after Damgård, Jurik and Nielsen ("A generalization of
  Paillier's public-key system with applications to electronic voting", 2010, section 4.2):
  every encryptor draws x itself, takes h = -x^2 mod n and h_s = h^n mod n^2 once, and hides
  with h_s^a for a secret a of |n|/2 bits. The assumption: without the factors of n, h_s^a is
  indistinguishable from a uniform power of h_s. The key holder, who can take discrete
  logarithms where p-1 is smooth, may recover a: these are for readers without the key.
* r^n for r uniform in Z*_n: uniform over all n-th residues, so it hides even from the key
  holder which ciphertexts went in.

The key holder itself works mod p^2 and q^2 with an exponent each, at half the cost.

Table loads depend on the secret exponents, unless `constant_time`: a process that shares the
machine's caches could learn something from them.
"""

from __future__ import annotations

import secrets
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

import gmpy2
import numpy as np

from federated.paillier.keys import PrivateKey, PublicKey, Random
from psi.kernels.montgomery import FixedBase, Residues, SquareRing
from psi.kernels.montgomery_words import Words, from_words, random_below, word_count
from psi.protocol.errors import MisuseError

__all__ = ["ObfuscatorPool", "full_width_residues", "short_exponent_residues"]

# the tables of one key stay below this
TABLE_BYTES = 160_000_000
# a scan reads every entry, so constant time wants small tables
SCANNED_WINDOW = 5
# obfuscators a background task
_BATCH = 1024


def short_exponent_residues(
    key: PublicKey | PrivateKey, count: int, *, random: Random, constant_time: bool = False
) -> Residues:
    """`count` fresh h_s^a, residues of the public ring; CRT if `key` is private.

    The first call for a key draws its base from `random`; later calls only exponents.
    """
    if isinstance(key, PrivateKey):
        return _crt_residues(key, count, random, constant_time)
    base = key.cached("base", lambda: _draw_base(key, random))
    exponents = _draw_exponents(key.bits // 2, count, random)
    tables = _tables(key, "n", key.ring, base, key.bits // 2, count, 1, constant_time)
    return tables.power(exponents, constant_time=constant_time)


def full_width_residues(public: PublicKey, count: int, *, random: Random) -> Residues:
    """`count` fresh r^n mod n^2 with r uniform in Z*_n."""
    while True:
        words = random_below(count, public.n, random)
        product = gmpy2.mpz(1)
        for number in from_words(words):
            product = product * number % public.n
        # a common factor is as likely as guessing p; the loop makes the statement exact
        if count == 0 or gmpy2.gcd(product, public.n) == 1:
            ring = public.ring
            return ring.power_shared(ring.load(words), public.n)


def _crt_residues(key: PrivateKey, count: int, random: Random, constant_time: bool) -> Residues:
    public = key.public
    base = public.cached("base", lambda: _draw_base(public, random))
    low, high = key.rings
    p_square, q_square = key.p**2, key.q**2
    halves = []
    for name, ring, square, other in (
        ("p", low, p_square, q_square),
        ("q", high, q_square, p_square),
    ):
        exponents = _draw_exponents(key.bits // 2, count, random)
        # starting from 1 / other^2 leaves the Chinese remainder to two products
        start = int(gmpy2.invert(other, square))
        tables = _tables(
            public, name, ring, base % square, key.bits // 2, count, start, constant_time
        )
        halves.append(tables.power(exponents, constant_time=constant_time))
    return public.ring.join(low, halves[0], high, halves[1])


def _draw_base(public: PublicKey, random: Random) -> int:
    """h_s = (-x^2)^n mod n^2 for x uniform in Z*_n."""
    n = gmpy2.mpz(public.n)
    while True:
        x = from_words(random_below(1, public.n, random))[0]
        if gmpy2.gcd(x, n) == 1:
            return int(gmpy2.powmod(-x * x % n, n, n * n))


def _draw_exponents(bits: int, count: int, random: Random) -> Words:
    width = word_count(bits)
    data = random(8 * width * count)
    exponents = np.frombuffer(data, dtype="<u8").astype(np.uint64).reshape(count, width)
    exponents[:, -1] &= np.uint64((1 << (bits - 64 * (width - 1))) - 1)
    return exponents


@dataclass(frozen=True)
class _Tables:
    window: int
    base: FixedBase
    bytes: int


def _tables(
    public: PublicKey,
    name: str,
    ring: SquareRing,
    base: int,
    bits: int,
    count: int,
    start: int,
    constant_time: bool,
) -> FixedBase:
    """Tables for this many powers: the cached ones, or larger ones where these pay."""
    entry = 22 * ring.plain_words  # two halves of limbs of 50 bits or more, at most
    budget = TABLE_BYTES // (1 if name == "n" else 2)

    def cost(window: int) -> int:
        return count * -(-bits // window)

    def build(window: int) -> int:
        return -(-bits // window) << window

    slot = (name == "n", ring.path, constant_time, name)
    every: dict[tuple[Any, ...], _Tables] = public.cached("tables", dict)
    held = every.get(slot)
    widest = SCANNED_WINDOW if constant_time else 12
    windows = [w for w in range(1, widest + 1) if build(w) * entry <= budget]
    best = min(windows, key=lambda w: cost(w) + build(w))
    if held is not None and cost(held.window) <= cost(best) + build(best):
        return held.base
    size = build(best) * entry
    others = {other: tables for other, tables in every.items() if other != slot}
    if size + sum(tables.bytes for tables in others.values()) > TABLE_BYTES:
        # what stays is the other half of the same kind of power
        others = {other: tables for other, tables in others.items() if other[:3] == slot[:3]}
    public.replace("tables", others)  # the old go before the new are made
    tables = _Tables(best, ring.fixed_base(base, bits, best, start), size)
    public.replace("tables", others | {slot: tables})
    return tables.base


class ObfuscatorPool:
    """Obfuscators made ahead in a background thread, for encryptions to come.

    `prepare(count)` returns at once; `take(count)` hands out what is ready and makes the rest.
    Each is used once. Pass the pool to `EncryptedVector.encrypt`.
    """

    def __init__(
        self,
        key: PublicKey | PrivateKey,
        *,
        random: Random = secrets.token_bytes,
        constant_time: bool = False,
    ) -> None:
        self.public = key.public if isinstance(key, PrivateKey) else key
        self.ring = self.public.ring
        context = copy_context()  # the arithmetic path, where one was forced

        def make(count: int) -> Residues:
            return context.copy().run(
                short_exponent_residues, key, count, random=random, constant_time=constant_time
            )

        self._make = make
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="obfuscators")
        self._lock = threading.Lock()
        self._batches: list[tuple[int, Future[Any]]] = []

    def prepare(self, count: int) -> None:
        """Start making `count` more in the background."""
        if count < 0:
            raise MisuseError(f"{count} obfuscators asked for")
        with self._lock:
            for _ in range(count // _BATCH):
                self._batches.append((_BATCH, self._thread.submit(self._make, _BATCH)))
            if count % _BATCH:
                rest = count % _BATCH
                self._batches.append((rest, self._thread.submit(self._make, rest)))

    def take(self, count: int) -> Residues:
        """`count` residues of `self.ring`, never handed out before."""
        parts: list[Residues] = []
        missing = count
        with self._lock:
            while missing and self._batches:
                size, batch = self._batches.pop(0)
                made = batch.result()
                used = min(size, missing)
                parts.append(self.ring.take(made, np.arange(used)))
                if used < size:
                    rest: Future[Any] = Future()
                    rest.set_result(self.ring.take(made, np.arange(used, size)))
                    self._batches.insert(0, (size - used, rest))
                missing -= used
        if missing or not parts:
            parts.append(self._make(missing))
        return self.ring.concatenate(parts)

    def close(self) -> None:
        """Stop the background thread and forget what it made."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._batches.clear()

    def __repr__(self) -> str:
        return f"ObfuscatorPool(bits={self.public.bits})"

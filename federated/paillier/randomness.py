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
# obfuscators that the background makes at once: enough to pay for large tables
_BATCH = 8192


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
    Each is used once. Pass the pool to `EncryptedVector.encrypt`. The thread ends with its work,
    and with the process.

    Args:
        key: of the encryptions to come; with the private half they are made faster.
        random: a function of a number of bytes that gives as many secret ones.
        constant_time: take the same steps whatever the secret numbers are.
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
        self._changed = threading.Condition()
        self._wanted = self._making = self._ready = self._batch = 0
        self._made: list[Residues] = []

    @property
    def ahead(self) -> int:
        """Obfuscators that are ready, or will be."""
        with self._changed:
            return self._ready + self._making + self._wanted

    def prepare(self, count: int) -> None:
        """Start making `count` more in the background."""
        if count < 0:
            raise MisuseError(f"{count} obfuscators asked for")
        with self._changed:
            self._wanted += count
            if count and not self._making:
                self._next()
                threading.Thread(target=self._work, name="obfuscators", daemon=True).start()

    def _next(self) -> None:
        self._making = min(self._wanted, _BATCH)
        self._wanted -= self._making
        self._batch += 1
        self._changed.notify_all()

    def _work(self) -> None:
        while self._making:
            try:
                made = self._make(self._making)
            except BaseException:  # what could not be made here fails again where it is asked for
                with self._changed:
                    self._wanted = 0
                    self._next()
                raise
            with self._changed:
                self._made.append(made)
                self._ready += self._making
                self._next()

    def take(self, count: int) -> Residues:
        """`count` residues of `self.ring`, never handed out before.

        What the thread has not begun is made here, with all threads.
        """
        with self._changed:
            begun = self._batch
            self._wanted -= min(self._wanted, max(0, count - self._ready - self._making))
            while self._ready < count and self._making and self._batch == begun:
                self._changed.wait()
            used = min(self._ready, count)
            whole = self.ring.concatenate([*self._made, self.ring.ones(0)])
            left = self.ring.take(whole, np.arange(used, self._ready))
            self._made, self._ready = [left], self._ready - used
        taken = self.ring.take(whole, np.arange(used))
        return self.ring.concatenate([taken, self._make(count - used)] if used < count else [taken])

    def close(self) -> None:
        """Make no more, and forget what was made."""
        with self._changed:
            self._wanted = 0
            while self._making:
                self._changed.wait()
            self._made, self._ready = [], 0

    def __repr__(self) -> str:
        return f"ObfuscatorPool(bits={self.public.bits})"

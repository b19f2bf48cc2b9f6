"""Vectors of Paillier ciphertexts under one public key.

Ciphertexts live in one buffer in the form that the arithmetic path likes best (pairs of
Montgomery residues on the wide path); they become bytes at the wire only. Every vector carries
the bound of its plaintexts, so that an operation that could leave (-n/2, n/2), or a packing's
slots, raises MisuseError before it computes.

Results of homomorphic operations are not re-randomised by themselves: call `rerandomise` before
one leaves the party, and say who reads it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phe import paillier as phe

from federated.paillier.keys import PrivateKey, PublicKey, Random
from federated.paillier.packing import Packing
from federated.paillier.plaintexts import Plaintexts
from federated.paillier.randomness import (
    ObfuscatorPool,
    full_width_residues,
    short_exponent_residues,
)
from federated.paillier.weighted import weighted_product
from psi.kernels.montgomery import Residues, SquareRing
from psi.kernels.montgomery_words import (
    add,
    add_where,
    from_words,
    is_negative,
    less_than,
    negate,
    resize,
)
from psi.protocol.errors import MisuseError, PeerError

__all__ = ["EncryptedVector"]


class EncryptedVector:
    """n ciphertexts; `bound` and `limit` as in Plaintexts. Immutable.

    Args:
        public: the key that it is encrypted under.
    """

    __slots__ = ("_residues", "_ring", "bound", "limit", "public")

    def __init__(
        self, public: PublicKey, ring: SquareRing, residues: Residues, bound: int, limit: int
    ) -> None:
        """Callers use the constructors below; `residues` belong to `ring`, the one of n^2."""
        self.public = public
        self.bound = bound
        self.limit = limit
        self._ring = ring
        self._residues = residues

    # making and opening

    @classmethod
    def encrypt(
        cls,
        key: PublicKey | PrivateKey,
        plaintexts: Plaintexts,
        *,
        random: Random = secrets.token_bytes,
        constant_time: bool = False,
        obfuscators: ObfuscatorPool | None = None,
    ) -> EncryptedVector:
        """Encrypt every row; short exponents, by CRT for a private key (see `randomness`).

        `constant_time` keeps the secret exponents out of load addresses, at about half the
        speed. `obfuscators` hands over randomness made ahead.
        """
        public = key.public if isinstance(key, PrivateKey) else key
        vector = cls._plain(public, plaintexts)
        count = len(plaintexts)
        if obfuscators is not None and obfuscators.public == public:
            hidden = vector._taken(obfuscators, count)
        else:
            hidden = short_exponent_residues(key, count, random=random, constant_time=constant_time)
        words = plaintexts.residues(public)
        return vector._with(vector._ring.times_plain(hidden, words))

    @classmethod
    def _plain(cls, public: PublicKey, plaintexts: Plaintexts) -> EncryptedVector:
        """An empty shell with the bounds of these plaintexts, after checking them."""
        limit = public.half if plaintexts.limit is None else min(public.half, plaintexts.limit)
        _check(plaintexts.bound, limit, "encrypt")
        return cls(public, public.ring, None, plaintexts.bound, limit)

    def decrypt(self, private: PrivateKey, *, constant_time: bool = False) -> Plaintexts:
        """The plaintexts, in (-n/2, n/2); PeerError if one exceeds the vector's bound.

        The wide path keeps p-1 and q-1 out of load addresses always; gmpy2 does, at nearly
        twice the time, with `constant_time`.
        """
        if private.public != self.public:
            raise MisuseError("the private key does not belong to this vector's public key")
        low, high = private.rings
        words = self._ring.dump(self._residues)
        p, q = private.p, private.q
        part_p = low.power_shared(low.load(words), p - 1, secret=True, constant_time=constant_time)
        part_q = high.power_shared(
            high.load(words), q - 1, secret=True, constant_time=constant_time
        )
        mod_p = low.scale(low.log(part_p), private.p_factor)
        mod_q = high.log(part_q)
        # m = m_p + p ((m_q - m_p)/p mod q)
        left = resize(
            high.scale(mod_q, private.q_factor * private.p_inverse % q), high.plain_words + 1
        )
        right = resize(high.scale(mod_p, private.p_inverse), high.plain_words + 1)
        quotient = add(left, negate(right))
        quotient = add_where(quotient, q, is_negative(quotient))[:, : high.plain_words]
        width = self._ring.plain_words
        opened = add(self._ring.expand(quotient, p), resize(mod_p, width))
        plaintexts = Plaintexts.from_residues(opened, self.public)
        over = int(np.count_nonzero(~plaintexts.within(self.bound)))
        if over:
            raise PeerError(
                f"{over} of {len(self)} decrypted values exceed the declared "
                f"{self.bound.bit_length()} bits"
            )
        limit = None if self.limit == self.public.half else self.limit
        return Plaintexts(plaintexts.words, self.bound, limit)

    # arithmetic

    def add(self, other: EncryptedVector) -> EncryptedVector:
        """Row sums; one side may have a single row."""
        self._same(other)
        bound, limit = self.bound + other.bound, min(self.limit, other.limit)
        _check(bound, limit, "add")
        _rows(len(self), len(other), "add")
        product = self._ring.multiply(self._residues, self._of(other))
        return self._with(product, bound, limit)

    def subtract(self, other: EncryptedVector) -> EncryptedVector:
        """Row differences; one side may have a single row."""
        return self.add(other.negate())

    def negate(self) -> EncryptedVector:
        """Row negatives."""
        return self._with(self._inverse(self._residues))

    def add_plain(self, plaintexts: Plaintexts) -> EncryptedVector:
        """Row sums with plaintexts; not re-randomised."""
        shell = self._plain(self.public, plaintexts)
        bound, limit = self.bound + plaintexts.bound, min(self.limit, shell.limit)
        _check(bound, limit, "add")
        residues = self._residues
        if len(self) == 1 != len(plaintexts):
            residues = self._ring.take(residues, np.zeros(len(plaintexts), dtype=np.int64))
        else:
            _rows(len(plaintexts), len(self), "add")
        product = self._ring.times_plain(residues, plaintexts.residues(self.public))
        return self._with(product, bound, limit)

    def multiply_plain(self, factors: NDArray[np.integer[Any]] | int) -> EncryptedVector:
        """Row products with signed integers, `int64[n]` or one for all."""
        numbers = np.atleast_1d(np.asarray(factors, dtype=np.int64))
        largest = (
            max((abs(int(numbers.min())), abs(int(numbers.max()))), default=0)
            if (len(numbers))
            else 0
        )
        plain = Plaintexts(numbers.view(np.uint64).reshape(-1, 1), largest)
        return self.multiply_plain_wide(plain)

    def multiply_plain_wide(self, plaintexts: Plaintexts) -> EncryptedVector:
        """Row products with plaintexts of any length, a packed row for example.

        One side may have a single row; a single ciphertext is raised from tables. A packing's
        limit holds for the product if either side has one.
        """
        limit = self.limit if plaintexts.limit is None else min(self.limit, plaintexts.limit)
        bound = self.bound * plaintexts.bound
        _check(bound, limit, "multiply")
        count = _rows(len(self), len(plaintexts), "multiply")
        magnitudes, negative = plaintexts.magnitudes()
        if len(plaintexts) == 1 != count:
            magnitudes = np.repeat(magnitudes, count, axis=0)
            negative = np.repeat(negative, count)
        if len(self) == 1 and count >= TABLE_ROWS:
            powers = self._tabled(magnitudes, plaintexts.bound.bit_length())
            return self._with(self._invert_where(powers, negative), bound, limit)
        residues = self._residues
        if negative.any():
            residues = self._ring.concatenate([residues, self._inverse(residues)])
        rows = np.arange(count) if len(self) == count else np.zeros(count, dtype=np.int64)
        chosen = self._ring.take(residues, rows + len(self) * negative)
        return self._with(self._ring.power_rows(chosen, magnitudes), bound, limit)

    def sum(self) -> EncryptedVector:
        """One ciphertext of the sum of all rows."""
        return self.segment_sum(np.zeros(len(self), dtype=np.int64), 1)

    def segment_sum(
        self, codes: NDArray[np.integer[Any]], groups: int, *, bound: int | None = None
    ) -> EncryptedVector:
        """Sums by group: row i goes to `codes[i]` in [0, groups), or nowhere for -1.

        An empty group is the ciphertext 1, a zero that anyone can see until re-randomised.
        `bound` is that of the sums, where the rows' own bounds cannot all be reached at once.
        """
        labels = np.asarray(codes)
        if labels.shape != (len(self),) or labels.dtype.kind not in "iu":
            raise MisuseError(f"codes of shape {labels.shape} for {len(self)} ciphertexts")
        wrong = int(np.count_nonzero((labels < -1) | (labels >= groups)))
        if wrong:
            raise MisuseError(f"{wrong} codes lie outside -1 to {groups - 1}")
        labels = labels.astype(np.int64, copy=False)
        counts = np.bincount(labels[labels >= 0], minlength=groups)
        if bound is None:
            bound = self.bound * max(1, int(counts.max(initial=0)))
        _check(bound, self.limit, "sum")
        order = np.argsort(labels, kind="stable")[len(self) - int(counts.sum()) :]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        product = self._ring.segment_product(
            self._residues, order.astype(np.int64), offsets.astype(np.int64)
        )
        return self._with(product, bound)

    def weighted_sums(self, weights: NDArray[np.integer[Any]]) -> EncryptedVector:
        """For `int64[n, k]` weights, k ciphertexts: column j is sum over i of w_ij m_i.

        Signed digits in base 2^w, one bucket a digit (Pippenger, "On the evaluation of powers
        and monomials", 1980): about ceil(bits/w) products a row and column. The time depends
        on the weights; do not let a peer measure it where they are secret.
        """
        numbers = np.asarray(weights)
        if numbers.ndim != 2 or len(numbers) != len(self) or numbers.dtype.kind not in "iub":
            raise MisuseError(f"weights of shape {numbers.shape} for {len(self)} ciphertexts")
        numbers = numbers.astype(np.int64, copy=False)
        sums = [0]
        if numbers.size:
            if np.any(numbers == np.iinfo(np.int64).min):
                raise MisuseError("weights of 64 bits; 63 are allowed")
            # two halves, since a sum of magnitudes may pass 64 bits
            size = np.abs(numbers)
            low = (size & 0xFFFFFFFF).sum(axis=0)
            high = (size >> 32).sum(axis=0)
            sums = [int(a) + (int(b) << 32) for a, b in zip(low, high, strict=True)]
        bound = self.bound * max(sums)
        _check(bound, self.limit, "sum")
        product = weighted_product(self._ring, self._residues, numbers, self._inverse)
        return self._with(product, bound)

    # randomness

    def rerandomise(
        self,
        *,
        for_key_holder: bool,
        random: Random = secrets.token_bytes,
        obfuscators: ObfuscatorPool | None = None,
    ) -> EncryptedVector:
        """The same plaintexts in fresh ciphertexts.

        `for_key_holder` must be true for every ciphertext that goes back to the holder of the
        private key: it multiplies by r^n, r uniform in Z*_n. False uses short exponents, which
        hide from everyone but the key holder.
        """
        if for_key_holder:
            fresh = full_width_residues(self.public, len(self), random=random)
        elif obfuscators is not None and obfuscators.public == self.public:
            fresh = self._taken(obfuscators, len(self))
        else:
            fresh = short_exponent_residues(self.public, len(self), random=random)
        ring = self.public.ring
        product = ring.multiply(self._in(ring), fresh)
        return EncryptedVector(self.public, ring, product, self.bound, self.limit)

    def mask_uniform(
        self, random: Random = secrets.token_bytes
    ) -> tuple[EncryptedVector, Plaintexts]:
        """Add masks uniform mod n: what opens says nothing about the plaintext.

        Returns the masked vector and the masks; `opened.minus(masks, public)` takes them off.
        Ciphertexts that go to the key holder still need `rerandomise(for_key_holder=True)`.
        """
        masks = Plaintexts.uniform(self.public, len(self), random)
        product = self._ring.times_plain(self._residues, masks.residues(self.public))
        half = self.public.half
        return self._with(product, half, half), masks

    # shape

    def __len__(self) -> int:
        return self._ring.length(self._residues)

    def __getitem__(self, rows: slice | NDArray[np.integer[Any]]) -> EncryptedVector:
        chosen = np.arange(len(self))[rows] if isinstance(rows, slice) else np.asarray(rows)
        return self.take(chosen)

    def take(self, rows: NDArray[np.integer[Any]]) -> EncryptedVector:
        """The rows at these positions, in this order."""
        index = np.asarray(rows, dtype=np.int64)
        if index.ndim != 1 or np.any((index < 0) | (index >= len(self))):
            raise MisuseError(f"row positions outside 0 to {len(self) - 1}")
        return self._with(self._ring.take(self._residues, index))

    @staticmethod
    def concatenate(vectors: Sequence[EncryptedVector]) -> EncryptedVector:
        """All rows, one vector after the other."""
        if not vectors:
            raise MisuseError("no vectors to concatenate")
        first = vectors[0]
        for vector in vectors[1:]:
            first._same(vector)
        residues = first._ring.concatenate([first._of(vector) for vector in vectors])
        bound = max(vector.bound for vector in vectors)
        return first._with(residues, bound, min(vector.limit for vector in vectors))

    @property
    def bound_bits(self) -> int:
        """Plaintexts are below 2^bound_bits in magnitude."""
        return self.bound.bit_length()

    # wire

    def to_bytes(self) -> bytes:
        """n rows of `public.ciphertext_bytes`, little-endian."""
        words = np.ascontiguousarray(self._ring.dump(self._residues), dtype="<u8")
        rows = words.view(np.uint8).reshape(len(self), 8 * words.shape[1])
        return rows[:, : self.public.ciphertext_bytes].tobytes()

    @classmethod
    def from_bytes(
        cls,
        public: PublicKey,
        data: bytes | memoryview,
        count: int,
        *,
        bound_bits: int | None = None,
        packing: Packing | None = None,
    ) -> EncryptedVector:
        """Read and check `count` ciphertexts: each in 1 to n^2-1 and coprime to n.

        `bound_bits` declares the plaintexts' size, `packing` their slots and, by its
        value_bits, their size; without either only decrypting, masking and re-randomising are
        possible. Raises PeerError.
        """
        size = public.ciphertext_bytes
        if len(data) != size * count:
            raise PeerError(f"{len(data)} bytes of ciphertexts; expected {size * count}")
        ring = public.ring
        rows = np.zeros((count, 8 * ring.square_words), dtype=np.uint8)
        rows[:, :size] = np.frombuffer(data, dtype=np.uint8).reshape(count, size)
        words = rows.view("<u8").astype(np.uint64, copy=False)
        wrong = int(np.count_nonzero(~less_than(words, public.n**2) | ~words.any(axis=1)))
        if wrong:
            raise PeerError(f"{wrong} of {count} ciphertexts lie outside 1 to n^2-1")
        residues = ring.load(words)
        if not ring.coprime(residues):
            raise PeerError(f"a ciphertext among {count} has a factor in common with n")
        bound, limit = _declared(public, bound_bits, packing)
        return cls(public, ring, residues, bound, limit)

    @classmethod
    def from_phe(
        cls, numbers: Sequence[phe.EncryptedNumber], *, bound_bits: int | None = None
    ) -> tuple[EncryptedVector, int]:
        """Read phe's numbers of one key; returns the vector and its exponent (base 16).

        Numbers are brought to their smallest exponent. Raises PeerError as `from_bytes` does.
        """
        if not numbers:
            raise MisuseError("no encrypted numbers")
        public = PublicKey(numbers[0].public_key.n)
        if any(number.public_key.n != public.n for number in numbers):
            raise MisuseError("encrypted numbers of more than one key")
        exponent = min(number.exponent for number in numbers)
        size = public.ciphertext_bytes
        aligned = (
            number if number.exponent == exponent else number.decrease_exponent_to(exponent)
            for number in numbers
        )
        parts = [int(number.ciphertext(be_secure=False)) for number in aligned]
        if any(not 0 < part < public.n**2 for part in parts):
            raise PeerError("an encrypted number lies outside 1 to n^2-1")
        data = b"".join(part.to_bytes(size, "little") for part in parts)
        return cls.from_bytes(public, data, len(numbers), bound_bits=bound_bits), exponent

    def to_phe(self, exponent: int = 0) -> list[phe.EncryptedNumber]:
        """phe's numbers m 16^exponent; phe re-randomises each before it serialises one."""
        words = self._ring.dump(self._residues)
        key = self.public.phe
        return [phe.EncryptedNumber(key, int(number), exponent) for number in from_words(words)]

    def __repr__(self) -> str:
        return (
            f"EncryptedVector(count={len(self)}, key_bits={self.public.bits}, "
            f"bound_bits={self.bound_bits})"
        )

    def __getstate__(self) -> None:
        raise MisuseError("vectors are written by to_bytes, never pickled")

    # inside

    def _with(
        self, residues: Residues, bound: int | None = None, limit: int | None = None
    ) -> EncryptedVector:
        return EncryptedVector(
            self.public,
            self._ring,
            residues,
            self.bound if bound is None else bound,
            self.limit if limit is None else limit,
        )

    def _same(self, other: EncryptedVector) -> None:
        if self.public != other.public:
            raise MisuseError("vectors of two keys do not mix")

    def _in(self, ring: SquareRing) -> Residues:
        """The residues in another path's form."""
        if ring.path == self._ring.path:
            return self._residues
        return ring.load(self._ring.dump(self._residues))

    def _taken(self, pool: ObfuscatorPool, count: int) -> Residues:
        """From a pool, in the form of the path in use."""
        made = EncryptedVector(self.public, pool.ring, pool.take(count), 0, 0)
        return made._in(self.public.ring)

    def _of(self, other: EncryptedVector) -> Residues:
        return other._in(self._ring)

    def _inverse(self, residues: Residues) -> Residues:
        try:
            return self._ring.inverse(residues)
        except ZeroDivisionError:
            # from_bytes lets none through
            raise MisuseError("a ciphertext has no inverse") from None

    def _invert_where(self, residues: Residues, rows: NDArray[np.bool_]) -> Residues:
        if not rows.any():
            return residues
        chosen = np.flatnonzero(rows)
        position = np.arange(len(rows))
        position[chosen] = len(rows) + np.arange(len(chosen))
        inverses = self._inverse(self._ring.take(residues, chosen))
        return self._ring.take(self._ring.concatenate([residues, inverses]), position)

    def _tabled(self, exponents: NDArray[np.uint64], bits: int) -> Residues:
        """Powers of the only row, from tables sized for this many."""
        base = int(from_words(self._ring.dump(self._residues))[0])
        count = len(exponents)
        window = min(range(1, 11), key=lambda w: -(-bits // w) * (count + (1 << w)))
        return self._ring.fixed_base(base, max(1, bits), window).power(exponents)


# from this many powers on, tables of one base pay
TABLE_ROWS = 8


def _check(bound: int, limit: int, what: str) -> None:
    if bound > limit:
        raise MisuseError(
            f"cannot {what}: results of {bound.bit_length()} bits could pass the "
            f"{limit.bit_length()} bits that fit",
            hint="declare smaller bounds, or pack fewer and wider slots",
        )


def _rows(left: int, right: int, what: str) -> int:
    if left != right and 1 not in (left, right):
        raise MisuseError(f"cannot {what} {left} rows and {right} rows")
    return right if left == 1 else left


def _declared(
    public: PublicKey, bound_bits: int | None, packing: Packing | None
) -> tuple[int, int]:
    limit = public.half if packing is None else min(public.half, packing.limit)
    if bound_bits is not None:
        bound = (1 << bound_bits) - 1
    elif packing is not None and packing.value_bits is not None:
        bound = packing.bound((1 << packing.value_bits) - 1)
    else:
        bound = limit
    _check(bound, limit, "declare")
    return bound, limit

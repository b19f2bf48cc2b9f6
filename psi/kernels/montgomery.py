"""Arithmetic on vectors of residues modulo the square of an odd number.

`square_ring(N)` returns the ring of integers mod N^2, on the path that this machine runs best:

* wide: eight residues at once in AVX-512 IFMA lanes (montgomery_wide);
* vector: the same lanes by fused multiply-adds of doubles, on CPUs with AVX2 and FMA;
* portable: gmpy2 (montgomery_portable).

In lanes a residue a is handled as the pair (a0, a1) with a = a0 + a1 N. A product of
pairs needs a0 b0 and a0 b1 + a1 b0 only, since the N^2 term vanishes: ten half-size products
of limbs against sixteen for a plain product mod N^2, and a factor 1 + m N touches one half.

Residues are opaque to callers: they enter by `load`, leave by `dump`, and belong to the ring
that made them. All paths give equal words for equal calls.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from psi.kernels.montgomery_portable import PortableRing
from psi.kernels.montgomery_words import Words
from psi.kernels.simd import cpu_features, kernel_path
from psi.protocol.errors import MisuseError

__all__ = ["FixedBase", "Residues", "SquareRing", "best_path", "square_ring"]

Residues: TypeAlias = Any
Index: TypeAlias = NDArray[np.int64]


class FixedBase(Protocol):
    """Powers of one base, from tables."""

    def power(self, exponents: Words, *, constant_time: bool = False) -> Residues:
        """base^e for every row e of `exponents`, `uint64[n, E]`.

        Table loads depend on the exponents unless `constant_time`, which scans the tables.
        """
        ...


class SquareRing(Protocol):
    """Integers mod N^2; all operations work on whole vectors."""

    path: str
    modulus: int
    plain_words: int
    square_words: int

    def load(self, words: Words) -> Residues:
        """Residues of `uint64[n, width]`, any width up to four times N's."""
        ...

    def dump(self, a: Residues) -> Words:
        """The least non-negative representatives, `uint64[n, square_words]`."""
        ...

    def length(self, a: Residues) -> int:
        """Number of residues."""
        ...

    def ones(self, count: int) -> Residues:
        """`count` times the number one."""
        ...

    def take(self, a: Residues, rows: Index) -> Residues:
        """The residues at `rows`, a copy."""
        ...

    def concatenate(self, parts: list[Residues]) -> Residues:
        """One vector of all."""
        ...

    def multiply(self, a: Residues, b: Residues) -> Residues:
        """Products row by row; one side may have a single row."""
        ...

    def inverse(self, a: Residues) -> Residues:
        """Inverses row by row; ZeroDivisionError where none exists."""
        ...

    def times_plain(self, a: Residues, plain: Words) -> Residues:
        """a (1 + m N) for m of `uint64[n, plain_words]`, every m below N."""
        ...

    def power_shared(
        self, a: Residues, exponent: int, *, secret: bool = False, constant_time: bool = False
    ) -> Residues:
        """a^exponent, one exponent for all.

        `secret` keeps the exponent out of load addresses where that is cheap, in lanes;
        `constant_time` everywhere, which takes gmpy2 nearly twice the time.
        """
        ...

    def power_rows(self, a: Residues, exponents: Words) -> Residues:
        """a_i^e_i for `exponents` of `uint64[n, E]`."""
        ...

    def segment_product(self, a: Residues, order: Index, offsets: Index) -> Residues:
        """Product of a[order[offsets[g]:offsets[g + 1]]] for every g; one where empty."""
        ...

    def bucket_product(self, a: Residues, chains: int) -> Residues:
        """For a of chains x B rows, the product over d of a[chain, d]^(d + 1), per chain."""
        ...

    def log(self, a: Residues) -> Words:
        """m of a = 1 + m N, for a that are 1 mod N: `uint64[n, plain_words]`."""
        ...

    def scale(self, plain: Words, factor: int) -> Words:
        """plain times factor mod N, `uint64[n, plain_words]`; plain of any width up to N's."""
        ...

    def expand(self, plain: Words, factor: int) -> Words:
        """plain times factor, a product below N: `uint64[n, plain_words]`."""
        ...

    def coprime(self, a: Residues) -> bool:
        """Is every residue coprime to N? One greatest common divisor of their product."""
        ...

    def fixed_base(self, base: int, bits: int, window: int, factor: int = 1) -> FixedBase:
        """Tables for factor base^e with e below 2^bits, `window` exponent bits a product."""
        ...

    def join(self, low: Any, a: Residues, high: Any, b: Residues) -> Residues:
        """a Q^2 + b P^2 mod (PQ)^2, for a mod P^2 in ring `low` and b mod Q^2 in `high`."""
        ...


def best_path() -> str:
    """The path that is fastest here."""
    if kernel_path() == "wide":
        return "wide"
    return "vector" if cpu_features() >= {"avx2", "fma"} else "portable"


def square_ring(modulus: int, path: str | None = None) -> SquareRing:
    """The ring of integers mod modulus^2, for an odd modulus.

    Raises `MisuseError` for a path that this process cannot take.
    """
    best = best_path()
    path = path or best
    if path not in (best, "portable"):
        raise MisuseError(f"arithmetic path {path!r} asked, {best} or portable allowed here")
    if path == "portable":
        return PortableRing(int(modulus))
    # compiles on import: left alone where the path is not used
    from psi.kernels.montgomery_wide import WideRing

    return WideRing(int(modulus), path)

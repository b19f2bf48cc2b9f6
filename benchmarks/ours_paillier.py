"""Our Paillier vectors, operation by operation; obfuscators are made inside the timing."""

from __future__ import annotations

import importlib.metadata
import secrets
from contextlib import ExitStack

import numpy as np

from benchmarks.cipher import Figures, case, variant
from benchmarks.floor import Floor
from federated.paillier import EncryptedVector, Packing, Plaintexts, generate_keypair
from federated.paillier.path import use_path

VALUE_BITS, ADDITIONS = 40, 10**6
SEGMENT_ROWS = 8  # times the values: the bins' lanes are to be full


def main() -> None:
    wanted, name = case(), variant()
    with ExitStack() as stack:
        count = wanted["values"]
        if "gmpy2" in name:
            stack.enter_context(use_path("portable"))
            count //= 8
        measure(wanted["bits"], count, constant_time="constant-time" in name)


def measure(bits: int, count: int, *, constant_time: bool) -> None:
    private = generate_keypair(bits)
    public = private.public
    floor = Floor(public.ring, *private.rings)
    figures = Figures(importlib.metadata.version("fedprofile"), floor)
    rng = np.random.default_rng(secrets.randbits(64))
    numbers = rng.integers(0, 1 << VALUE_BITS, count)
    plain = Plaintexts.from_int64(numbers, bound_bits=VALUE_BITS)
    warm = EncryptedVector.encrypt(public, plain[:64])
    warm.add(warm).multiply_plain(3).rerandomise(for_key_holder=True).decrypt(private)
    warm.sum()

    vector = figures.add(
        "encrypt", count,
        lambda: EncryptedVector.encrypt(public, plain, constant_time=constant_time),
    )  # fmt: skip
    figures.add(
        "encrypt_private", count,
        lambda: EncryptedVector.encrypt(private, plain, constant_time=constant_time),
    )  # fmt: skip
    figures.add("add", count, lambda: vector.add(vector))
    few = vector[: max(256, count // 16)]  # long enough to be worth two threads
    factors = rng.integers(0, 1 << 31, len(few))
    figures.add("mul_plain", len(few), lambda: few.multiply_plain(factors))
    segment_sum(figures, vector, rng.integers(0, 1000, SEGMENT_ROWS * count))
    figures.add("decrypt", len(few), lambda: few.decrypt(private, constant_time=constant_time))
    figures.add("rerandomise", len(few), lambda: few.rerandomise(for_key_holder=True))

    packing = Packing.fit(bits, VALUE_BITS, ADDITIONS)
    table = rng.integers(0, 1 << VALUE_BITS, (count // 4, packing.slots))
    values = table.size
    packed = figures.add(
        "encrypt", values,
        lambda: EncryptedVector.encrypt(public, packing.pack(table, value_bits=VALUE_BITS)),
        packed=True,
    )  # fmt: skip
    figures.add("add", values, lambda: packed.add(packed), packed=True)
    part = packed[: len(few)]
    figures.add(
        "decrypt", len(few) * packing.slots,
        lambda: packing.unpack_int64(part.decrypt(private)), packed=True,
    )  # fmt: skip
    figures.report()


def segment_sum(figures: Figures, vector: EncryptedVector, codes: np.ndarray) -> None:
    many = vector.take(np.arange(len(codes)) % len(vector))
    figures.add("segment_sum", len(codes), lambda: many.segment_sum(codes, 1000))


if __name__ == "__main__":
    main()

"""How fast this machine is now: the real kernels on a few thousand rows, a quarter of a second.

Every rate is wall time with all threads that kernels get, so that other load on the machine,
its kind of CPU and FEDPROFILE_THREADS are in it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import cache

import numpy as np

from federated.contract.cost import AlignRates
from psi import oprf
from psi.kernels.half_trees import groups_of, value_pass
from psi.kernels.hashing import tag_hash
from psi.kernels.montgomery import square_ring
from psi.kernels.scalars import random_scalar

__all__ = ["MeasuredRates", "align_rates", "block_seconds", "product_seconds"]

_clock = time.perf_counter
_ITEMS = 4096
_ITEM_BYTES = 18
_RESIDUES = 1024


@cache
def align_rates() -> AlignRates:
    """Measured once a process, on random items."""
    data = np.frombuffer(secrets.token_bytes(_ITEMS * _ITEM_BYTES), np.uint8)
    offsets = np.arange(_ITEMS + 1, dtype=np.int64) * _ITEM_BYTES
    k = random_scalar(secrets.token_bytes)
    public, blinds = oprf.public_key(k), oprf.blinds(secrets.token_bytes(32), 0, _ITEMS)
    blinded = oprf.blind(data, offsets, blinds)
    answers = oprf.evaluate(blinded, k)
    return AlignRates(
        receiver=_seconds(lambda: oprf.blind(data, offsets, blinds))
        + _seconds(lambda: oprf.finalize(answers, public, blinds)),
        answer=_seconds(lambda: oprf.evaluate(blinded, k)),
        own=_seconds(lambda: oprf.own(oprf.encode(data, offsets), k)),
        tag=_seconds(lambda: tag_hash(b"rates", data, offsets, blinded), times=25),
    )


@cache
def product_seconds(bits: int) -> float:
    """Seconds a product modulo the square of a number of `bits`, on all cores."""
    modulus = secrets.randbits(bits) | 1 << (bits - 1) | 1
    ring = square_ring(modulus)
    width = -(-2 * bits // 64)
    words = np.frombuffer(secrets.token_bytes(_RESIDUES * width * 8), np.uint64)
    residues = ring.load(words.reshape(_RESIDUES, width))
    ring.multiply(residues, residues)
    return _seconds(lambda: ring.multiply(residues, residues), _RESIDUES, times=3)


@cache
def block_seconds() -> float:
    """Seconds a block of AES takes in trees of private sums, on one core."""
    depth, rows = 5, 2048
    first = np.frombuffer(secrets.token_bytes(16 * rows), np.uint64).reshape(rows, 2)
    keys = np.frombuffer(secrets.token_bytes(16 * groups_of(rows)), np.uint8).reshape(-1, 16)
    none = np.zeros(rows, np.uint16)

    def grow() -> object:
        return value_pass(first, none, first[0], depth, keys, blocks=1, bits=64, leaf_keys=keys)

    grow()
    return _seconds(grow, rows * ((2 << depth) - 2), times=3)


class MeasuredRates:
    """This machine's, each measured when it is first asked for."""

    def align(self) -> AlignRates:
        """Of set intersection."""
        return align_rates()

    def product(self, bits: int) -> float:
        """Seconds a product modulo the square of a number of `bits`, on all cores."""
        return product_seconds(bits)

    def block(self) -> float:
        """Seconds a block of AES in trees of private sums, on one core."""
        return block_seconds()


def _seconds(call: Callable[[], object], rows: int = _ITEMS, times: int = 1) -> float:
    """The shortest of a few calls, a row."""
    taken = []
    for _ in range(times):
        begun = _clock()
        call()
        taken.append(_clock() - begun)
    return min(taken) / rows

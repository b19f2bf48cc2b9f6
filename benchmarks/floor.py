"""The rate of the unit that multiplies, and what an operation would take if it never waited.

A product of residues is a known number of multiply-adds of limbs, each one instruction of the
unit: an IFMA multiply-add of eight lanes, or a fused multiply-add of four doubles. The floor of an
operation is their number over the rate at which this CPU does nothing but them.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir

from federated.paillier.path import current_path
from psi.kernels.cache import kernel
from psi.kernels.montgomery import SquareRing, best_path
from psi.kernels.montgomery_emit import WORD, intrinsic, loop
from psi.kernels.multipliers import declare
from psi.kernels.vectors import vector

__all__ = ["Floor"]

CHAINS = 12
"""Multiply-adds that do not wait for each other: more than one takes times those at once."""

ROUNDS = 1_000_000


@intrinsic
def _multiply_adds(typing: Any, rounds: Any) -> Any:
    """`rounds` times one multiply-add in each of the chains; returns a number made of all."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context, signature
        wide = best_path() == "wide"
        lanes = 8 if wide else 4
        kind = vector(lanes) if wide else ir.VectorType(ir.DoubleType(), lanes)
        name = "llvm.x86.avx512.vpmadd52l.uq.512" if wide else f"llvm.fma.v{lanes}f64"
        unit = declare(builder, name, ir.FunctionType(kind, [kind] * 3))
        word = builder.insert_element(
            ir.Constant(vector(lanes), [1] * lanes), args[0], ir.Constant(WORD, 0)
        )
        x = word if wide else builder.bitcast(word, kind)
        ends = loop(
            builder,
            ir.Constant(WORD, 0),
            args[0],
            [x] * CHAINS,
            lambda index, *held: [
                builder.call(unit, [one, x, x] if wide else [x, x, one]) for one in held
            ],
        )
        total = ir.Constant(WORD, 0)
        for end in ends:
            bits = builder.bitcast(end, vector(lanes))
            total = builder.add(total, builder.extract_element(bits, ir.Constant(WORD, 0)))
        return total

    from numba import types

    return types.uint64(types.int64), generate


@kernel
def _spin(rounds: Any) -> Any:
    return _multiply_adds(rounds)


@cache
def _rate() -> float:
    """Multiply-adds of one lane a second, on one core."""
    lanes = 8 if best_path() == "wide" else 4
    _spin(np.int64(1))
    best = np.inf
    for _ in range(5):
        begun = time.thread_time()
        _spin(np.int64(ROUNDS))
        best = min(best, time.thread_time() - begun)
    return ROUNDS * CHAINS * lanes / best


class Floor:
    """Counts what the rings are asked for between `start` and `seconds`."""

    def __init__(self, *rings: SquareRing) -> None:
        self._rings = rings
        self._before = 0.0

    @property
    def known(self) -> bool:
        """Whether the path in use counts its multiply-adds."""
        return current_path() != "portable"

    def start(self) -> None:
        """Begin."""
        self._before = self._work()

    def seconds(self) -> float:
        """What the work since `start` takes one core at the unit's rate."""
        return (self._work() - self._before) / _rate()

    def _work(self) -> float:
        return sum(float(getattr(ring, "work", 0.0)) for ring in self._rings)

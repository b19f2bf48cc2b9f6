"""Trees of a column's rows at both sides: made for random bins, checked, turned, used.

    bin holder H, bins b                          value holder V, values v
      transfers of b' (random)              ──►
                                            ◄──   corrections, nonce of the trees
      nonce of the check                    ──►
                                            ◄──   zeros: a batch of zero values, and its own sums
      (all bins must be zero)  turns b + b' ──►
                                            ◄──   a batch: nonce, c = v + row sums
      share[k] = bin sums, share[b] += c - row sums        share[k] = - bin sums

The shares add up to the sum of v over the rows of each bin, lane by lane, modulo 2^bits. Further
batches take one message each.

- *V* learns nothing of b: choices are masked, turns are b under the one-time pad b'.
- *H* learns nothing of v: c is padded by the lanes of the one leaf that H lacks.
- *The check* has keys that no batch has, whatever nonce H sends: zeros under a batch's keys are its
  pads, and a V that comes back from an older copy may be asked for them once it has sent the batch.
- *A V that spoils corrections* is caught by the zeros, but where b' happens to be what it guessed;
  b' is random, so a failure says nothing of b, and m bits learned pass with probability 2^-m.
- *An H that cheats* in transfers is caught by their check. Its bins are whatever it says they are.

Rows without a bin need one of their own: a leaf outside of all sums would hand its value over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from federated.sharing.keys import NONCE, public_keys
from federated.sharing.transfers import CHECKED, Choosing, Delta, Transfers, words_of
from psi.kernels.half_trees import bin_pass, groups_of, value_pass
from psi.kernels.subset_sums import add_to_bins
from psi.protocol import PeerError, Random

__all__ = [
    "CHUNK",
    "BinTrees",
    "ValueTrees",
    "Zeros",
    "check_nonce",
    "depth_of",
    "lanes_of",
    "padded",
]

CHUNK = 1 << 16
"""Rows whose trees are made at a time."""

Words = np.ndarray[Any, np.dtype[np.uint64]]
Bins = np.ndarray[Any, np.dtype[np.uint16]]
Lanes = np.ndarray[Any, Any]


def padded(rows: int) -> int:
    """Rows come in multiples of 64."""
    return -(-rows // 64) * 64


def depth_of(bins: int) -> int:
    """Levels of a tree with a leaf for each of so many bins."""
    return max(1, (bins - 1).bit_length())


def lanes_of(lanes: int, bits: int) -> int:
    """Blocks of 128 bits that so many lanes take."""
    return -(-lanes * bits // 128)


@dataclass(frozen=True, repr=False)
class Zeros:
    """V's batch of zeros: one lane `uint64[n]` a row, and its own sums `uint64[2^depth]`."""

    lane: Words
    sums: Words


def _choice_bits(bins: Bins, depth: int) -> Words:
    """The side beside the path on each level, level by level, as words of choices."""
    beside = np.stack([1 - (bins >> level & 1) for level in range(depth)]).astype(np.uint8)
    flat = np.zeros(64 * (words_of(beside.size) - 2 * CHECKED), np.uint8)
    flat[: beside.size] = beside.reshape(-1)
    return np.packbits(flat, bitorder="little").view("<u8").astype(np.uint64)


def check_nonce(nonce: bytes) -> bytes:
    """What a check's keys hang on: no batch's nonce, unless one finds what hashes to it."""
    return hashlib.blake2s(nonce, digest_size=NONCE, person=b"sharezer").digest()


def _batch(
    run: Callable[..., tuple[Words, Lanes]], nonce: bytes, rows: int, lanes: int, bits: int
) -> tuple[Lanes, Lanes]:
    """Row sums and bin sums of one batch, cut to its lanes."""
    blocks = lanes_of(lanes, bits)
    keys = public_keys(nonce, f"leaf {rows} {lanes} {bits}", groups_of(rows) * blocks)
    row_sums, bin_sums = run(blocks=blocks, bits=bits, leaf_keys=keys)
    return row_sums.view(np.dtype(f"u{bits // 8}"))[:, :lanes], bin_sums[:, :lanes]


@dataclass(frozen=True, repr=False)
class ValueTrees:
    """V's side of a chunk: `first: uint64[n, 2]`, Δ, the nonce of its trees, and turns."""

    depth: int
    first: Words
    delta: Words
    nonce: bytes
    turns: Bins

    @classmethod
    def make(
        cls, side: Delta, number: int, sent: Transfers, rows: int, depth: int, nonce: bytes
    ) -> tuple[ValueTrees, Words]:
        """From H's transfers of call `number`; also the corrections `uint64[n, depth - 1, 2]`.

        Raises `PeerError` where the transfers' check fails.
        """
        q = side.take(number, sent, rows * depth).reshape(depth, rows, 2)
        none = np.zeros(rows, np.uint16)
        made = cls(depth, q[0].copy(), side.delta, nonce, none)
        keys = public_keys(nonce, "tree", groups_of(rows))
        told, _ = value_pass(made.first, none, made.delta, depth, keys, told=True)
        told ^= q[1:].swapaxes(0, 1)
        return made, told

    def zeros(self, nonce: bytes) -> Zeros:
        """What answers H's check."""
        lane, sums = self.sums(check_nonce(nonce), 1, 64)
        return Zeros(np.ascontiguousarray(lane[:, 0]), np.ascontiguousarray(sums[:, 0]))

    def turned(self, turns: Bins) -> ValueTrees:
        """With H's turns `uint16[n]`. Raises `PeerError` where they do not fit."""
        if turns.shape != (len(self.first),) or (len(turns) and int(turns.max()) >> self.depth):
            raise PeerError("turns of trees that do not fit them")
        return ValueTrees(self.depth, self.first, self.delta, self.nonce, turns)

    def sums(self, nonce: bytes, lanes: int, bits: int) -> tuple[Lanes, Lanes]:
        """Of a batch: what pads its values `uint[n, lanes]`, and bin sums `uint[2^depth, lanes]`.

        V sends values plus the first; minus the second is its share.
        """
        rows = len(self.first)
        keys = public_keys(self.nonce, "tree", groups_of(rows))

        def run(**given: Any) -> tuple[Words, Lanes]:
            return value_pass(self.first, self.turns, self.delta, self.depth, keys, **given)[1]

        return _batch(run, nonce, rows, lanes, bits)


@dataclass(frozen=True, repr=False)
class BinTrees:
    """H's side of a chunk: `beside: uint64[depth, n, 2]`, the number b' each tree was made for."""

    beside: Words
    nonce: bytes
    made: Bins
    bins: Bins

    @classmethod
    def ask(
        cls, side: Choosing, number: int, rows: int, depth: int, random: Random
    ) -> tuple[BinTrees, bytes, Transfers]:
        """Trees to be, for random numbers; the nonce and the transfers that V needs.

        `random` follows from the bins and from what H has heard: other numbers have other streams.
        """
        nonce, drawn = random(NONCE), np.frombuffer(random(2 * rows), "<u2").astype(np.uint16)
        made = drawn & np.uint16((1 << depth) - 1)
        choices = _choice_bits(made, depth)
        sent, t = side.under(nonce).choose(number, choices, rows * depth, random)
        return cls(t.reshape(depth, rows, 2), b"", made, made), nonce, sent

    def corrected(self, told: Words, nonce: bytes) -> BinTrees:
        """With V's corrections. Raises `PeerError` where they are of another shape."""
        depth, rows, _ = self.beside.shape
        if told.shape != (rows, depth - 1, 2):
            raise PeerError("corrections of trees of another shape")
        beside = self.beside.copy()
        beside[1:] ^= told.swapaxes(0, 1)
        return BinTrees(beside, nonce, self.made, self.made)

    def check(self, nonce: bytes, zeros: Zeros) -> None:
        """Raise `PeerError` unless V's zeros are zero in every bin."""
        rows = len(self.made)
        if zeros.lane.shape != (rows,) or zeros.sums.shape != (1 << len(self.beside),):
            raise PeerError("a check of trees of another shape")
        share = self.share(check_nonce(nonce), zeros.lane[:, None], 64)
        if not np.array_equal(share[:, 0], zeros.sums):
            raise PeerError("trees that do not fit their check")

    def turned(self, bins: Bins) -> tuple[BinTrees, Bins]:
        """For these bins `uint16[n]`; also the turns that V needs."""
        return BinTrees(self.beside, self.nonce, self.made, bins), self.made ^ bins

    def share(self, nonce: bytes, values: Lanes, bits: int) -> Lanes:
        """H's share `uint[2^depth, lanes]` of the sums of V's batch `values: uint[n, lanes]`."""
        rows, lanes = values.shape
        keys = public_keys(self.nonce, "tree", groups_of(rows))
        turns = self.made ^ self.bins

        def run(**given: Any) -> tuple[Words, Lanes]:
            return bin_pass(self.bins, turns, self.beside, keys, **given)

        own, sums = _batch(run, nonce, rows, lanes, bits)
        share = np.ascontiguousarray(sums)
        add_to_bins(values, own, self.bins, share)  # the wrong leaf at each row's bin cancels
        return share

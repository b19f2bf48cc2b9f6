"""Trees that are kept: numbered chunks of both directions' trees, and any number of batches.

`Index` is the bin holder's side of one direction, `Values` the value holder's. Each keeps a
chunk's trees in the role's store under the chunk's number and is made anew from a few bytes of the
role's state; which number is due, and what stands behind it, is the role's business. A number is
asked for once: the streams of its transfers, and the random numbers its trees are made for, follow
from what the role has heard and from the bins, so other bins are never turned under the same pads.

A batch is one message for all trees of some rows under one nonce, which is drawn from what the role
has heard and from the values: after a restart the same bytes, or other pads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from federated.sharing.keys import NONCE, public_keys
from federated.sharing.messages import (
    Asked,
    Challenged,
    Corrected,
    Turned,
    Zeroed,
)
from federated.sharing.seeds import BASE, GROUPS, LEAVES
from federated.sharing.transcript import SEED, Transcript
from federated.sharing.transfers import CHECKED, Choosing, Delta, Transfers
from federated.sharing.trees import BinTrees, ValueTrees, Zeros
from psi.kernels.half_trees import bin_lookup, groups_of, value_lookup
from psi.kernels.simd import each_in_threads
from psi.protocol import Array, Length, PeerError
from psi.protocol.store import Store

__all__ = [
    "WIDE",
    "WIDTH",
    "Index",
    "IndexKeys",
    "ValueKeys",
    "Values",
    "batch_nonce",
    "narrowed",
    "signed",
    "widened",
]

Words = NDArray[np.uint64]
Bins = NDArray[np.uint16]
Lanes = NDArray[Any]

T = TypeVar("T")
AT_A_TIME = 8
"""Places whose trees are in memory at a time."""

WIDTH = 7
"""Bytes of a lane on the way: everything is modulo 2^56."""
WIDE = 8
"""The same where sums have more digits."""


@dataclass(frozen=True, repr=False)
class IndexKeys:
    """What the bin holder keeps of a direction's set-up."""

    seeds: Annotated[bytes, Length(GROUPS * LEAVES * 16)]
    coin: Annotated[bytes, Length(SEED)]


@dataclass(frozen=True, repr=False)
class ValueKeys:
    """What the value holder keeps of a direction's set-up: all seeds but some, the bits of Δ."""

    seeds: Annotated[bytes, Length(GROUPS * LEAVES * 16)]
    bits: Annotated[NDArray[np.uint8], Array("uint8", most=BASE)]
    coin: Annotated[bytes, Length(SEED)]


def narrowed(lanes: Words, width: int = WIDTH) -> NDArray[np.uint8]:
    """The low `width` bytes of lanes of any shape, flat."""
    flat = np.ascontiguousarray(lanes, "<u8").reshape(-1, 1).view(np.uint8)
    return np.ascontiguousarray(flat[:, :width]).reshape(-1)


def widened(data: NDArray[np.uint8], rows: int, lanes: int, width: int = WIDTH) -> Words:
    """`uint64[rows, lanes]` of what `narrowed` gave. Raises `PeerError` for another length."""
    if len(data) != width * rows * lanes:
        raise PeerError(f"lanes of {len(data)} bytes, {width * rows * lanes} expected")
    flat = np.zeros((rows * lanes, 8), np.uint8)
    flat[:, :width] = data.reshape(-1, width)
    return flat.view("<u8").astype(np.uint64).reshape(rows, lanes)


def signed(numbers: Words, width: int = WIDTH) -> NDArray[np.int64]:
    """Numbers modulo 2^(8 `width`) as signed ones."""
    shift = 64 - 8 * width
    return (numbers << np.uint64(shift)).view(np.int64) >> np.int64(shift)


def batch_nonce(transcript: Transcript, name: str, *values: Lanes) -> bytes:
    """The nonce of a batch of these values."""
    text = hashlib.sha256()
    for each in values:
        kind = each.dtype.newbyteorder("<")
        text.update(f"{kind.str} {each.size} ".encode())
        text.update(np.ascontiguousarray(each, kind).data)
    return transcript.draw(f"batch {name} {text.hexdigest()}", NONCE)


def _batched(items: Iterable[T], most: int) -> Iterator[list[T]]:
    """So many items at a time."""
    left = iter(items)
    while some := list(islice(left, most)):
        yield some


def _own(nonce: bytes, place: int) -> bytes:
    """Each chunk's keys of a batch, or of its check: no two share them."""
    if len(nonce) != NONCE:
        raise PeerError(f"a nonce of {len(nonce)} bytes, {NONCE} expected")
    return nonce + place.to_bytes(8, "little")


def _outs(table: Words) -> list[Words]:
    """A table `uint64[bins, ins, outs]` column by column of its outcomes."""
    return [np.ascontiguousarray(table[:, :, at]) for at in range(table.shape[2])]


class Index:
    """The bin holder's side of one direction."""

    def __init__(self, store: Store, keys: IndexKeys) -> None:
        self._store = store
        seeds = np.frombuffer(keys.seeds, np.uint8).reshape(GROUPS, LEAVES, 16)
        self._side = Choosing(seeds, keys.coin)

    def ask(self, transcript: Transcript, place: int, bins: Bins, depth: int) -> Asked:
        """Transfers for the trees of a chunk of rows, a multiple of 64, with these bins."""
        text = hashlib.sha256(np.ascontiguousarray(bins, "<u2").data).hexdigest()
        random = transcript.random(f"trees {place} {text}")
        trees, nonce, sent = BinTrees.ask(self._side, place, len(bins), depth, random)
        self._store.put("index-beside", place, trees.beside)
        self._store.put("index-made", place, trees.made)
        return Asked(place, nonce, sent.rows.reshape(-1), sent.sums, sent.digest)

    def corrected(self, transcript: Transcript, sent: Corrected) -> Challenged:
        """Keep the trees, and ask for zeros."""
        made, beside = self._of("made", sent.place), self._of("beside", sent.place)
        depth, rows, _ = beside.shape
        if len(sent.told) != 2 * rows * (depth - 1) or len(sent.nonce) != NONCE:
            raise PeerError("corrections of trees of another shape")
        told = sent.told.reshape(rows, depth - 1, 2)
        trees = BinTrees(beside, b"", made, made).corrected(told, sent.nonce)
        # under a name of their own: a kill here corrects what was asked once more
        self._store.put("index-trees", sent.place, trees.beside)
        self._store.put("index-nonce", sent.place, np.frombuffer(sent.nonce, np.uint8))
        nonce = transcript.draw(f"challenge {sent.place}", NONCE)
        self._store.put("index-challenge", sent.place, np.frombuffer(nonce, np.uint8))
        return Challenged(sent.place, nonce)

    def turned(self, sent: Zeroed, bins: Bins) -> Turned:
        """Check the trees, and turn them to the bins."""
        nonce = self._of("challenge", sent.place).tobytes()
        trees = self._trees(sent.place)
        trees.check(_own(nonce, sent.place), Zeros(sent.lane, sent.sums))
        self._store.put("index-beside", sent.place, np.zeros((0, 0, 2), np.uint64))
        return Turned(sent.place, trees.turned(bins)[1])

    def summed(self, place: int, bins: Bins, nonce: bytes, lanes: Lanes) -> Lanes:
        """This side's share `uint[2^depth, k]` of the sums by bin of a batch `uint[n, k]`.

        Lanes are of 32 or 64 bits, and their sums of as many.
        """
        return self.each_summed({place: bins}, nonce, lanes[None])[0]

    def each_summed(
        self, bins: Mapping[int, Bins], nonce: bytes, lanes: Lanes, beside: Lanes | None = None
    ) -> list[Lanes]:
        """The same of several places of one batch, by threads.

        Args:
            bins: of each place.
            nonce: of the batch.
            lanes: `uint[places, n, k]`.
            beside: own lanes that are added up with them, the same at each place, `uint[n, k]`.
        """

        def share(given: tuple[int, BinTrees, Lanes]) -> Lanes:
            place, trees, own = given
            both = np.ascontiguousarray(own if beside is None else own + beside)
            return np.asarray(trees.share(_own(nonce, place), both, 8 * both.itemsize))

        found: list[Lanes] = []
        for some in _batched(zip(bins.items(), lanes, strict=True), AT_A_TIME):
            given = [
                (place, self._trees(place).turned(own)[0], each) for (place, own), each in some
            ]
            found += each_in_threads(share, given)
        return found

    def looked_up(self, place: int, bins: Bins, nonce: bytes, lanes: Words, table: Words) -> Words:
        """This side's shares `uint64[n, outs]` of the rows' sums of values times `table[bin]`.

        `lanes: uint64[n, ins]`, `table: uint64[2^depth, ins, outs]`.
        """
        trees, own = self._trees(place), _own(nonce, place)
        rows, turns = len(bins), trees.made ^ bins
        keys = public_keys(trees.nonce, "tree", groups_of(rows))
        leaf_keys = public_keys(own, "leaf", groups_of(rows) * (table.shape[1] // 2))
        shares = []
        for weights in _outs(table):
            sums, products = bin_lookup(bins, turns, trees.beside, keys, leaf_keys, weights)
            # the wrong leaf at each row's bin cancels
            mended = (weights[bins] * (lanes - sums)).sum(axis=1, dtype=np.uint64)
            shares.append(products + mended)
        return np.stack(shares, axis=1)

    def drop(self, place: int) -> None:
        """Forget a chunk's trees."""
        self._store.put("index-trees", place, np.zeros((0, 0, 2), np.uint64))
        self._store.put("index-made", place, np.zeros(0, np.uint16))

    def _trees(self, place: int) -> BinTrees:
        made, nonce = self._of("made", place), self._of("nonce", place).tobytes()
        return BinTrees(self._of("trees", place), nonce, made, made)

    def _of(self, name: str, place: int) -> Any:
        return self._store.get(f"index-{name}", place)


class Values:
    """The value holder's side of one direction."""

    def __init__(self, store: Store, keys: ValueKeys) -> None:
        self._store = store
        seeds = np.frombuffer(keys.seeds, np.uint8).reshape(GROUPS, LEAVES, 16)
        self._side = Delta(seeds, keys.bits, keys.coin)

    def answered(self, transcript: Transcript, sent: Asked, rows: int, depth: int) -> Corrected:
        """Make a chunk's trees, and correct the other side's."""
        shaped = not len(sent.rows) % GROUPS and len(sent.sums) == CHECKED
        if not shaped or len(sent.nonce) != NONCE:
            raise PeerError("transfers of another shape")
        transfers = Transfers(sent.rows.reshape(GROUPS, -1), sent.sums, sent.digest)
        nonce = transcript.draw(f"tree keys {sent.place}", NONCE)
        side = self._side.under(sent.nonce)
        trees, told = ValueTrees.make(side, sent.place, transfers, rows, depth, nonce)
        self._store.put("value-first", sent.place, trees.first)
        self._store.put("value-nonce", sent.place, np.frombuffer(nonce, np.uint8))
        self._store.put("value-turns", sent.place, trees.turns)
        return Corrected(sent.place, nonce, told.reshape(-1))

    def zeroed(self, sent: Challenged, depth: int) -> Zeroed:
        """Zeros under the other side's nonce."""
        zeros = self._trees(sent.place, depth, made=True).zeros(_own(sent.nonce, sent.place))
        return Zeroed(sent.place, zeros.lane, zeros.sums)

    def turn(self, sent: Turned, depth: int) -> None:
        """Keep the other side's turns."""
        trees = self._trees(sent.place, depth, made=True).turned(sent.turns)
        self._store.put("value-turns", sent.place, trees.turns)

    def summed(self, place: int, depth: int, nonce: bytes, values: Lanes) -> tuple[Lanes, Lanes]:
        """A batch `uint[n, k]` padded, and this side's share `uint[2^depth, k]` of its sums.

        Lanes are of 32 or 64 bits, and their sums of as many.
        """
        told, shares = self.each_summed({place: depth}, nonce, values)
        return told[0], shares[0]

    def each_summed(
        self, depths: Mapping[int, int], nonce: bytes, values: Lanes
    ) -> tuple[Lanes, list[Lanes]]:
        """The same batch under the trees of several places, each of its depth, by threads.

        The first is `uint[places, n, k]`.
        """
        told = np.empty((len(depths), *values.shape), values.dtype)

        def padded(given: tuple[int, Lanes, ValueTrees]) -> Lanes:
            place, into, trees = given
            own, bits = _own(nonce, place), 8 * values.itemsize
            pads, sums = trees.sums(own, values.shape[1], bits)
            np.add(values, pads, out=into)
            return np.negative(sums)

        shares: list[Lanes] = []
        for some in _batched(zip(depths.items(), told, strict=True), AT_A_TIME):
            given = [(place, into, self._trees(place, depth)) for (place, depth), into in some]
            shares += each_in_threads(padded, given)
        return told, shares

    def looked_up(
        self, place: int, nonce: bytes, values: Words, table: Words
    ) -> tuple[Words, Words]:
        """A batch for a lookup padded, and this side's shares `uint64[n, outs]`."""
        depth, rows = len(table).bit_length() - 1, len(values)
        trees = self._trees(place, depth)
        keys = public_keys(trees.nonce, "tree", groups_of(rows))
        leaves = groups_of(rows) * (table.shape[1] // 2)
        leaf_keys = public_keys(_own(nonce, place), "leaf", leaves)
        given, shares = (trees.first, trees.turns, trees.delta, keys, leaf_keys), []
        for weights in _outs(table):  # one batch: the same pads, added up by other weights
            pads, products = value_lookup(*given, weights)
            shares.append(np.uint64(0) - products)
        return values + pads, np.stack(shares, axis=1)

    def drop(self, place: int) -> None:
        """Forget a chunk's trees."""
        self._store.put("value-first", place, np.zeros((0, 2), np.uint64))
        self._store.put("value-turns", place, np.zeros(0, np.uint16))

    def _trees(self, place: int, depth: int, *, made: bool = False) -> ValueTrees:
        first = self._store.get("value-first", place)
        nonce = self._store.get("value-nonce", place).tobytes()
        turns = self._store.get("value-turns", place)
        if made:
            turns = np.zeros(len(first), np.uint16)
        return ValueTrees(depth, first, self._side.delta, nonce, turns)

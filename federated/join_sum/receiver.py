"""The receiver: adds the matching places up under the sender's key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from federated.join_sum.layout import FRACTION_BITS, MASK_BITS, Layout
from federated.join_sum.messages import Key, Next, Opened, Places, Rows, Small, Summed
from federated.join_sum.noising import Noising
from federated.paillier import EncryptedVector, Plaintexts, PublicKey
from psi.kernels.montgomery_words import from_words, random_below
from psi.protocol import Context, Done, Length, PeerError, Range, Role, Turn, message

__all__ = ["JoinSumResult", "SumReceiver", "result_of"]

Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class JoinSumResult:
    """How many keys are shared, and one number a statistic.

    `values: float64[s]` is NaN where `kept: bool[s]` is false: too few values stand behind it.
    `counts: int64[columns]` are values behind each column, 0 where too few. All but `shared` have
    the sender's noise where the contract says so.

    Attributes:
        statistics: (column, "count", "sum" or "mean"), in the order of `values`.
    """

    shared: int
    statistics: list[tuple[str, str]]
    values: np.ndarray
    kept: np.ndarray
    counts: np.ndarray


@message(0x56)
@dataclass(frozen=True)
class Adding:
    """Receiver: the sender's key, chunks added up, the sum so far, and the masks once drawn."""

    public_key: Annotated[bytes, Length(4096)]
    places: Places
    added: Annotated[int, Range(0, 1 << 30)]
    sums: Small
    masks: Small


class SumReceiver(Role[JoinSumResult]):
    """Knows which of the sender's places match: `places: int64[k]`, distinct, of `total`.

    With `records` the sender's records have places, each of one key or more: `total` is of keys,
    and the sender says how many records there are.

    Args:
        context: session, step, this party's name, its randomness and its store.
        columns: names of the sender's columns, in its order.
        key_bits: bits of n of the Paillier key.
        noising: the noise that the contract names; None: exact numbers.
    """

    transitions = {  # noqa: RUF012
        (Adding, Key): "on_key",
        (Adding, Rows): "on_rows",
        (Adding, Opened): "on_opened",
    }

    def __init__(
        self,
        context: Context,
        sender: str,
        places: Ints,
        total: int,
        columns: Sequence[str],
        statistics: Sequence[tuple[str, str]],
        *,
        records: bool = False,
        key_bits: int = 2048,
        noising: Noising | None = None,
    ) -> None:
        """`statistics` are pairs of a column and "count", "sum" or "mean"."""
        super().__init__(context)
        self._sender, self._most = sender, total
        self._least = int(places.max(initial=-1)) + 1 if records else total
        self._columns, self._statistics = list(columns), list(statistics)
        self._bits, self._noising = key_bits, noising
        # bin 0 what matches, bin 1 the rest
        self._bin = np.ones(total, np.int64)
        self._bin[places] = 0
        self._shared = len(places)
        self._public: PublicKey | None = None

    def begin(self) -> Turn[JoinSumResult]:
        return Turn(Adding(b"", 0, 0, b"", b""))

    def _key(self, data: bytes) -> PublicKey:
        if self._public is None:
            self._public = PublicKey.from_bytes(data, bits=self._bits)
        return self._public

    def _layout(self, public: PublicKey, places: int) -> Layout:
        return Layout(len(self._columns), places, public.bits)

    def on_key(self, state: Adding, found: Key, peer: str) -> Turn[JoinSumResult]:
        if state.public_key:
            raise PeerError("a second key")
        if found.columns != len(self._columns):
            raise PeerError(f"{found.columns} columns found, {len(self._columns)} in the contract")
        if not self._least <= found.places <= self._most:
            raise PeerError(f"{found.places} places found, {self._most} in the intersection")
        layout = self._layout(self._key(found.public_key), found.places)
        state = replace(state, public_key=found.public_key, places=found.places)
        return self._finish(state, peer) if not layout.chunks else Turn(state)

    def on_rows(self, state: Adding, found: Rows, peer: str) -> Turn[JoinSumResult]:
        if not state.public_key:
            raise PeerError("rows before their key")
        public = self._key(state.public_key)
        layout = self._layout(public, state.places)
        if found.number != state.added:
            raise PeerError("rows out of order")
        start, stop = layout.part(found.number)
        rows, size = stop - start, (stop - start) * public.ciphertext_bytes
        if len(found.ciphertexts) != layout.ciphertexts * size:
            raise PeerError(f"{len(found.ciphertexts)} bytes of rows for {rows} places")
        data = memoryview(found.ciphertexts)
        sums = []
        for part in range(layout.ciphertexts):
            taken = data[part * size : (part + 1) * size]
            vector = EncryptedVector.from_bytes(public, taken, rows, packing=layout.packing)
            sums.append(vector.segment_sum(self._bin[start:stop], 2)[:1])
        total = EncryptedVector.concatenate(sums)
        if state.sums:
            total = total.add(layout.read(public, state.sums, layout.summed()))
        state = replace(state, added=state.added + 1, sums=total.to_bytes())
        if state.added == layout.chunks:
            return self._finish(state, peer)
        return Turn(state, [(peer, Next())], progress=0.95 * state.added / layout.chunks)

    def _finish(self, state: Adding, peer: str) -> Turn[JoinSumResult]:
        """Mask values and all above the slots, leave the counts, hide what was added up."""
        public = self._key(state.public_key)
        layout, random = self._layout(public, state.places), self.context.random
        packing, columns, size = layout.packing, layout.columns, public.ciphertext_bytes
        total = self._sum(state, public, layout)
        width = (layout.sum_bits + MASK_BITS) // 8 + 1
        highest = (1 << (layout.sum_bits + MASK_BITS)) - 1
        drawn = [int.from_bytes(random(width), "little") & highest for _ in range(columns)]
        masked = []
        for cipher, low in enumerate(layout.used_bits()):
            values = drawn[cipher * packing.slots : (cipher + 1) * packing.slots]
            mask = sum(value << (s * packing.slot_bits) for s, value in enumerate(values))
            mask += self._room(public, low) << low
            data = total[cipher * size : (cipher + 1) * size]
            vector = EncryptedVector.from_bytes(public, data, 1, bound_bits=low - 1)
            masked.append(vector.add_plain(Plaintexts.from_ints([mask])))
        hidden = EncryptedVector.concatenate(masked).rerandomise(for_key_holder=True, random=random)
        kept = b"".join(mask.to_bytes(width, "little") for mask in drawn)
        messages: list[tuple[str, Any]] = [(peer, Next())] * bool(layout.chunks)
        messages.append((peer, Summed(hidden.to_bytes())))
        return Turn(replace(state, masks=kept), messages, progress=0.95)

    def _room(self, public: PublicKey, low: int) -> int:
        """Random, of either sign: times 2^low it fills the plaintexts of a key but for the ends.

        An honest sender has nothing there, and one that lies could put a bit for each place.
        """
        most = (public.half >> low) - 1
        if most < 1:
            return 0
        (drawn,) = from_words(random_below(1, 2 * most + 1, self.context.random))
        return int(drawn) - most

    def _sum(self, state: Adding, public: PublicKey, layout: Layout) -> bytes:
        if state.sums:
            return state.sums
        zeros = layout.packing.pack(np.zeros((layout.ciphertexts, 1), np.int64))
        return EncryptedVector.encrypt(public, zeros, random=self.context.random).to_bytes()

    def on_opened(self, state: Adding, found: Opened, peer: str) -> Turn[JoinSumResult]:
        del peer
        if not state.masks:
            raise PeerError("opened sums that are not due")
        layout = self._layout(self._key(state.public_key), state.places)
        columns, counts = layout.columns, found.counts
        noised, far = self._noising, [0] * columns
        most = self._shared + (noised.farthest_count if noised else 0)
        if len(counts) != columns or (counts < 0).any() or (counts > most).any():
            raise PeerError("counts of values beyond the shared keys")
        summed = {column for column, statistic in self._statistics if statistic != "count"}
        told = [bool(n) and c in summed for c, n in zip(self._columns, counts, strict=True)]
        far = noised.farthest_sums if noised else far
        sums = _numbers(found.sums, columns, layout.packing.slot_bits // 8 + 1, signed=True)
        masks = _numbers(state.masks, columns, len(state.masks) // columns, signed=False)
        plain = [s - m if n else 0 for s, m, n in zip(sums, masks, told, strict=True)]
        largest = [(1 << layout.sum_bits) + extra for extra in far]
        if any(abs(value) >= most for value, most in zip(plain, largest, strict=True)):
            raise PeerError("opened sums beyond what was sent")
        result = result_of(self._shared, self._columns, self._statistics, plain, counts)
        return Turn(Done(), result=result, progress=1.0)


def result_of(
    shared: int,
    columns: Sequence[str],
    statistics: Sequence[tuple[str, str]],
    sums: Sequence[int],
    counts: Ints,
) -> JoinSumResult:
    """The statistics from opened sums, in fixed point, and counts; 0 where too few values are."""
    values = np.full(len(statistics), np.nan)
    kept = np.zeros(len(statistics), bool)
    for place, (column, statistic) in enumerate(statistics):
        j = columns.index(column)
        kept[place] = counts[j] > 0
        if kept[place]:
            total, count = sums[j] / (1 << FRACTION_BITS), int(counts[j])
            found = {"count": count, "sum": total, "mean": total / count}
            values[place] = found[statistic]
    return JoinSumResult(shared, list(statistics), values, kept, counts)


def _numbers(data: bytes, count: int, width: int, *, signed: bool) -> list[int]:
    if len(data) != count * width:
        raise PeerError(f"{len(data)} bytes of sums found, {count * width} expected")
    return [
        int.from_bytes(data[at : at + width], "little", signed=signed)
        for at in range(0, len(data), width)
    ]

"""Roles, messages and states of the encrypted aggregation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

import numpy as np

from federated.paillier import EncryptedVector, Packing, Plaintexts, PrivateKey, PublicKey
from psi.protocol import (
    Array,
    Context,
    Done,
    InputError,
    Length,
    PeerError,
    Range,
    Refused,
    Role,
    Turn,
    message,
)

__all__ = ["AggregateResult", "MeasureParty", "SegmentParty", "Statistic", "suppress"]

ROWS = 1 << 26
GROUPS = 1 << 16
FRACTION_BITS = 20
VALUE_BITS = 62
Floats = np.ndarray[Any, np.dtype[np.float64]]
Blob = Annotated[bytes, Length(1 << 30)]
Statistic = tuple[str, str]
"""Column and "count", "sum" or "mean"."""


@dataclass(frozen=True)
class AggregateResult:
    """Statistics by group, in the receiver's order of groups.

    `rows[g]` is the number of shared records of a group; `values[s][g]` the statistic s, NaN
    where `kept[s][g]` is false because too few records stand behind it.
    """

    groups: list[str]
    rows: np.ndarray
    statistics: list[Statistic]
    values: list[Floats]
    kept: list[np.ndarray]


@message(0x40)
@dataclass(frozen=True)
class Encrypted:
    """Partner's key, packing and one packed ciphertext a row (several if slots do not fit)."""

    public_key: Annotated[bytes, Length(4096)]
    columns: Annotated[int, Range(0, 1 << 12)]
    value_bits: Annotated[int, Range(1, VALUE_BITS)]
    rows: Blob


@message(0x41)
@dataclass(frozen=True)
class Counts:
    """How many shared records each group has: what the partner learns."""

    rows: Annotated[np.ndarray, Array("int64", most=GROUPS)]


@message(0x42)
@dataclass(frozen=True)
class Kept:
    """Which groups will be opened, with their row counts (0 where not)."""

    rows: Annotated[np.ndarray, Array("int64", most=GROUPS)]


@message(0x43)
@dataclass(frozen=True)
class MaskedSums:
    """Masked sums of the kept groups, ciphertext by ciphertext of a row."""

    sums: Blob


@message(0x44)
@dataclass(frozen=True)
class OpenedSums:
    """The same, decrypted, still masked."""

    sums: Blob


@message(0x45)
@dataclass(frozen=True)
class Adding:
    """Receiver: waiting for rows, for the kept groups, or for the opened sums."""

    public_key: Annotated[bytes, Length(4096)]
    columns: Annotated[int, Range(0, 1 << 12)]
    value_bits: Annotated[int, Range(0, VALUE_BITS)]
    sums: Blob
    kept: Annotated[np.ndarray, Array("int64", most=GROUPS)]
    masks: Blob


@message(0x46)
@dataclass(frozen=True)
class Opening:
    """Partner: how many sums it will open (-1 before it has seen the counts), and the counts."""

    sums: Annotated[int, Range(-1, 1 << 30)]
    rows: Annotated[np.ndarray, Array("int64", most=GROUPS)]


def suppress(rows: np.ndarray, minimum: int) -> np.ndarray:
    """Which groups stay: those of `minimum` rows or more; never exactly one non-empty group goes.

    With a single group dropped, a total known otherwise would give it back, so the smallest
    of the others goes too.
    """
    kept = rows >= minimum
    dropped = (rows > 0) & ~kept
    if dropped.sum() == 1 and kept.any():
        smallest = np.flatnonzero(kept)[np.argmin(rows[kept])]
        kept[smallest] = False
    return np.asarray(kept)


def _packing(bits: int, rows: int, columns: int, value_bits: int) -> tuple[Packing, int]:
    width = value_bits + max(1, int(rows)).bit_length() + 2
    most = (bits - 2) // width
    return Packing(min(most, columns), width, value_bits), -(-columns // most)


class MeasureParty(Role[np.ndarray]):
    """The partner: encrypts its measures, opens counts, then sums of what is large enough.

    Its result are the groups' row counts, which it learns.
    """

    transitions = {  # noqa: RUF012
        (Opening, Counts): "on_counts",
        (Opening, MaskedSums): "on_sums",
    }

    def __init__(
        self,
        context: Context,
        receiver: str,
        key: PrivateKey,
        values: Floats,
        columns: Sequence[str],
        minimum_group: int,
    ) -> None:
        super().__init__(context)
        self._receiver, self._key, self._minimum = receiver, key, minimum_group
        self._values, self._names = values, list(columns)

    def begin(self) -> Turn[np.ndarray]:
        there = np.isfinite(self._values)
        ones = np.ones((len(there), 1), np.int64)
        slots = np.hstack([self._scaled, there.astype(np.int64), ones])
        packing, count = self._shape
        parts = [slots[:, i * packing.slots : (i + 1) * packing.slots] for i in range(count)]
        encrypted = [
            EncryptedVector.encrypt(self._key, packing.pack(part), random=self.context.random)
            for part in parts
        ]
        rows = b"".join(vector.to_bytes() for vector in encrypted)
        out = Encrypted(self._key.public.to_bytes(), slots.shape[1], self._value_bits, rows)
        state = Opening(-1, np.zeros(0, np.int64))
        return Turn(state, [(self._receiver, out)], progress=0.5)

    @cached_property
    def _scaled(self) -> np.ndarray:
        """The values in fixed point, 0 where one is missing: `int64[rows, columns]`."""
        there = np.isfinite(self._values)
        scaled = np.rint(np.where(there, self._values, 0.0) * 2.0**FRACTION_BITS)
        over = np.any(np.abs(scaled) >= 2.0 ** (VALUE_BITS - 3), axis=0).tolist()
        if any(over):
            names = ", ".join(n for n, bad in zip(self._names, over, strict=True) if bad)
            raise InputError(f"columns too large to add up: {names}", hint="divide them by 1000")
        return scaled.astype(np.int64)

    @property
    def _value_bits(self) -> int:
        return max(2, int(np.abs(self._scaled).max(initial=1)).bit_length() + 1)

    @property
    def _shape(self) -> tuple[Packing, int]:
        columns = 2 * self._values.shape[1] + 1
        return _packing(self._key.bits, len(self._values), columns, self._value_bits)

    def on_counts(self, state: Opening, found: Counts, peer: str) -> Turn[np.ndarray]:
        rows = found.rows
        if state.sums >= 0:
            raise PeerError("a second set of counts")
        if (rows < 0).any() or rows.sum() > len(self._values):
            raise PeerError("counts that do not add up to the aligned rows")
        kept = np.where(suppress(rows, self._minimum), rows, 0)
        opening = Opening(int((kept > 0).sum()) * self._shape[1], rows)
        return Turn(opening, [(peer, Kept(kept))], progress=0.8)

    def on_sums(self, state: Opening, found: MaskedSums, peer: str) -> Turn[np.ndarray]:
        if state.sums < 0:
            raise PeerError("sums before the counts")
        vector = EncryptedVector.from_bytes(self._key.public, found.sums, state.sums)
        data = vector.decrypt(self._key).to_bytes() if state.sums else b""
        return Turn(Done(), [(peer, OpenedSums(data))], state.rows, 1.0)


class SegmentParty(Role[AggregateResult]):
    """The receiver: adds the partner's ciphertexts up by its private segment."""

    transitions = {  # noqa: RUF012
        (Adding, Encrypted): "on_encrypted",
        (Adding, Kept): "on_kept",
        (Adding, OpenedSums): "on_opened",
    }

    def __init__(
        self,
        context: Context,
        partner: str,
        groups: Sequence[str],
        codes: np.ndarray,
        columns: Sequence[str],
        statistics: Sequence[Statistic],
        *,
        minimum_group: int,
        minimum_key_bits: int = 2048,
    ) -> None:
        super().__init__(context)
        self._partner, self._groups, self._codes = partner, list(groups), codes
        self._columns, self._statistics = list(columns), list(statistics)
        self._minimum, self._bits = minimum_group, minimum_key_bits

    def begin(self) -> Turn[AggregateResult]:
        if not self._groups:
            raise Refused("no group has a shared record")
        none = np.empty(0, np.int64)
        return Turn(Adding(b"", 0, 0, b"", none, b""))

    def _public(self, data: bytes) -> PublicKey:
        return PublicKey.from_bytes(data, minimum_bits=self._bits)

    def on_encrypted(self, state: Adding, rows: Encrypted, peer: str) -> Turn[AggregateResult]:
        if state.public_key:
            raise PeerError("a second set of rows")
        columns = 2 * len(self._columns) + 1
        if rows.columns != columns:
            raise PeerError(f"{rows.columns} columns found, {columns} in the contract")
        public = self._public(rows.public_key)
        n, groups = len(self._codes), len(self._groups)
        packing, count = _packing(public.bits, n, columns, rows.value_bits)
        size = n * public.ciphertext_bytes
        if len(rows.rows) != count * size:
            raise PeerError(f"{len(rows.rows)} bytes of rows found, {count * size} expected")
        sums = []
        for i in range(count):
            part = rows.rows[i * size : (i + 1) * size]
            vector = EncryptedVector.from_bytes(public, part, n, packing=packing)
            sums.append(vector.segment_sum(self._codes, groups))
        whole = EncryptedVector.concatenate(sums).to_bytes()
        state = replace(
            state,
            public_key=rows.public_key,
            columns=columns,
            value_bits=rows.value_bits,
            sums=whole,
        )
        return Turn(state, [(peer, Counts(self._counts))], progress=0.7)

    @property
    def _counts(self) -> np.ndarray:
        counts = np.bincount(self._codes[self._codes >= 0], minlength=len(self._groups))
        return np.asarray(counts.astype(np.int64))

    def on_kept(self, state: Adding, found: Kept, peer: str) -> Turn[AggregateResult]:
        if not state.public_key or state.masks:
            raise PeerError("kept groups that are not due")
        counts = self._counts
        kept = found.rows
        if len(kept) != len(counts) or ((kept != 0) & (kept != counts)).any():
            raise PeerError("kept groups that differ from the counts sent")
        public = self._public(state.public_key)
        count = self._shape(public, state)[1]
        every = EncryptedVector.from_bytes(public, state.sums, count * len(counts))
        chosen = np.flatnonzero(kept > 0)
        if not len(chosen):
            return Turn(replace(state, kept=kept, masks=b"none"), [(peer, MaskedSums(b""))])
        places = (np.arange(count)[:, None] * len(counts) + chosen[None, :]).reshape(-1)
        masked, masks = every.take(places).mask_uniform(self.context.random)
        fresh = masked.rerandomise(for_key_holder=True, random=self.context.random)
        state = replace(state, kept=kept, masks=masks.to_bytes())
        return Turn(state, [(peer, MaskedSums(fresh.to_bytes()))], progress=0.9)

    def _shape(self, public: PublicKey, state: Adding) -> tuple[Packing, int]:
        return _packing(public.bits, len(self._codes), state.columns, state.value_bits)

    def on_opened(self, state: Adding, opened: OpenedSums, peer: str) -> Turn[AggregateResult]:
        del peer
        if not state.masks:
            raise PeerError("opened sums that are not due")
        public = self._public(state.public_key)
        packing, count = self._shape(public, state)
        chosen = np.flatnonzero(state.kept > 0)
        size = count * len(chosen)
        slots = np.zeros((len(self._groups), count * packing.slots), dtype=object)
        if size:
            masks = Plaintexts.from_bytes(state.masks, size, bound=public.half)
            plain = Plaintexts.from_bytes(opened.sums, size, bound=public.half)
            numbers = packing.unpack_objects(plain.minus(masks, public))
            blocks = numbers.reshape(count, len(chosen), packing.slots)
            slots[chosen] = np.concatenate(list(blocks), axis=1)
        result = self._statistics_of(slots, state.kept)
        return Turn(Done(), result=result, progress=1.0)

    def _statistics_of(self, slots: np.ndarray, rows: np.ndarray) -> AggregateResult:
        width = len(self._columns)
        sums = slots[:, :width].astype(np.float64) / 2.0**FRACTION_BITS
        there = slots[:, width : 2 * width].astype(np.int64)
        if (there < 0).any() or (there > rows[:, None]).any():
            raise PeerError("counts of values beyond the rows of their group")
        values, kept = [], []
        for column, statistic in self._statistics:
            j = self._columns.index(column)
            good = (rows > 0) & (there[:, j] >= self._minimum)
            with np.errstate(invalid="ignore", divide="ignore"):
                found = {
                    "count": there[:, j].astype(np.float64),
                    "sum": sums[:, j],
                    "mean": sums[:, j] / there[:, j],
                }[statistic]
            values.append(np.where(good, found, np.nan))
            kept.append(good)
        return AggregateResult(self._groups, rows, self._statistics, values, kept)

"""Rows, once a contract and partner: encrypted at the partner, added up at the receiver.

    partner (key holder)                            receiver (segments)
      Key, Rows, Rows, ...: packed ciphertexts  ──►
                                                ◄──  Next, while rows are missing

A row holds what all sections between the two need. The receiver adds every message up by the cells
of each section, so that rows need not be kept; what comes then goes section by section. The partner
learns that rows arrive, the receiver how many there are. Adversary and sources: see the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from federated.aggregate.adding import Target, add_rows, chunks, encrypt_rows, no_sums
from federated.aggregate.cells import Grouping
from federated.aggregate.history import Followed
from federated.aggregate.measured import MeasuredRows
from federated.aggregate.messages import CHUNK, GROUPS, WINDOW, Blob, Key, Next, Rows
from federated.aggregate.rows import Asked, Floats, MeasureSlots, Section, SectionSlots
from federated.paillier import PrivateKey, PublicKey
from psi.protocol import (
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

__all__ = ["Added", "RowsReceiver", "RowsSender", "target_of"]

SECTIONS = 1 << 10


@message(0x46)
@dataclass(frozen=True)
class Encrypting:
    """How many messages of rows have been sent."""

    sent: Annotated[int, Range(0, 1 << 30)]


@message(0x48)
@dataclass(frozen=True)
class Adding:
    """Waiting for the key, then for rows: how many messages have been added; sections' sums."""

    public: Annotated[bytes, Length(4096)]
    added: Annotated[int, Range(0, 1 << 30)]
    sums: Annotated[tuple[Blob, ...], Length(SECTIONS)]


@dataclass(frozen=True)
class Added:
    """The partner's public key, and for each section the sums of its cells: `uint8[bytes]`."""

    public: bytes
    sums: tuple[np.ndarray, ...]


def target_of(slots: SectionSlots, grouping: Grouping) -> Target:
    """Where the records of one section are added up."""
    return Target(slots.ciphers, grouping.place, len(grouping.cells))


class RowsSender(Role[int]):
    """Holds the key. Its result is how many messages it sent.

    `values` is `float64[rows, columns]` in the order of the slots' columns, NaN where a value is
    missing; `counted` says of each section which records count, and `at` which rows stand for
    them (see `MeasuredRows`).

    Args:
        context: session, step, this party's name, its randomness and its store.
        receiver: the name of the party that adds the rows up.
    """

    transitions = {(Encrypting, Next): "on_next"}  # noqa: RUF012

    def __init__(
        self,
        context: Context,
        receiver: str,
        key: PrivateKey,
        slots: MeasureSlots,
        values: Floats,
        counted: Sequence[Followed],
        at: np.ndarray | None = None,
    ) -> None:
        super().__init__(context)
        self._receiver, self._key, self._slots = receiver, key, slots
        self._values, self._counted, self._at = values, counted, at

    @cached_property
    def _rows(self) -> MeasuredRows:
        return MeasuredRows(self._slots, self._values, self._counted, self._at)

    def begin(self) -> Turn[int]:
        self._rows  # noqa: B018 (refuses bad values before anything is sent)
        first = min(WINDOW, chunks(self._slots.rows))
        key = Key(self._key.public.to_bytes(), self._slots.rows, 1)
        return self._turn(
            first,
            [(self._receiver, key), *((self._receiver, self._chunk(i)) for i in range(first))],
        )

    def _turn(self, sent: int, messages: Sequence[tuple[str, object]]) -> Turn[int]:
        total = chunks(self._slots.rows)
        if sent == total:
            return Turn(Done(), messages, sent, 1.0)
        return Turn(Encrypting(sent), messages, progress=sent / total)

    def _chunk(self, number: int) -> Rows:
        slots = self._slots
        return encrypt_rows(
            self._key, self._rows.pack, slots.layout.ciphers, slots.rows, number,
            self.context.random,
        )  # fmt: skip

    def on_next(self, state: Encrypting, found: Next, peer: str) -> Turn[int]:
        del found
        return self._turn(state.sent + 1, [(peer, self._chunk(state.sent))])


class RowsReceiver(Role[Added]):
    """Adds the rows up by the cells of each of the `sections`, whose groups are `groupings`.

    `earlier` are the shares and histograms that earlier jobs told of the same columns.

    Args:
        context: session, step, this party's name, its randomness and its store.
        key_bits: bits of n of the Paillier key.
    """

    transitions = {(Adding, Key): "on_key", (Adding, Rows): "on_rows"}  # noqa: RUF012

    def __init__(
        self,
        context: Context,
        sections: Sequence[Section],
        groupings: Sequence[Grouping],
        *,
        earlier: Sequence[Asked] = (),
        key_bits: int = 2048,
    ) -> None:
        super().__init__(context)
        self._sections, self._groupings = list(sections), list(groupings)
        self._earlier = list(earlier)
        self._records, self._bits = len(groupings[0].codes), key_bits
        self._key: PublicKey | None = None

    def begin(self) -> Turn[Added]:
        for grouping in self._groupings:
            if not grouping.groups:
                raise Refused("no group has a shared record")
            if len(grouping.groups) > GROUPS - 2:
                raise InputError(
                    f"{len(grouping.groups)} groups found, at most {GROUPS - 2} allowed",
                    hint="group by a coarser column",
                )
        return Turn(Adding(b"", 0, ()))

    def _public(self, data: bytes) -> PublicKey:
        if self._key is None:
            self._key = PublicKey.from_bytes(data, bits=self._bits)
        return self._key

    def _targets(self, slots: MeasureSlots) -> list[Target]:
        sections = (slots.of(number) for number in range(len(self._sections)))
        return [target_of(*pair) for pair in zip(sections, self._groupings, strict=True)]

    def on_key(self, state: Adding, found: Key, peer: str) -> Turn[Added]:
        del peer
        if state.public:
            raise PeerError("a second key")
        if found.rows != self._records:
            raise PeerError(f"{found.rows} rows announced, {self._records} are aligned")
        public = self._public(found.public)
        slots = MeasureSlots(self._sections, self._records, public.bits, self._earlier)
        sums = tuple(no_sums(public, target) for target in self._targets(slots))
        return self._turn(Adding(found.public, 0, sums), [])

    def on_rows(self, state: Adding, found: Rows, peer: str) -> Turn[Added]:
        total, start = chunks(self._records), state.added * CHUNK
        if not state.public or found.start != start or state.added >= total:
            raise PeerError("rows that are not due")
        public = self._public(state.public)
        slots = MeasureSlots(self._sections, self._records, public.bits, self._earlier)
        part = [
            Target(target.ciphers, target.codes[start : start + CHUNK], target.groups)
            for target in self._targets(slots)
        ]
        sums = tuple(add_rows(public, slots.layout, slots.headroom, found, part, state.sums))
        more = [(peer, Next())] if state.added + WINDOW < total else []
        return self._turn(Adding(state.public, state.added + 1, sums), more)

    def _turn(self, state: Adding, messages: Sequence[tuple[str, object]]) -> Turn[Added]:
        total = chunks(self._records)
        if state.added < total:
            return Turn(state, messages, progress=state.added / total)
        added = Added(state.public, tuple(np.frombuffer(sums, np.uint8) for sums in state.sums))
        return Turn(Done(), messages, added, 1.0)

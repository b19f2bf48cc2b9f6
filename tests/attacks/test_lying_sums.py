"""What a party that lies learns from statistics: nothing in the cryptography holds it back.

These attacks work, and the chapters `aggregate.md` and `join_sum.md` say so. A test that fails here
is good news, and a reason to change the chapter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.aggregate.measured import MeasuredRows
from federated.aggregate.messages import Rows
from federated.aggregate.rows import SectionSlots
from federated.join_sum.messages import Rows as PlaceRows
from federated.paillier import Plaintexts
from psi.protocol import Envelope, Pair, decode, encode
from tests.unit import test_join_sum as join_sum
from tests.unit.aggregate_parties import EVERY, KEY, Parties

SUM = [("a", "sum"), ("a", "count")]
LEAST = 20


def _copied(data: bytes, rows: int, copies: int) -> bytes:
    """Ciphertexts of rows, of which the first stands in the place of the next ones too."""
    parts = np.frombuffer(data, np.uint8).reshape(-1, rows, KEY.public.ciphertext_bytes).copy()
    parts[:, :copies] = parts[:, :1]
    return parts.tobytes()


def test_a_receiver_reads_one_row_that_it_counts_as_a_whole_group() -> None:
    """Counts add up to n: for each copy it leaves one other row out, and the partner sees none."""
    values = np.random.default_rng(1).normal(size=(60, 1)).round(3)

    def wire(data: bytes) -> Iterable[bytes]:
        envelope = decode(data, Envelope)
        found: Any = decode(envelope.payload, *EVERY)
        if isinstance(found, Rows):  # what the receiver adds up is its own affair
            found = replace(found, data=_copied(found.data, len(values), LEAST))
            envelope = replace(envelope, payload=encode(found))
        return (encode(envelope),)

    codes = [0] * LEAST + [1] * (len(values) - LEAST)
    found = Parties(values, codes, 2, LEAST, SUM, wire=wire).run()["bank"]
    assert found.values[0][0] / LEAST == pytest.approx(values[0, 0], abs=1e-5)
    assert found.values[1][0] == LEAST


def test_a_partner_reads_the_groups_of_rows_by_powers_of_two_in_the_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In place of a row's one; the slot opens unmasked, and the partner answers as expected."""
    codes = np.random.default_rng(2).integers(0, 2, 40)
    seen: list[int] = []
    pack = MeasuredRows.pack

    def powers(self: MeasuredRows, start: int, stop: int, cipher: int) -> Any:
        honest = pack(self, start, stop, cipher).to_ints()
        counts = self.slots.layout.places[0]
        if counts.cipher != cipher:
            return Plaintexts.from_ints(honest)
        mask = ((1 << counts.bits) - 1) << counts.offset
        return Plaintexts.from_ints([
            (number & ~mask) | 1 << (counts.offset + row)
            for row, number in enumerate(honest, start)
        ])  # fmt: skip

    def read(self: SectionSlots, opened: Any) -> tuple[np.ndarray, list[np.ndarray]]:
        place = self.layout.places[0]
        sums = [int(n) >> place.offset & ((1 << place.bits) - 1) for n in opened]
        seen.extend(sums)
        rows = [number.bit_count() for number in sums]
        counts = np.array([[count, count] for count in rows], np.int64)
        return counts, [np.zeros((len(rows), 0), np.int64)]

    monkeypatch.setattr(MeasuredRows, "pack", powers)
    monkeypatch.setattr(SectionSlots, "counts", read)
    Parties(np.ones((len(codes), 1)), codes.tolist(), 2, 3, SUM).run()
    read_codes = [[number >> row & 1 for row in range(len(codes))] for number in seen]
    assert codes.tolist() in read_codes


def test_a_receiver_of_a_hidden_join_reads_the_value_of_one_place() -> None:
    values = np.random.default_rng(3).normal(size=(40, 2)).round(3)
    receiver, sender = join_sum.roles(values, range(LEAST), minimum=LEAST)

    def wire(data: bytes) -> Iterable[bytes]:
        envelope = decode(data, Envelope)
        if envelope.receiver == "bank" and envelope.payload[1] == PLACE_ROWS:
            found = decode(envelope.payload, PlaceRows)
            found = replace(found, ciphertexts=_copied(found.ciphertexts, len(values), LEAST))
            envelope = replace(envelope, payload=encode(found))
        return (encode(envelope),)

    found = Pair(receiver, sender, wire=wire).run()["bank"]
    assert found.kept.all()
    assert found.values[0] / LEAST == pytest.approx(values[0, 0], abs=1e-5)


PLACE_ROWS = encode(PlaceRows(0, b""))[1]

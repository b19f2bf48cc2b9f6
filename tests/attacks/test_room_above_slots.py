"""Parties that lie in statistics by segment find nothing in the room beside what they are told.

A plaintext has more bits than the slots in it. A partner that puts a power of two a row there would
read everybody's segment, were the room not masked: the last test takes the mask off and sees it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from federated.aggregate import SegmentParty
from federated.aggregate import rows as rows_module
from federated.aggregate.measured import MeasuredRows
from federated.aggregate.rows import SectionSlots
from federated.paillier import Plaintexts, generate_keypair
from tests.unit import aggregate_parties
from tests.unit.aggregate_parties import Parties

KEY = generate_keypair(2048)
ROWS, GROUPS, GAP = 60, 3, 20
SUM = [("a", "sum"), ("a", "count")]


class Wide(Parties):
    """Parties under a key of a length that is allowed."""

    def row_roles(self) -> tuple[Any, Any]:
        bank, bureau = super().row_roles()
        bank._bits = KEY.bits
        return bank, bureau

    def roles(self, number: int, before: list[dict[str, Any]]) -> tuple[Any, Any]:
        def wide(*found: Any, **more: Any) -> Any:
            return SegmentParty(*found, **{**more, "key_bits": KEY.bits})

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(aggregate_parties, "SegmentParty", wide)
            return super().roles(number, before)


@pytest.fixture(autouse=True)
def long_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregate_parties, "KEY", KEY)


def _table() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.normal(size=(ROWS, 1)).round(3), rng.integers(0, GROUPS, ROWS)


def _check(found: Any, values: np.ndarray, codes: np.ndarray) -> None:
    sums = [values[codes == group].sum() for group in range(GROUPS)]
    assert found.values[0] == pytest.approx(sums, abs=1e-4)
    assert found.values[1].tolist() == np.bincount(codes, minlength=GROUPS).tolist()


def test_an_honest_run_is_exact() -> None:
    values, codes = _table()
    whole = np.rint(np.ldexp(values[:, 0], 20)).astype(np.int64)
    found = Wide(values, codes.tolist(), GROUPS, 3, SUM).run()["bank"]
    exact = [int(whole[codes == group].sum()) / 2**20 for group in range(GROUPS)]
    assert found.values[0].tolist() == exact
    _check(found, values, codes)


def _lie(patch: pytest.MonkeyPatch, values: np.ndarray, codes: np.ndarray) -> tuple[Any, list[Any]]:
    """What the receiver gets of a partner with a bit a row above all slots, and the bits it reads.

    Those are `bool[cells, rows]`, in order of the groups.
    """
    seen: list[int] = []
    pack, counts = MeasuredRows.pack, SectionSlots.counts

    def powers(self: MeasuredRows, start: int, stop: int, cipher: int) -> Any:
        above = self.slots.layout.bits(cipher) + GAP
        honest = pack(self, start, stop, cipher).to_ints()
        lies = [number + (1 << (above + row)) for row, number in enumerate(honest, start)]
        return Plaintexts.from_ints(lies)

    def read(self: SectionSlots, opened: Any) -> Any:
        above = self.layout.bits(0) + GAP
        seen.extend((int(n) + (1 << (above - 1))) >> above for n in opened)
        return counts(self, opened)

    patch.setattr(MeasuredRows, "pack", powers)
    patch.setattr(SectionSlots, "counts", read)
    found = Wide(values, codes.tolist(), GROUPS, 3, SUM).run()["bank"]
    return found, [[bool(n >> row & 1) for row in range(ROWS)] for n in seen]


def test_a_partner_reads_no_groups_above_the_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    values, codes = _table()
    found, bits = _lie(monkeypatch, values, codes)
    assert len(bits) == GROUPS
    truth = np.arange(GROUPS)[:, None] == codes
    assert 0.3 < (np.array(bits) == truth).mean() < 0.7  # a coin is right as often
    _check(found, values, codes)


def test_without_the_mask_it_would_read_all(monkeypatch: pytest.MonkeyPatch) -> None:
    values, codes = _table()
    monkeypatch.setattr(rows_module, "random_numbers", lambda count, bits, random: [0] * count)
    _, bits = _lie(monkeypatch, values, codes)
    assert (np.array(bits) == (np.arange(GROUPS)[:, None] == codes)).all()


def test_every_bit_above_what_is_told_is_random() -> None:
    """In both directions, slots that are not told and lie above included."""
    slots = Wide(*(_table()[0], _table()[1].tolist()), GROUPS, 3, SUM).slots.of(0)
    top, draws = KEY.bits - 3, 200
    counts = slots.layout.places[0]
    last = slots.layout.places[-1]
    assert slots.layout.ciphers == 1

    def random(count: int) -> bytes:
        return np.random.default_rng(count).bytes(count)

    told = slots.blanks(np.ones((draws, 1), bool), random)
    for found, place in ((slots.hiding(draws, random), counts), (told, last)):
        low = place.offset + place.bits + 1
        assert max(map(abs, found)) <= slots.most_blank
        each = np.array([[n >> bit & 1 for bit in range(low, top)] for n in found])
        assert (abs(each.mean(axis=0) - 0.5) < 0.25).all()
    assert all(n % (1 << (counts.offset + counts.bits + 1)) == 0 for n in slots.hiding(3, random))
    nothing = slots.blanks(np.zeros((draws, 1), bool), random)
    assert max(map(abs, nothing)) <= slots.most_blank
    each = np.array([[n >> bit & 1 for bit in range(top)] for n in nothing])
    assert (abs(each.mean(axis=0) - 0.5) < 0.25).all()

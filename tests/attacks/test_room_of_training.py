"""A label party that lies in a training finds nothing above the slots that it is told.

Noise covers the low digits of a slot. A label party that put rows between and above the slots read
them there, many for each column and pass, were the room not masked: the last test takes the masks
off and sees it. What is left to it is one row in each slot (`docs/protocols/vertical_logistic.md`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from federated.paillier import EncryptedVector, PrivateKey
from federated.paillier.plaintexts import Plaintexts
from federated.vertical import sums
from federated.vertical.basis import draw_basis, whitening
from federated.vertical.sums import BasisRows, Layout, RowCiphertexts, own_sums, residual_sums
from tests.unit.paillier.keys import stream, toy_key

KEY: PrivateKey = toy_key(1024)
ROWS, OWN, COLUMNS, GAP = 300, 2, 5, 40
LAYOUT = Layout(KEY.bits, ROWS, OWN)
LOWEST = (OWN + 1) * LAYOUT.row.slot_bits
PLACES = (KEY.bits - 8 - LOWEST) // GAP
"""Rows that have room above the slots of a row."""


def _partner() -> BasisRows:
    draw = np.random.default_rng(7)
    x = draw.normal(size=(ROWS, COLUMNS))
    basis = draw_basis(whitening(x, 1.0), stream("basis"))
    return BasisRows(x @ basis, np.zeros(COLUMNS), basis.T @ basis)


def _lie(start: int) -> bytes:
    """Rows of zero, but the first ones with a one each at a place of its own."""
    numbers = [0] * ROWS
    numbers[:PLACES] = [1 << (start + GAP * place) for place in range(PLACES)]
    return EncryptedVector.encrypt(KEY, Plaintexts.from_ints(numbers)).to_bytes()


def _read(data: bytes, count: int, start: int) -> np.ndarray:
    """`int64[count, PLACES]`: the numbers at these places."""
    opened = EncryptedVector.from_bytes(KEY.public, data, count).decrypt(KEY).to_ints()
    half = 1 << (GAP - 1)
    shift = half * sum(1 << (GAP * place) for place in range(PLACES))
    found = [
        [((number >> start) + shift >> (GAP * place) & (2 * half - 1)) - half
         for place in range(PLACES)]
        for number in opened
    ]  # fmt: skip
    return np.array(found, np.int64)


def _share(found: np.ndarray, truth: np.ndarray) -> float:
    """Of the numbers, up to what the noise below carries over."""
    return float((abs(found - truth) <= 1).mean())


def _with_curvature(random: Callable[[int], bytes]) -> tuple[float, float]:
    """Shares read off the sums with A's columns, and off those of pairs."""
    partner = _partner()
    sent = RowCiphertexts(_lie(LOWEST), b"")
    linear, pairs = own_sums(KEY.public, LAYOUT, sent, partner, random, alone=False)
    z = np.rint(np.ldexp(partner.z[:PLACES], sums.LINEAR)).astype(np.int64).T
    first, second = np.triu_indices(COLUMNS)
    both = partner.z[:PLACES, first] * partner.z[:PLACES, second]
    weights = np.rint(np.ldexp(both, LAYOUT.pair_bits)).astype(np.int64).T
    found = _read(pairs, len(first), LOWEST)
    return _share(_read(linear, COLUMNS, LOWEST), z), _share(found, weights)


def _without(random: Callable[[int], bytes]) -> float:
    partner = _partner()
    sent = RowCiphertexts(_lie(LAYOUT.row.slot_bits), b"")
    data = residual_sums(KEY.public, LAYOUT, sent, partner.z, partner.shrink, random)
    z = np.rint(np.ldexp(partner.z[:PLACES], sums.LINEAR)).astype(np.int64).T
    return _share(_read(data, COLUMNS, LAYOUT.row.slot_bits), z)


def test_a_label_party_reads_no_rows_above_the_slots() -> None:
    random = stream("mask")
    assert _with_curvature(random) == (0.0, 0.0)
    assert _without(random) == 0.0


def test_without_the_masks_it_would_read_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def bare(layout: Any, packing: Any, shape: tuple[int, int], *_: Any) -> Plaintexts:
        return Plaintexts.from_ints([0] * shape[0])

    monkeypatch.setattr(sums, "_hidden", bare)
    random = stream("mask")
    assert PLACES > 15
    assert _with_curvature(random) == (1.0, 1.0)
    assert _without(random) == 1.0


@pytest.mark.parametrize("used", [1, 3])
def test_every_bit_above_the_slots_is_random(used: int) -> None:
    draws, packing = 200, LAYOUT.row
    hidden = sums._hidden(LAYOUT, packing, (draws, used), 50, stream(f"{used}")).to_ints()
    start = used * packing.slot_bits
    whole = [number % (1 << KEY.bits) for number in hidden]
    each = np.array([[n >> bit & 1 for bit in range(start, KEY.bits - 3)] for n in whole])
    assert (abs(each.mean(axis=0) - 0.5) < 0.25).all()
    assert max(map(abs, hidden)) < 1 << (KEY.bits - 2)

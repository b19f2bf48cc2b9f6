"""A sender of a join and sum that puts 2^place where no honest sum reaches: which places match?"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.join_sum import SumReceiver, SumSender, place_values
from federated.join_sum.messages import Rows, Summed
from federated.paillier import EncryptedVector, Plaintexts
from psi.protocol import Context, Pair, PeerError, Turn
from tests.unit.paillier.keys import full_key, stream

PLACES, BITS = 60, 2048
MATCH = np.flatnonzero(np.random.default_rng(3).uniform(size=PLACES) < 0.4)


class Liar(SumSender):
    """Adds 2^(lift + place) to a place's last plaintext, and looks at these bits of the sum."""

    lift = 0
    read = 0

    def _rows(self, number: int) -> Rows:
        rows, (start, stop) = super()._rows(number), self._layout.part(number)
        size = (stop - start) * self._key.public.ciphertext_bytes
        last = EncryptedVector.from_bytes(self._key.public, rows.ciphertexts[-size:], stop - start)
        plain = last.decrypt(self._key).to_ints()
        opened = [number + (1 << (self.lift + start + j)) for j, number in enumerate(plain)]
        added = EncryptedVector.encrypt(self._key, Plaintexts.from_ints(opened)).to_bytes()
        return replace(rows, ciphertexts=rows.ciphertexts[:-size] + added)

    def on_summed(self, state: Any, found: Summed, peer: str) -> Turn[Any]:
        vector = self._layout.read(self._key.public, found.sums)
        self.read = vector.decrypt(self._key).to_ints()[-1] >> self.lift
        return super().on_summed(state, found, peer)


def parties(columns: int, seed: int, kind: type[SumSender]) -> tuple[SumReceiver, Any, Any]:
    names = [f"c{j}" for j in range(columns)]
    values = np.random.default_rng(seed).integers(-1000, 1000, (PLACES, columns)) / 4
    values[seed::7, 0] = np.nan
    receiver = SumReceiver(
        Context(b"session", "join_sum", "bank", stream(f"bank {seed}")), "bureau", MATCH, PLACES,
        names, [*((name, "sum") for name in names), (names[0], "count")], key_bits=BITS,
    )  # fmt: skip
    sender = kind(
        Context(b"session", "join_sum", "bureau", stream(f"bureau {seed}")), "bank",
        full_key(BITS), place_values(values, np.arange(PLACES), names), 5,
    )  # fmt: skip
    return receiver, sender, values


def read_right(columns: int, seed: int, where: str) -> int:
    receiver, liar, _ = parties(columns, seed, Liar)
    layout = liar._layout
    used = (layout.slots - 1) % layout.packing.slots + 1
    liar.lift = {
        "above": used * layout.packing.slot_bits + 2,
        "top": BITS - 4 - PLACES,
        "count": (used - 1) * layout.packing.slot_bits + 10,
    }[where]
    with contextlib.suppress(PeerError):
        Pair(receiver, liar).run()
    got = np.array([liar.read >> place & 1 for place in range(PLACES)])
    assert liar.read
    return int((got == np.isin(np.arange(PLACES), MATCH)).sum())


@pytest.mark.parametrize("where", ["above", "top"])
@pytest.mark.parametrize("columns", [2, 9])
def test_nothing_of_single_places_comes_out_above_the_slots(columns: int, where: str) -> None:
    """With 9 columns the last ciphertext has slots that are used for nothing."""
    right = sum(read_right(columns, seed, where) for seed in range(3))
    assert abs(right - 3 * PLACES / 2) < 35  # five standard deviations; all 180 before


def test_powers_of_two_in_a_count_slot_tell_places() -> None:
    """What no mask can cover as long as the sender is to read the counts."""
    assert read_right(2, 0, "count") == PLACES


@pytest.mark.parametrize("columns", [2, 9])
def test_an_honest_run_is_exact(columns: int) -> None:
    for seed in range(3):
        receiver, sender, values = parties(columns, seed, SumSender)
        results = Pair(receiver, sender).run()
        there = ~np.isnan(values[MATCH])
        expected = [*np.nansum(values[MATCH], axis=0), there[:, 0].sum()]
        assert results["bank"].values.tolist() == expected
        assert results["bureau"].tolist() == [len(MATCH), *there.sum(axis=0)]
